"""A calibration writes down what it paid before it asks more, goes on where it stood, and says what it will cost."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from meliora.errors import BudgetExhausted, InvalidRequest, UpstreamTimeout
from meliora.routing.learning.calibrate import Entry, Journal, ModelPrice, Run, journal_path, quotes, table_of
from meliora.routing.learning.prompts import Prompt
from meliora.routing.learning.scorers import Expected, Sample, Score

MODELS = ("small", "large")
PROMPTS = [Prompt(({"role": "user", "content": f"Q{number}"},), f"Q{number}", str(number)) for number in range(6)]


class Provider:
    """Answers with the number in the prompt, right for the large model alone; fails as told."""

    def __init__(self, fails: dict[tuple[str, str], Exception] | None = None) -> None:
        self.fails = fails or {}
        self.paid: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def __call__(self, model: str, prompt: Prompt) -> tuple[str, int | None]:
        with self._lock:
            error = self.fails.get((model, prompt.text))
            if error is not None:
                raise error
            self.paid[model, prompt.text] += 1
        return prompt.text[1:] if model == "large" else "no idea", 10 if model == "small" else None


class Counting(Expected):
    """The usual scorer, and how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def score(self, sample: Sample) -> Score:
        self.asked += 1
        return super().score(sample)


def run(journal: Journal, provider: Provider, scorer: Expected | None = None, models=MODELS) -> Run:
    return Run(PROMPTS, models, journal, provider, scorer or Expected(), together=3)


def test_all_models_answer_all_prompts_and_each_answer_is_scored(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.jsonl") as journal:
        todo = run(journal, Provider())
        assert todo.missing() == 24
        assert len(list(todo.steps())) == 24 and todo.missing() == 0
        table = table_of(PROMPTS, MODELS, journal, "expected")
    assert table.rewards.tolist() == [[0.0, 1.0]] * 6
    assert table.costs[:, 0].tolist() == [1e-5] * 6
    assert table.said is not None and (table.said >= 0).all(), "who said the same is known of every prompt"
    assert bool((table.costs[:, 1] != table.costs[:, 1]).all()), "an unknown cost is not nought"


def test_what_was_paid_is_not_paid_again_also_with_other_models_or_scorers(tmp_path: Path) -> None:
    provider, scorer = Provider(), Counting()
    path = tmp_path / "j.jsonl"
    with Journal(path) as journal:
        list(run(journal, provider, scorer, MODELS[:1]).steps())
    with Journal(path) as journal:
        list(run(journal, provider, scorer).steps())
    with Journal(path) as journal:
        assert list(run(journal, provider, scorer).steps()) == []
    assert set(provider.paid.values()) == {1} and len(provider.paid) == 12 and scorer.asked == 12


@pytest.mark.parametrize("cut", [1, 7, 40])
def test_a_torn_line_is_cut_off_and_the_rest_goes_on(tmp_path: Path, cut: int) -> None:
    provider, path = Provider(), tmp_path / "j.jsonl"
    with Journal(path) as journal:
        list(run(journal, provider).steps())
    path.write_bytes(path.read_bytes()[:-cut])
    with Journal(path) as journal:
        left = run(journal, provider).missing()
        assert 1 <= left <= 2
        assert len(list(run(journal, provider).steps())) == left
    lines = path.read_bytes().splitlines()
    assert len(lines) == 24 and all(msgspec.json.decode(line, type=Entry) for line in lines)


def test_a_line_that_was_altered_is_refused_and_nothing_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    path.write_text('{"prompt": "a", "model": "m", "answer": "x"}\nnonsense\n')
    before = path.read_bytes()
    with pytest.raises(InvalidRequest, match=r"j\.jsonl:2"):
        Journal(path).__enter__()
    assert path.read_bytes() == before


def test_the_journal_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "j.jsonl"
    with Journal(path):
        assert path.stat().st_mode & 0o777 == 0o600 and path.parent.stat().st_mode & 0o777 == 0o700


def test_a_passing_failure_is_told_and_comes_with_the_next_run(tmp_path: Path) -> None:
    provider = Provider({("small", "Q2"): UpstreamTimeout("too slow")})
    with Journal(tmp_path / "j.jsonl") as journal:
        steps = list(run(journal, provider).steps())
        assert [step.error for step in steps if step.error] == ["too slow"]
        table = table_of(PROMPTS, MODELS, journal, "expected")
        assert table.rewards[2, 0] != table.rewards[2, 0], "an answer that did not come is not a bad one"
        provider.fails.clear()
        assert len(list(run(journal, provider).steps())) == 2


def test_what_no_repetition_would_mend_ends_the_run_and_keeps_what_was_paid(tmp_path: Path) -> None:
    provider = Provider({("large", "Q3"): BudgetExhausted("the budget is used up")})
    with Journal(tmp_path / "j.jsonl") as journal:
        with pytest.raises(BudgetExhausted):
            list(run(journal, provider).steps())
        kept = sum(journal.answer(prompt, model) is not None for prompt in PROMPTS for model in MODELS)
    assert kept == sum(provider.paid.values()) > 0


def test_a_run_that_is_left_writes_down_what_was_under_way(tmp_path: Path) -> None:
    provider = Provider()
    with Journal(tmp_path / "j.jsonl") as journal:
        steps = run(journal, provider).steps()
        next(steps)
        steps.close()  # type: ignore[attr-defined]
        kept = sum(journal.answer(prompt, model) is not None for prompt in PROMPTS for model in MODELS)
    assert kept == sum(provider.paid.values()) > 1


def test_the_estimate_counts_what_is_missing_and_an_unknown_price_stays_unknown(tmp_path: Path) -> None:
    prices = {"small": ModelPrice(1.0, 2.0), "large": ModelPrice(1.0, None)}
    with Journal(tmp_path / "j.jsonl") as journal:
        journal.add(Entry(PROMPTS[0].id, "small", answer="x"))
        small, large = quotes(PROMPTS, prices, journal, output_tokens=100)
        assert (small.calls, large.calls) == (5, 6)
        assert small.usd == pytest.approx((5 * 2 / 4 * 1.0 + 5 * 100 * 2.0) / 1e6)
        assert large.usd is None
        for prompt in PROMPTS:
            journal.add(Entry(prompt.id, "large", answer="x"))
        assert quotes(PROMPTS, prices, journal)[1].usd == 0


def test_the_same_sample_of_the_same_tenant_has_one_journal(tmp_path: Path) -> None:
    path = journal_path(tmp_path, "default", PROMPTS)
    assert path == journal_path(tmp_path, "default", PROMPTS[::-1])
    assert path != journal_path(tmp_path, "other", PROMPTS) and path != journal_path(tmp_path, "default", PROMPTS[1:])
