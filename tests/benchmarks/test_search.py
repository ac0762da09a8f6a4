"""The search benchmark: collections as they lie about, its figures over a small one, and its controls."""

from __future__ import annotations

import gzip
import json
import random

import pytest

from benchmarks.report import ControlFailed, Report
from benchmarks.search import augment, locomo, memory, quality, repairs
from benchmarks.search.made import synthetic
from benchmarks.search.people import DAY_US, log
from benchmarks.search.served import Asking, serving
from benchmarks.search.sets import Judged, conversations, folders, load
from benchmarks.search.shifts import Query

PARTS = ("valve", "pump", "rotor", "piston", "gasket", "turbine", "bearing", "nozzle", "flange", "shaft", "casing")
WORDS = [one + other for one in PARTS for other in PARTS]


def made(documents: int = 40) -> Judged:
    rng = random.Random(3)
    texts = {str(at): ("", " ".join(rng.choices(WORDS, k=30))) for at in range(documents)}
    queries = {str(at): " ".join(text.split()[:3]) for at, (_, text) in texts.items() if int(at) % 2}
    return Judged("made", texts, queries, {query: {query: 1.0} for query in queries}, 0)


def quiet() -> Report:
    return Report("search", 7, echo=lambda line: None)


def write(folder, qrels: str, packed: bool = False) -> None:
    folder.mkdir(parents=True)
    corpus = "\n".join(json.dumps({"_id": one, "title": "t", "text": f"text {one}"}) for one in "ab") + "\n"
    if packed:
        (folder / "corpus.jsonl.gz").write_bytes(gzip.compress(corpus.encode()))
    else:
        (folder / "corpus.jsonl").write_text(corpus)
    (folder / "queries.jsonl").write_text("".join(json.dumps({"_id": one, "text": "text"}) + "\n" for one in "123"))
    (folder / "qrels.tsv").write_text(qrels)


@pytest.mark.parametrize(
    "qrels",
    [
        "query-id\tcorpus-id\tscore\n1\ta\t2\n1\tb\t0\n2\tb\t0\n3\tgone\t1\n",
        "1\ta\t2\n1\tb\t0\n2\tb\t0\n3\tgone\t1\n",
        "1\t0\ta\t2\n1\t0\tb\t0\n2\t0\tb\t0\n3\t0\tgone\t1\n",
        "1 0 a 2\n1 0 b 0\n2 0 b 0\n3 0 gone 1\n",
    ],
)
def test_judgments_are_read_with_and_without_a_header_in_three_or_four_columns(tmp_path, qrels) -> None:
    write(tmp_path / "ir" / "any", qrels, packed="\t" in qrels)
    (folder,) = folders(tmp_path)
    judged = load(folder)
    assert judged.name == "any"
    assert judged.grades["1"] == {"a": 2.0, "b": 0.0}
    assert (list(judged.queries), judged.left_out) == (["1"], 2)


def test_a_folder_that_is_a_collection_itself_is_taken_and_others_are_passed_over(tmp_path) -> None:
    write(tmp_path / "one", "1\ta\t1\n")
    (tmp_path / "other").mkdir()
    assert folders(tmp_path / "one") == folders(tmp_path) == [tmp_path / "one"]
    assert folders(tmp_path / "not there") == folders(None) == []
    assert conversations(tmp_path) is None


def test_judgments_of_another_form_are_refused_with_their_line(tmp_path) -> None:
    write(tmp_path / "one", "1\ta\t1\nnonsense\t1\n")
    with pytest.raises(ValueError, match="line 2: 2 columns"):
        load(tmp_path / "one")


def test_it_measures_a_small_collection_and_agrees_with_trec_eval() -> None:
    report = quiet()
    with serving(made()) as served:
        quality.measure(report, served, 7)
    fused, words = (report.get(f"made.{name}_ndcg10") for name in ("rrf", "bm25"))
    assert fused is not None and words is not None
    assert fused.n == 20
    assert fused.low is not None and fused.high is not None and fused.low < fused.value < fused.high


def test_it_fails_where_its_own_figure_is_not_that_of_trec_eval(monkeypatch) -> None:
    real = quality.ndcg
    monkeypatch.setattr(quality, "ndcg", lambda *given: real(*given) * 0.999)
    with serving(made()) as served, pytest.raises(ControlFailed, match="by trec_eval"):
        quality.measure(quiet(), served, 7)


def test_a_repair_brings_misspelled_queries_and_a_faulty_index_back() -> None:
    report = quiet()
    with serving(made()) as served:
        repairs.measure(report, [served], 9, quick=True)
        assert served.indexes.audit("t", "c").faults == 0
    typos, fault, loss = (report.get(name) for name in ("typo_recovered", "index_fault_recovered", "clean_loss"))
    assert typos is not None and typos.value > 0.8
    assert fault is not None and fault.value == pytest.approx(1)
    assert fault.beside["found by the audit"] == 1
    assert loss is not None and loss.value < 0.05


