"""A change that stays, or is taken back, leaves a learning event in the transaction of its edge; nothing else does."""

from __future__ import annotations

from typing import Any

import pytest

from meliora.loop.change import Edge
from meliora.loop.house import TrialVerdict
from meliora.loop.improvements import impact
from meliora.loop.states import State
from meliora.store.loop.learning_events import LearningEvent, LearningEvents
from tests.loop.conftest import FAIL, WORSE, Bench


def trial(name: str = "reward", effect: float | None = 0.2, **metric: Any) -> dict[str, Any]:
    """What the last look at a trial leaves in the evidence."""
    known = {"name": name, "better": "higher", "relative": False} | metric
    return {
        "verdict": {"primary": {"metric": known}, "guardrails": []},
        "figures": [{"name": name, "effect": effect, "low": None, "high": None}],
    }


def edge(evidence: dict[str, Any]) -> Edge:
    return Edge(
        change="chg",
        seq=1,
        source=State.TRYING,
        target=State.DELIVERING,
        at_us=1,
        actor="w",
        attempt=1,
        evidence=evidence,
    )


def events(bench: Bench) -> tuple[LearningEvent, ...]:
    found = LearningEvents(bench.changes._engine, bench.clock.now_us)
    return found.list("default").items


def won(evidence: dict[str, Any]) -> TrialVerdict:
    return TrialVerdict(
        outcome="better", sentence="wins", candidate_units=90, baseline_units=400, stage_units=90, evidence=evidence
    )


def test_a_kept_change_is_learned_with_its_measured_gain(bench: Bench) -> None:
    bench.judge.trials = [won(trial(effect=0.2))]
    change = bench.begin()
    assert bench.run(change).state is State.KEPT
    (event,) = events(bench)
    assert (event.event_type, event.category, event.impact_score) == ("improvement_applied", "scripted", 0.2)
    assert event.before_state == {"version": "v1"}
    assert event.after_state == {"version": "v1+", "change": change.id, "state": "kept", "target": "thing"}


def test_without_figures_the_impact_is_unknown_and_not_zero(bench: Bench) -> None:
    assert bench.run(bench.begin()).state is State.KEPT
    assert events(bench)[0].impact_score is None


def test_what_is_rolled_back_is_learned_as_worth_nothing(bench: Bench) -> None:
    bench.judge.watches = [FAIL]
    assert bench.run(bench.begin()).state is State.ROLLED_BACK
    (event,) = events(bench)
    assert (event.before_state, event.impact_score) == ({"version": "v1+"}, 0.0)
    assert event.after_state is not None and event.after_state["version"] == "v1"


def test_what_was_never_delivered_teaches_nothing(bench: Bench) -> None:
    bench.judge.trials = [WORSE]
    assert bench.run(bench.begin()).state is State.REJECTED
    assert events(bench) == ()


@pytest.mark.parametrize(
    ("looked", "expected"),
    [
        (trial("error_rate", -0.03, better="lower"), 0.03),
        (trial("error_rate", 0.03, better="lower"), 0.0),
        (trial("cost_per_call", -0.4, better="lower", relative=True), 0.4),
        (trial("cost_per_call", -7.0, better="lower", relative=True), 1.0),
        (trial("cost_per_call", -0.4, better="lower"), None),
        (trial("latency_p95", -400.0, better="lower"), None),
        (trial("reward", None), None),
        (trial("reward", float("nan")), None),
        (trial("a kind's own", 0.5), None),
        ({"figures": [{"name": "reward", "effect": 0.1, "low": None, "high": None}]}, None),
        ({}, None),
    ],
)
def test_an_impact_is_a_share_that_was_measured_or_nothing(looked: dict[str, Any], expected: float | None) -> None:
    assert impact([edge({"trial": looked}), edge({})]) == expected
