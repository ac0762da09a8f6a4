"""Where an errand goes: by task, queue, priority, budget and failures, in words that lead a call to the same model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from meliora.errors import InvalidRequest, NoEndpoint
from meliora.gateway.state import RuleState
from meliora.routing.learned.snapshot import encode
from meliora.routing.pool import Candidate, Pool
from meliora.routing.rules import RuleSet
from meliora.server.choice import Chooser, Question
from meliora.server.dispatch import Errand, QueueSeen, Routed, dispatch
from meliora.settings.models import Settings
from meliora.telemetry.records import Usage
from meliora.testing.policies import planted
from tests.server.house import control_house

PRICES = {"tiny": 0.1, "mid": 1.0, "big": 10.0, "coder": 2.0}
MODELS = [
    Candidate("tiny", "fast", context_window=1000, input_price=0.1, output_price=0.1),
    Candidate("mid", "balanced", input_price=1.0, output_price=1.0),
    Candidate("big", "deep", input_price=10.0, output_price=10.0),
    Candidate("coder", "code", input_price=2.0, output_price=2.0),
    Candidate("unknown", None),
]
SHORT, LONG, NOBODY_KNOWS = QueueSeen(0, "low", 5), QueueSeen(9, "high", 5), QueueSeen(None, None, 5)
HARD = "Analyze and compare the trade-offs, step by step, and evaluate the consequences"
FACT = "What is the capital of France?"


def price(model: str, usage: Usage) -> int | None:
    rate = PRICES.get(model)
    return None if rate is None else round(rate * ((usage.input or 0) + (usage.output or 0)))


def chooser(*out: str, rules: tuple[RuleState, ...] = ()) -> Chooser:
    pool = Pool(MODELS, {}, lambda name: 0.0 if name in out else 1.0)
    return Chooser(Settings(), pool, RuleSet(rules), price)


def go(prompt: str = FACT, queue: QueueSeen = SHORT, with_: Chooser | None = None, **more: Any) -> Routed:
    given = {name: more.pop(name) for name in ("available", "prefer_speed", "prefer_quality") if name in more}
    body = {"model": "auto", "messages": [{"role": "user", "content": prompt}]}
    return dispatch(with_ or chooser(), Errand(Question("t", body, **given), **more), queue)


@pytest.mark.parametrize(
    ("prompt", "more", "model", "call_with"),
    [
        (FACT, {}, "tiny", "auto"),
        (HARD, {}, "big", "auto"),
        (HARD, {"queue": LONG}, "mid", "auto:balanced"),
        (HARD, {"queue": NOBODY_KNOWS}, "big", "auto"),
        (FACT, {"task": "research"}, "big", "auto:deep"),
        (FACT, {"task": "code", "queue": LONG}, "coder", "auto:code"),
        (HARD, {"priority": "background"}, "tiny", "tiny"),
        (HARD, {"budget": 0.0}, "tiny", "tiny"),
        (HARD, {"budget": 0.002}, "mid", "auto:balanced"),
        (HARD, {"budget": 5.0}, "big", "auto"),
        (HARD, {"available": ("mid", "tiny")}, "tiny", "auto:fast"),
        (FACT, {"failures": 2}, "tiny", "auto"),
        (FACT, {"failures": 3}, "mid", "auto:balanced"),
        (FACT, {"failures": 6}, "big", "auto:deep"),
        ("Fix this Python function", {"failures": 3}, "big", "auto:deep"),
    ],
)
def test_where_an_errand_goes(prompt: str, more: dict[str, Any], model: str, call_with: str) -> None:
    found = go(prompt, **more)
    assert (found.model, found.call_with) == (model, call_with)
    plain = {"model": found.call_with, "messages": [{"role": "user", "content": prompt}]}
    assert chooser().choose(Question("t", plain)).model == model


def test_a_wish_is_put_into_words_that_a_call_can_use() -> None:
    found = go("Tell me about the harbour of Odesa.", prefer_quality=True)
    plain = {"model": found.call_with, "messages": [{"role": "user", "content": "Tell me about the harbour of Odesa."}]}
    assert chooser().choose(Question("t", plain)).model == found.model


@pytest.mark.parametrize("more", [{"prefer_speed": True}, {"budget": 5.0}])
def test_failures_do_not_raise_the_tier_of_what_shall_be_fast_or_cheap(more: dict[str, Any]) -> None:
    found = go(failures=9, **more)
    assert found.model == "tiny"
    assert found.escalated is not None and found.escalated.was == found.escalated.tier == "fast"
    assert "do not raise" in found.escalated.why


def test_a_rule_stands_whatever_failed() -> None:
    rule = RuleState("r", "t", "France", preferred_model="coder")
    found = go(failures=9, with_=chooser(rules=(rule,)))
    assert (found.model, found.rule_id, found.escalated) == ("coder", "r", None)


def test_background_work_takes_the_next_cheapest_where_the_cheapest_cannot() -> None:
    long = "word " * 2000
    assert go(long, priority="background").model == "mid"
    assert go(priority="background", with_=chooser("tiny")).model == "mid"
    assert go(priority="background", with_=chooser("tiny")).fallback_chain == ("coder", "big", "unknown")


def test_an_unknown_price_is_never_within_a_budget_and_never_the_cheapest() -> None:
    assert go(priority="background", available=("unknown", "big")).model == "big"
    last = go(priority="background", available=("unknown",))
    assert (last.model, last.estimated_cost) == ("unknown", None)
    with pytest.raises(InvalidRequest) as raised:
        go(budget=1e-9)
    assert raised.value.field == "budget"
    with pytest.raises(InvalidRequest, match="No model's price"):
        go(budget=1.0, available=("unknown",))


def test_where_nothing_can_be_called_it_says_so() -> None:
    nothing = chooser("tiny", "mid", "big", "coder", "unknown")
    for more in ({}, {"priority": "background"}, {"budget": 1.0}):
        with pytest.raises(NoEndpoint):
            go(with_=nothing, **more)


def test_a_key_confined_to_models_is_routed_within_them() -> None:
    body = {"model": "auto", "messages": [{"role": "user", "content": HARD}]}
    question = replace(Question("t", body), allowed=("mid", "big"))
    assert dispatch(chooser(), Errand(question, priority="background"), SHORT).model == "mid"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"queue_depth": 9},
        {"task_type": "chat"},
        {"failures": 3},
        {"budget": 0.002},
        {"priority": "background"},
        {"prefer_quality": True},
        {"available_models": ["simulated-medium", "simulated-code"]},
    ],
)
def test_with_a_learned_policy_the_words_lead_to_the_same_model(tmp_path: Path, fields: dict[str, Any]) -> None:
    known = {"simulated-small": (0.7, 0.0002), "simulated-medium": (0.8, 0.002), "simulated-large": (0.95, 0.02)}
    with control_house(tmp_path) as house:
        kept = house.store.routing_snapshots
        made = kept.add("default", lambda n: encode(planted(known, number=n)), kind="fit", made_by="test")
        kept.promote("default", made.number)
        client = house.client(house.key())
        routed = client.post("/routing/route", json={"prompt": HARD, **fields})
        assert routed.status_code == 200, routed.text
        said = routed.json()
        again = client.post("/route", json={"prompt": HARD, "model": said["call_with"]}).json()
        assert again["model"] == said["model"]
        if not fields:
            assert (said["call_with"], said["reason"]) == ("auto", f"policy:{made.number}")
