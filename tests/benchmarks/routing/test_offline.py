"""The benchmark splits by prompt, judges on the test part only, and fails when its control does."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as arrow
import pyarrow.parquet as parquet
import pytest

from benchmarks.plots import lines
from benchmarks.report import ControlFailed, Report
from benchmarks.routing.__main__ import main
from benchmarks.routing.cascade import answered, play
from benchmarks.routing.data import Set, digest, load, pair, placed, split
from benchmarks.routing.measure import chosen, judged, predicted, saved
from benchmarks.routing.resplit import measure as resplit
from meliora.routing.learned.dial import Dial, choose
from meliora.routing.learning.fit import Fitting, fit
from meliora.routing.learning.forest import Growing
from meliora.routing.learning.ladders import played
from meliora.routing.learning.table import Outcomes
from meliora.routing.learning.trunk import Embedding, read_all
from tests.routing.learned.planted import MODELS, outcomes

QUICK = Fitting(embedding=Embedding(width=8, growing=Growing(trees=10)), folds=3)


def made(count: int = 120, name: str = "zeroeval", seed: int = 1) -> Set:
    table = outcomes(count, seed)
    answers = {
        model: tuple("right" if right else f"wrong {model}" for right in table.rewards[:, index])
        for index, model in enumerate(MODELS)
    }
    return Set(name, table, tuple("odd" if row % 2 else "even" for row in range(count)), answers)


def written(part: Set, file) -> None:
    columns = {"prompt": list(part.outcomes.prompts), "source": list(part.sources)}
    for index, model in enumerate(MODELS):
        columns[f"reward|{model}"] = part.outcomes.rewards[:, index].tolist()
        columns[f"cost|{model}"] = part.outcomes.costs[:, index].tolist()
        columns[f"pred|{model}"] = list(part.answers[model])
    parquet.write_table(arrow.table(columns), file)


def test_a_prompt_is_in_one_part_whatever_file_it_is_in():
    whole, again = made(), made(name="mmlupro")
    parts = split({"zeroeval": whole, "mmlupro": again})
    for one, other in (("zeroeval", "mmlupro"), ("mmlupro", "zeroeval"), ("zeroeval", "zeroeval")):
        train = {digest(prompt) for prompt in parts.train[one].outcomes.prompts}
        assert not train & {digest(prompt) for prompt in parts.test[other].outcomes.prompts}
    assert len(parts.train["zeroeval"]) + len(parts.test["zeroeval"]) == 120
    assert 10 < len(parts.test["zeroeval"]) < 50


def test_a_prompt_is_the_same_in_another_case_or_spacing():
    assert digest("What  is\nIT?") == digest("what is it?") != digest("what is this?")


def test_another_salt_gives_another_split_of_the_same_size():
    whole = made()
    first, same, other = placed(whole), placed(whole), placed(whole, "1")
    assert (first == same).all()
    assert (first != other).any()
    assert 10 < other.sum() < 50


def test_a_saving_is_told_over_other_splits_with_its_spread():
    parts = split({"zeroeval": made(400)})
    report = Report("routing", 7, echo=lambda _: None)
    resplit(report, parts, {"zeroeval": 0.95}, 3)
    found, wide = report.figures
    assert (found.name, wide.name) == ("zeroeval.save95_resplit", "zeroeval.cascade_save100_resplit")
    assert found.n == wide.n == 3
    assert 0.9 < wide.beside["quality"] < 1.1
    assert found.low <= found.value <= found.high
    assert 0.9 < found.beside["quality"] < 1.1
    assert found.value > 0.2


def test_training_rows_that_the_test_part_has_are_dropped():
    whole = made()
    parts = pair({"zeroeval": whole}, {"mmlu": whole.take(np.arange(7))})
    assert (parts.dropped, len(parts.train["zeroeval"])) == (7, 113)


def test_what_is_chosen_for_many_is_what_is_chosen_for_each():
    part = made()
    policy = fit(part.outcomes, fitting=QUICK)
    dial = Dial(quality_floor=0.95)
    quality, cost = predicted(policy, read_all(part.outcomes.prompts))
    picks = chosen(quality, cost, dial.pay(policy.curve), policy.models.index(policy.reference))
    each = [choose(policy.predict(prompt), MODELS, dial).index for prompt in part.outcomes.prompts]
    assert picks.tolist() == each


def test_always_the_best_model_saves_nothing_and_the_oracle_saves_the_most():
    part = made()
    here, _ = judged(part.outcomes, part.outcomes)
    found = saved("figure", here.reference, here, 0.98)
    assert found.value == 0
    assert found.beside["quality"] == 1
    assert found.beside["oracle"] > found.beside["zero"] > 0


def test_a_saving_that_loses_too_much_quality_does_not_count():
    part = made()
    here, _ = judged(part.outcomes, part.outcomes)
    cheap = np.stack((here.rewards[:, 0], here.costs[:, 0]), axis=1)
    found = saved("figure", cheap, here, 0.98)
    assert found.beside["counts"] == 0
    assert "does not count" in found.note


def test_rows_without_every_outcome_are_not_judged_and_an_empty_rest_fails():
    part = made(40)
    rewards = part.outcomes.rewards.copy()
    rewards[:30, 1] = np.nan
    table = replace(part.outcomes, rewards=rewards)
    assert judged(part.outcomes, table)[1].tolist() == list(range(30, 40))
    rewards[:39] = np.nan
    with pytest.raises(ControlFailed, match="oracle"):
        judged(part.outcomes, Outcomes(table.prompts, table.models, rewards, table.costs))


def test_a_cascade_is_charged_for_every_leg():
    part = made()
    found = played(answered(part), (0, 1, 2))
    seen, paid = part.outcomes.rewards, part.outcomes.costs
    agree = (seen[:, 0] == 1) & (seen[:, 1] == 1)
    assert (found.rewards == np.where(agree, 1, seen[:, 2])).all()
    assert found.costs == pytest.approx(paid[:, 0] + paid[:, 1] + np.where(agree, 0, paid[:, 2]))


def test_what_is_played_is_what_came_of_each_choice_alone_or_in_a_cascade():
    part, fresh = made(400), made(200, seed=5)
    policy = fit(answered(part), fitting=QUICK)
    assert policy.ladders is not None
    corpus = read_all(fresh.outcomes.prompts)
    wide = play(policy, answered(fresh), corpus, 0.95)
    assert wide.legs and wide.legs.total() <= 200
    assert set(wide.rewards) <= {0.0, 1.0}
    assert (wide.costs >= fresh.outcomes.costs.min(axis=1) - 1e-12).all()
    alone = play(replace(policy, ladders=None), answered(fresh), corpus, 0.95)
    assert not alone.legs


def test_an_answer_that_was_not_parsed_agrees_with_nothing():
    part = made(30)
    part.answers["small"] = part.answers["middle"] = (None,) * 30
    assert (played(answered(part), (0, 1, 2)).rewards == part.outcomes.rewards[:, 2]).all()


def test_a_run_writes_its_figures_and_its_plot(tmp_path, capsys):
    written(made(200), tmp_path / "zeroeval.parquet")
    file = tmp_path / "out" / "routing.json"
    file.parent.mkdir()
    assert main(["--data", str(tmp_path), "--only", "offline", "--json", str(file)]) == 0
    figures = {figure["name"]: figure for figure in json.loads(file.read_text())["figures"]}
    assert set(figures) == {"zeroeval.save98", "zeroeval.zero98", "zeroeval.cascade_save100"}
    assert figures["zeroeval.save98"]["value"] > figures["zeroeval.zero98"]["value"]
    assert (file.parent / "routing-zeroeval.svg").read_text().startswith("<svg")
    assert "zeroeval.save98" in capsys.readouterr().out


def test_a_run_with_word_vectors_is_another_one_and_without_them_nothing_changes(tmp_path):
    written(made(200), tmp_path / "zeroeval.parquet")
    hard, easy = "theorem integral proof lemma eigenvalue", "capital colour weather greet name"
    lines = [
        f"{word} {at} {1 - at} {0.1 * len(word)}" for at, group in enumerate((easy, hard)) for word in group.split()
    ]
    (tmp_path / "words.vec").write_text("\n".join(lines) + "\n")

    def values(*more: str) -> list[float]:
        file = tmp_path / "routing.json"
        assert main(["--data", str(tmp_path), "--only", "offline", "--json", str(file), *more]) == 0
        return [figure["value"] for figure in json.loads(file.read_text())["figures"]]

    alone = values()
    assert values() == alone
    assert values("--vectors", str(tmp_path / "words.vec")) != alone


def test_a_folder_without_outcomes_says_what_it_looked_for(tmp_path):
    with pytest.raises(FileNotFoundError, match="routerbench"):
        load(tmp_path)


def test_a_plot_leaves_out_what_is_no_number():
    drawn = lines("a < b", "x", "y", {"one": [(1.0, 2.0), (float("nan"), 1.0), (3.0, 4.0)]})
    assert "nan," not in drawn
    assert drawn.count("polyline") == 1
    assert "a &lt; b" in drawn
    with pytest.raises(ValueError, match="nothing to draw"):
        lines("empty", "x", "y", {})
