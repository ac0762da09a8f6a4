"""What a decision adds is a difference, and as uncertain as both of its sides."""

import pytest

from benchmarks.gateway.saturate import Saturation
from benchmarks.intervals import Estimate
from benchmarks.routing.decision import added


def saturation(value: float, half: float) -> Saturation:
    return Saturation(Estimate(1.0, 1.0, 1.0, 2), Estimate(value, value - half, value + half, 10), 1.0, 100)


def test_the_cost_of_auto_is_what_it_takes_over_a_named_model_with_both_intervals() -> None:
    found = added(saturation(900.0, 30.0), saturation(600.0, 40.0))
    assert found.value == 300.0
    assert (found.low, found.high) == (pytest.approx(250.0), pytest.approx(350.0))
    assert found.n == 20
