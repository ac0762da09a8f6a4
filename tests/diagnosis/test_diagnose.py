"""From a breach to a finding that says what was measured, what was not, and what can be done."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import pytest

from meliora.diagnosis.cube import Cube
from meliora.diagnosis.diagnose import diagnose
from meliora.diagnosis.finding import Breach, Finding, report
from meliora.diagnosis.records import Event, Limits, Measured, Point, Window
from tests.diagnosis.calls import cube, even

HOUR = 3_600_000_000
START = 1_795_219_200_000_000
BEFORE, NOW = Window(START, START + 4 * HOUR), Window(START + 4 * HOUR, START + 5 * HOUR)


@dataclass
class Kept:
    """A source of counts that are given."""

    calls: Cube
    known: Limits = field(default_factory=lambda: Limits(slow_us=1000, cost_cap_micros=1000))
    asked: list[str] = field(default_factory=list)

    def limits(self, tenant: str, window: Window) -> Limits:
        self.asked.append(tenant)
        return self.known

    def cube(self, tenant: str, measured: Measured, before: Window, now: Window, limits: Limits) -> Cube:
        return self.calls

    def series(self, tenant: str, measured: Measured, window: Window, span_us: int, limits: Limits) -> Sequence[Point]:
        rate = 2.0 if window == BEFORE else 9.0
        spans = range((window.until_us - window.since_us) // span_us)
        return [Point(window.since_us + at * span_us, rate + at % 2, 100) for at in spans]


def breach(**over) -> Breach:
    values = {
        "tenant": "default",
        "metric": "error_rate",
        "gate": "errors",
        "environment": "production",
        "measured": "errors",
        "unit": "share",
        "value": 0.041,
        "low": 0.036,
        "high": 0.047,
        "baseline": 0.01,
        "direction": "above",
        "now": NOW,
        "before": BEFORE,
    }
    return Breach(**values | over)


BAD = cube(lambda call: 0.12 if call["endpoint"] == "b/big" else 0.01, classes=lambda call: "timeout")
QUIET = cube(even(0.01))


def found(source: Kept, events: Sequence[Event] = (), **over) -> Finding:
    return diagnose(breach(**over), source, events, id="finding_1", at_us=NOW.until_us)


def test_a_finding_tells_what_where_and_since_when() -> None:
    event = Event(at_us=NOW.since_us - 240_000_000, kind="alias", text="alias fast now means b/big")
    made = found(Kept(BAD), [event])
    assert made.slices[0].attributes["endpoint"] == "b/big"
    assert made.moment is not None and made.moment.since_us == NOW.since_us
    assert [kind.name for kind in made.kinds] == ["model_choice"]
    assert made.sentence.startswith("error_rate in production is 4.10% (3.60% to 4.70%), it was 1.00%. endpoint=b/big")
    assert made.sentence.endswith(
        "It began between 2026-11-21 04:00 and 2026-11-21 04:05 UTC. Nearest event, 4 min before: alias fast now means b/big."
    )


def test_where_nothing_explains_it_the_finding_says_so_and_claims_no_kind() -> None:
    made = found(Kept(QUIET))
    assert made.slices == () and made.kinds == ()
    assert "No calls were found that explain it beyond chance." in made.sentence
    named = found(Kept(QUIET), kinds=("routing_policy",)).kinds
    assert [kind.name for kind in named] == ["routing_policy"]


@pytest.mark.parametrize("measured", ["slow", "cost", "spend"])
def test_a_measure_without_a_limit_from_before_is_not_compared(measured: Measured) -> None:
    made = found(Kept(QUIET, Limits(slow_us=None, cost_cap_micros=None)), measured=measured)
    assert (made.slices, made.moment, made.observed, made.expected) == ((), None, None, None)


def test_without_calls_in_one_of_the_windows_nothing_is_claimed() -> None:
    empty = Cube.of(["model"], [(["m"], 1, (100, 50))], ["calls", "errors"])
    made = found(Kept(empty))
    assert made.slices == () and made.observed is None and made.looked_at == (0, 100)


def test_a_finding_survives_being_written_and_read() -> None:
    made = found(Kept(BAD))
    assert msgspec.json.decode(msgspec.json.encode(made), type=Finding) == made


def test_the_report_has_the_fields_of_the_contract_and_null_for_what_was_not_measured() -> None:
    made = report(found(Kept(BAD)), "si_2026_11_21_001")
    assert list(made) == [
        "cycle_id",
        "timestamp",
        "trigger",
        "current_value",
        "baseline",
        "delta",
        "root_cause_analysis",
        "xai_insights",
        "recommended_actions",
        "latency",
    ]
    assert made["timestamp"] == "2026-11-21T05:00:00+00:00"
    assert made["delta"] == pytest.approx(0.031)
    cause = made["root_cause_analysis"]
    assert cause["type"] == "timeout"
    assert cause["distribution_change"] == {"new_tokens": None, "coverage": None}
    assert made["xai_insights"]["low_coverage_tokens"] is None
    assert list(made["xai_insights"]["importance_scores"]) == cause["affected_categories"]
    (action,) = made["recommended_actions"]
    assert (action["type"], action["expected_improvement"]) == ("model_choice", None)
    assert json.loads(json.dumps(made)) == made


def test_the_report_of_a_finding_without_a_cause_is_null_where_the_cause_would_be() -> None:
    made = report(found(Kept(QUIET), baseline=None), "si_2026_11_21_001")
    assert made["root_cause_analysis"]["type"] is None and made["delta"] is None
    assert made["recommended_actions"] == [] and made["xai_insights"]["suggested_action"] is None
