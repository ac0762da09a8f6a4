"""What a watch can find, reckoned from what the arms of the trial have shown."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from meliora.changes.manner import Manner
from meliora.loop.arms import Arm, Stretch
from meliora.loop.change import Change, Origin
from meliora.loop.judge import ArmJudge, smallest_harm
from meliora.loop.metrics import Metric
from meliora.loop.states import State
from meliora.stats.histogram import LogHistogram
from meliora.stats.sums import Sums

PLAN = Manner().watched({})
RAILS = {rail.metric: rail for rail in PLAN.guardrails}
CHANGE = Change(
    id="chg_1",
    tenant="default",
    kind="routing_policy",
    target="routing",
    surface="gateway",
    environment="production",
    origin=Origin("person", "key_1"),
    state=State.DELIVERING,
)


def arm(units: int, calls_a_unit: int = 1, errors: int = 2) -> Arm:
    """Give an arm of equal units, `errors` of a hundred calls failed."""
    calls = float(units * calls_a_unit)
    failed = calls * errors / 100
    each, count = float(calls_a_unit), float(units)
    mean = Sums(count, calls * 0.5, count * each * each * 0.5, calls, calls * each * 0.5, calls * each)
    latency = LogHistogram()
    for value in range(1, 101):
        latency.add(float(value), int(calls // 100))
    return Arm(
        units,
        int(calls),
        {
            "error_rate": Sums(count, failed, failed * each, calls, failed * each, calls * each),
            "reward": mean,
            "cost_per_call": mean,
        },
        {"latency_p95": latency},
    )


class Shown:
    """Arms as they are told."""

    def __init__(self, *stretches: Stretch) -> None:
        self._stretches = stretches

    def stretches(
        self, tenant: str, change: str, phase: str, metrics: Sequence[Metric], now_us: int
    ) -> tuple[Stretch, ...]:
        """Give those of the trial."""
        return self._stretches if phase == "trial" else ()

    def calls(self, tenant: str, change: str, phase: str, since_us: int) -> int:
        """Know none."""
        return 0


def detects(*stretches: Stretch) -> dict[str, float | None]:
    return ArmJudge(Shown(*stretches), lambda: 0).detects(CHANGE, PLAN)


def test_without_a_trial_it_is_not_known_what_a_watch_finds() -> None:
    assert detects() == dict.fromkeys(RAILS)
    assert detects(Stretch(0, 0.2, arm(0), arm(0))) == dict.fromkeys(RAILS)


def test_the_arm_most_like_the_holdback_says_how_much_calls_vary() -> None:
    small, large = arm(300), arm(90_000, errors=50)
    found = detects(Stretch(0, 0.01, arm(20), large), Stretch(1, 0.2, small, large))
    assert found["error_rate"] == smallest_harm(PLAN, RAILS["error_rate"], small, 0.2)
    assert set(found) == set(RAILS)


def test_every_guardrail_is_found_out_beyond_its_margin_and_sooner_with_more_calls() -> None:
    for name, rail in RAILS.items():
        least = smallest_harm(PLAN, rail, arm(1000), 0.2, 400)
        more = smallest_harm(PLAN, rail, arm(1000), 0.2, 4000)
        assert least is not None and more is not None, name
        assert rail.margin < more < least, name


def test_units_that_call_often_are_not_counted_as_so_many() -> None:
    rail = RAILS["error_rate"]
    once, often = (smallest_harm(PLAN, rail, arm(4000 // each, each), 0.2, 400) for each in (1, 20))
    assert once is not None and often is not None
    assert often > once


@pytest.mark.parametrize("name", sorted(RAILS))
def test_a_watch_that_is_too_thin_finds_nothing(name: str) -> None:
    assert smallest_harm(PLAN, RAILS[name], arm(1000), 0.2, 10) is None