def test_it_fails_where_a_planted_shift_costs_nothing(monkeypatch) -> None:
    monkeypatch.setattr(repairs, "ndcg", lambda *given: 0.5)
    with serving(made()) as served, pytest.raises(ControlFailed, match="costs nothing"):
        repairs.measure(quiet(), [served], 9, quick=True)


def test_who_finds_nothing_asks_again_in_the_old_words_and_uses_what_that_gives() -> None:
    with serving(made()) as served:
        old = [Query("1", served.judged.queries["1"], {"1": 1})]
        new = [Query("1", "flokizuz", {"1": 1})]
        seen = log(old, new, Asking(served), random.Random(1), again=1.0)
    assert [one.query for one in seen.before] == [old[0].text] * 3
    assert [one.query for one in seen.now] == ["flokizuz", old[0].text] * 3
    assert all(one.at_us >= DAY_US for one in seen.now)


def test_what_is_not_there_is_told_and_not_filled_in(monkeypatch) -> None:
    report = quiet()
    monkeypatch.setattr(memory, "speed", lambda *given: None)
    repairs.measure(report, [], 7, quick=True)
    memory.measure(report, None, 7, quick=True)
    assert {"typo_recovered", "clean_loss", *memory.SHARES, *memory.REFITTED} <= set(report.missing)
    assert report.figures == []


def talk(name: str, evidence: list[str]) -> dict:
    """Give a conversation of twenty sessions as LoCoMo writes one; each turn has words of its own."""
    spoken: dict = {}
    for session in range(1, 21):
        spoken[f"session_{session}_date_time"] = f"1:00 pm on {session} May, 2023"
        spoken[f"session_{session}"] = [
            {"speaker": "Ada", "dia_id": f"D{session}:{at}", "text": f"{name} {WORDS[session * 5 + at]}"}
            for at in range(1, 5)
        ]
    asked = [
        {"question": f"{name} {WORDS[session * 5 + 2]}", "evidence": [f"D{session}:2"], "category": 4}
        for session in range(1, 21)
    ]
    odd = {"question": WORDS[7], "evidence": evidence, "category": 1}
    return {"sample_id": name, "conversation": spoken, "qa": [*asked, odd, {**odd, "evidence": []}]}


def test_evidence_is_read_out_of_any_entry_and_kept_as_the_field_counts_it(tmp_path) -> None:
    file = tmp_path / "locomo.json"
    file.write_text(json.dumps([talk("ann", ["D1:2; D2:3", "D2:1", "D", "D99:1"])]))
    (one,) = locomo.read(file)
    odd = one.questions[-1]
    assert len(one.questions) == 21
    assert (odd.turns, odd.sessions) == (frozenset([2, 5, 7]), frozenset("12"))
    assert odd.listed == ((0, "1"), (5, "2"), (0, ""), (0, "99"))


def test_memory_that_finds_every_turn_has_all_of_the_evidence(tmp_path) -> None:
    file = tmp_path / "locomo.json"
    names = ["conv-26", "conv-30", "ann", "bob"]
    file.write_text(json.dumps([talk(name, ["D1:2", "D", "D20:1"]) for name in names]))
    talks = locomo.read(file)
    report = quiet()
    memory.quality(report, talks)
    memory.folds(report, talks, quick=False)
    found = {one.name: one for one in report.figures}
    turns, sessions = (found[name] for name in memory.SHARES)
    assert turns.beside["category 4"] == sessions.beside["category 4"] == turns.beside["any"] == 1.0
    assert turns.value == pytest.approx((20 + 1 / 2) / 21, abs=1e-4)
    assert turns.beside["as LoCoMo counts"] == pytest.approx((20 + 1 / 3) / 21, abs=1e-4)
    assert turns.value <= sessions.value
    assert found["locomo.turn_recall10_refitted"].value == pytest.approx(turns.value, abs=1e-4)


def test_memory_that_finds_nothing_fails_the_run(tmp_path) -> None:
    file = tmp_path / "locomo.json"
    rows = [talk("ann", ["D1:1"])]
    for one in rows[0]["qa"]:
        one["question"] = "quux"
    file.write_text(json.dumps(rows))
    with pytest.raises(ControlFailed):
        memory.quality(quiet(), locomo.read(file))


def test_what_made_queries_gain_is_told_with_its_interval_or_named_as_missing() -> None:
    report = quiet()
    with serving(synthetic(3, queries=90)) as served, serving(made()) as few:
        augment.measure(report, [served, few], 7, quick=True)
    assert report.missing["made.made_queries_gain"].endswith("too few to train on")
    (found,) = report.figures
    assert found.n is not None and found.n > 30 and found.low is not None and found.high is not None
    assert found.low <= found.value <= found.high
    assert "of documents alone" in found.beside
