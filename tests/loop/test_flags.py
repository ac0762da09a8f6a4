"""A flag answers the same unit the same, and grows by adding units only."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meliora.errors import InvalidRequest
from meliora.loop.flags import Flag, checked, evaluate, place

UNITS = [f"user-{number}" for number in range(4000)]


def on(flag: Flag, unit: str | None = "ann", salt: str = "s", **attributes: object) -> bool:
    return evaluate(flag, unit, attributes, salt).on


def test_a_flag_is_off_until_it_is_enabled() -> None:
    assert not on(Flag(name="f")) and on(Flag(name="f", enabled=True))


@pytest.mark.parametrize("percentage", [0.0, 1.0, 20.0, 50.0, 99.0, 100.0])
def test_a_share_of_units_gets_it(percentage: float) -> None:
    flag = Flag(name="f", enabled=True, rollout_percentage=percentage)
    share = sum(on(flag, unit) for unit in UNITS) / len(UNITS) * 100
    assert abs(share - percentage) <= 3 * 100 * math.sqrt(percentage / 100 * (1 - percentage / 100) / len(UNITS)) + 1e-9


@given(st.floats(0, 100), st.floats(0, 100), st.text(min_size=1))
def test_raising_the_percentage_only_adds_units(one: float, other: float, unit: str) -> None:
    low, high = sorted((one, other))
    if on(Flag(name="f", enabled=True, rollout_percentage=low), unit):
        assert on(Flag(name="f", enabled=True, rollout_percentage=high), unit)


def test_flags_and_deployments_draw_their_units_independently() -> None:
    half = [place("f", unit, "s") < 0.5 for unit in UNITS]
    for other in ([place("g", unit, "s") < 0.5 for unit in UNITS], [place("f", unit, "t") < 0.5 for unit in UNITS]):
        same = sum(a == b for a, b in zip(half, other, strict=True)) / len(UNITS)
        assert abs(same - 0.5) < 0.04


def test_without_a_unit_a_partial_rollout_is_off() -> None:
    assert not on(Flag(name="f", enabled=True, rollout_percentage=99.9), None)
    assert on(Flag(name="f", enabled=True), None)


def test_conditions_must_all_hold() -> None:
    flag = Flag(name="f", enabled=True, conditions={"tenant": ["acme", "beta"], "paying": True})
    assert on(flag, tenant="acme", paying=True)
    assert not on(flag, tenant="acme", paying=False)
    assert not on(flag, tenant="acme", paying=1), "1 is no truth value"
    assert not on(flag, paying=True) and not on(flag)
    assert evaluate(flag, "ann", {}, "s").reason == "condition"


@pytest.mark.parametrize(
    "values",
    [
        {"name": ""},
        {"name": "two words"},
        {"rollout_percentage": math.nan},
        {"rollout_percentage": 100.1},
        {"rollout_percentage": -1},
        {"conditions": {"a": {"b": 1}}},
        {"conditions": {"a": [None]}},
    ],
)
def test_what_makes_no_sense_is_refused(values) -> None:
    with pytest.raises(InvalidRequest):
        checked(Flag(**{"name": "f"} | values))
