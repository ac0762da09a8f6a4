"""Pairs of answers: both are scored by the same scorers, or the pair says nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from meliora.errors import UpstreamUnreachable
from meliora.routing.learning.pairs import PairScoring
from meliora.routing.learning.records import Pair, Said
from meliora.routing.learning.scorers import Sample, Score, build
from meliora.runtime.learning import read_answer, reward_rule
from meliora.settings.learning import Scorer
from meliora.settings.models import Settings
from meliora.settings.routing import Routing

POLITE = Scorer(name="polite", kind="regex", pattern="please")
REQUEST = msgspec.json.encode({"model": "auto", "messages": [{"role": "user", "content": "Say please."}]}).decode()


def body(text: str) -> str:
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return msgspec.json.encode({"choices": [choice]}).decode()


@dataclass
class Book:
    """Pairs in memory."""

    pairs: list[Pair] = field(default_factory=list)
    judged: dict[str, tuple[Any, ...]] = field(default_factory=dict)

    def tenants(self) -> list[str]:
        return sorted({one.tenant for one in self.pairs if one.id not in self.judged})

    def waiting(self, tenant: str, since_us: int, limit: int) -> list[Pair]:
        return [one for one in self.pairs if one.tenant == tenant and one.id not in self.judged][:limit]

    def judge(self, tenant: str, shadow: str, scores: dict[str, Said], shown: Any, reward: Any) -> None:
        self.judged[shadow] = dict(scores), shown, reward


def pair(shown: str | None = "No.", text: str | None = "Yes, please.", **over: Any) -> Pair:
    given: dict[str, Any] = {
        "id": "call_s",
        "parent": "call_p",
        "tenant": "default",
        "dialect": "chat",
        "task": "chat",
        "started_us": 1,
        "request_text": REQUEST,
        "shown_text": None if shown is None else body(shown),
        "text": None if text is None else body(text),
        "shown_failed": False,
        "failed": False,
        "shown_cost_micros": 5,
        "cost_micros": 7,
        "shown_latency_us": 1,
        "latency_us": 1,
    }
    return Pair(**given | over)


def judged(one: Pair, *scorers: Any) -> tuple[Any, ...]:
    book = Book([one])
    settings = [made if isinstance(made, Scorer) else made[0] for made in scorers or (POLITE,)]
    built = [(made, build(made, None)) if isinstance(made, Scorer) else made for made in scorers or (POLITE,)]  # type: ignore[arg-type]
    rule = reward_rule(Settings(routing=Routing(scorers=settings)))
    at_work = PairScoring(book, built, read_answer, lambda: rule, lambda: 10)
    assert at_work.step() is False
    return book.judged[one.id]


def test_both_answers_are_scored_and_worth_something() -> None:
    assert judged(pair()) == ({"polite": (0.0, 1.0)}, 0.0, 1.0)


def test_what_was_said_of_the_shown_answer_before_is_not_asked_again() -> None:
    assert judged(pair(scores={"polite": 0.75})) == ({"polite": (0.75, 1.0)}, 0.75, 1.0)


@pytest.mark.parametrize(("over", "worth"), [({"failed": True}, (1.0, 0.0)), ({"shown_failed": True}, (0.0, 1.0))])
def test_a_failure_is_worth_what_failures_are(over: dict[str, Any], worth: tuple[float, float]) -> None:
    assert judged(pair("please", "please", **over))[1:] == worth


def test_two_failures_are_alike() -> None:
    assert judged(pair(None, None, failed=True, shown_failed=True))[1:] == (0.0, 0.0)


@pytest.mark.parametrize(
    "over", [{"shown": None}, {"text": None}, {"request_text": "cut off {"}, {"dialect": "embeddings"}]
)
def test_what_was_not_kept_whole_says_nothing(over: dict[str, Any]) -> None:
    assert judged(pair(**over)) == ({}, None, None)


class Choosy:
    """Cannot say of one of the answers."""

    name = "choosy"

    def score(self, sample: Sample) -> Score:
        return Score(None, "who knows") if "please" in sample.answer else Score(1.0)


def test_a_scorer_that_can_say_of_one_answer_only_does_not_count() -> None:
    choosy = Scorer(name="choosy", kind="code", function="a:b")
    assert judged(pair(), (choosy, Choosy())) == ({"choosy": (1.0, None)}, None, None)
    assert judged(pair(), (choosy, Choosy()), POLITE)[1:] == (0.0, 1.0)


@pytest.mark.parametrize("over", [{"tasks": ["code"]}, {"tenant": "acme"}, {"sample": 1e-9}])
def test_scorers_of_other_tasks_tenants_and_samples_are_not_asked(over: dict[str, Any]) -> None:
    assert judged(pair(), POLITE.model_copy(update=over)) == ({}, None, None)


class Away:
    """Is not there."""

    name = "away"

    def score(self, sample: Sample) -> Score:
        raise UpstreamUnreachable("nobody home")


def test_a_judge_that_is_away_is_asked_again() -> None:
    book = Book([pair()])
    away = Scorer(name="away", kind="code", function="a:b")
    rule = reward_rule(Settings(routing=Routing(scorers=[away])))
    with pytest.raises(UpstreamUnreachable):
        PairScoring(book, [(away, Away())], read_answer, lambda: rule, lambda: 10).step()
    assert book.judged == {}
