"""Embeddings of a sample are asked in batches, written down before the next is asked, and paid once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from meliora.errors import BudgetExhausted, UpstreamTimeout
from meliora.routing.learning.calibrate import Entry, Journal
from meliora.routing.learning.embedded import BATCH, Embedded
from meliora.routing.learning.prompts import Prompt
from meliora.routing.learning.trunk import fit_trunk, read_all

COUNT = 2 * BATCH + 22
PROMPTS = [
    Prompt(({"role": "user", "content": f"Q{number}"},), f"{'sum' if number % 2 else 'poem'} number {number}")
    for number in range(COUNT)
]


class Provider:
    """Says whether a prompt is about sums; fails at the batches it is told to."""

    def __init__(self, fails: dict[int, Exception] | None = None) -> None:
        self.fails = fails or {}
        self.paid: list[tuple[int, tuple[str, ...]]] = []

    def __call__(self, number: int, texts: Sequence[str]) -> list[list[float]]:
        if number in self.fails:
            raise self.fails[number]
        self.paid.append((number, tuple(texts)))
        return [[1.0, 0.0] if "sum" in text else [0.0, 1.0] for text in texts]


def embedded(journal: Journal, provider: Provider) -> Embedded:
    return Embedded(PROMPTS, "near", journal, provider, 4)


def test_every_prompt_is_embedded_once_and_the_next_run_asks_nothing(tmp_path: Path) -> None:
    provider = Provider()
    with Journal(tmp_path / "j.jsonl") as journal:
        run = embedded(journal, provider)
        assert run.missing() == 3
        assert [step.error for step in run.steps()] == [None] * 3 and run.missing() == 0
    assert sum(len(texts) for _, texts in provider.paid) == COUNT
    with Journal(tmp_path / "j.jsonl") as journal:
        assert list(embedded(journal, provider).steps()) == []
        assert np.frombuffer(journal.embedding(PROMPTS[1], "near") or b"", "<f4").tolist() == [1, 0]
        assert journal.embedding(PROMPTS[1], "other") is None
        assert journal.answer(PROMPTS[1], "near") is None, "an embedding is no answer"


@pytest.mark.parametrize("lines", [0, 1, BATCH - 1, BATCH, BATCH + 5])
def test_a_batch_that_was_cut_off_is_the_same_question_again(tmp_path: Path, lines: int) -> None:
    path, provider = tmp_path / "j.jsonl", Provider()
    with Journal(path) as journal:
        list(embedded(journal, provider).steps())
    first = dict(provider.paid)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:lines]) + b'{"torn')
    with Journal(path) as journal:
        list(embedded(journal, provider).steps())
        assert embedded(journal, provider).missing() == 0
    asked = [number for number, _ in provider.paid[3:]]
    assert asked == list(range(lines // BATCH, 3)), "what was written down whole is not asked again"
    assert all(first[number] == texts for number, texts in provider.paid[3:])


def test_a_passing_failure_is_told_and_what_no_repetition_mends_ends_the_run(tmp_path: Path) -> None:
    provider = Provider({1: UpstreamTimeout("too slow")})
    with Journal(tmp_path / "j.jsonl") as journal:
        run = embedded(journal, provider)
        assert [step.error for step in run.steps()] == [None, "too slow", None]
        assert run.missing() == 1
        provider.fails = {1: BudgetExhausted("used up")}
        with pytest.raises(BudgetExhausted):
            list(run.steps())


def test_the_estimate_counts_what_is_missing_and_an_unknown_price_stays_unknown(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.jsonl") as journal:
        run = embedded(journal, Provider())
        chars = sum(len(prompt.text) for prompt in PROMPTS)
        assert run.quote(0.02).usd == pytest.approx(chars / 4 * 0.02 / 1e6)
        assert (run.quote(None).usd, run.quote(0.02).calls) == (None, 3)
        journal.add(*(Entry(prompt.id, "near", embedding=b"\0" * 8) for prompt in PROMPTS))
        assert (run.quote(None).usd, run.quote(0.02).calls) == (0, 0)


def test_what_the_journal_has_becomes_directions(tmp_path: Path) -> None:
    texts = [prompt.text for prompt in PROMPTS]
    corpus = read_all(texts)
    with Journal(tmp_path / "j.jsonl") as journal:
        run = embedded(journal, Provider())
        list(run.steps())
        found = run.directions(corpus, texts, fit_trunk(corpus, 4).idf)
    assert found.shape[1] == 1, "two embeddings lie on one line"
