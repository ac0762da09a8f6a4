"""Daily sums carried on: by the best of three robust methods, with intervals that hold."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meliora.stats.forecast import LEAST_DAYS, WEEK, forecast

AMOUNTS = st.lists(st.floats(0, 1e6), min_size=LEAST_DAYS, max_size=60)


@given(AMOUNTS, st.integers(1, 14))
@settings(max_examples=60, deadline=None)
def test_a_forecast_is_never_negative_and_lies_within_its_interval(history: list[float], horizon: int) -> None:
    found = forecast(history, horizon)
    assert found is not None and len(found.days) == horizon
    for day in (*found.days, found.total):
        assert day.value >= 0
        if day.low is not None and day.high is not None:
            assert 0 <= day.low <= day.value <= day.high


@given(AMOUNTS, st.sampled_from([0.25, 4.0, 1024.0]))
@settings(max_examples=40, deadline=None)
def test_another_currency_changes_only_the_unit(history: list[float], rate: float) -> None:
    one, other = forecast(history, 7), forecast([value * rate for value in history], 7)
    assert one is not None and other is not None
    if one.method == other.method:  # rounding may tip a tie
        assert [day.value for day in other.days] == pytest.approx([day.value * rate for day in one.days], rel=1e-9)


def test_too_short_a_history_gives_none() -> None:
    assert forecast([1.0] * (LEAST_DAYS - 1), 7) is None


@pytest.mark.parametrize(
    ("history", "horizon", "coverage"), [([1.0] * 9, 0, 0.8), ([1.0] * 9, 7, 1.0), ([1.0] * 8 + [-1.0], 7, 0.8)]
)
def test_what_makes_no_sense_is_refused(history: list[float], horizon: int, coverage: float) -> None:
    with pytest.raises(ValueError):
        forecast(history, horizon, coverage)


def test_a_series_that_repeats_by_the_week_is_known_exactly() -> None:
    week = [10.0, 12.0, 11.0, 10.0, 9.0, 2.0, 1.0]
    found = forecast(week * 5, 9)
    assert found is not None
    assert [day.value for day in found.days] == pytest.approx((week * 2)[:9])
    assert (found.total.low, found.total.high) == pytest.approx((sum((week * 2)[:9]),) * 2)


def test_a_wild_day_does_not_move_the_days_to_come() -> None:
    calm = [10.0] * 27
    found = forecast([*calm, 5_000.0], 7)
    assert found is not None
    assert max(day.value for day in found.days) < 20


def test_few_days_give_a_value_without_an_interval() -> None:
    found = forecast([3.0] * (LEAST_DAYS + 1), 7)
    assert found is not None
    assert found.days[0].value == 3.0
    assert (found.total.low, found.total.high, found.total.tried) == (None, None, 0)


def _weekly(rng: random.Random, days: int) -> list[float]:
    shape = [1.0, 1.1, 1.05, 1.0, 0.9, 0.3, 0.2]
    return [100 * shape[day % WEEK] * rng.lognormvariate(0, 0.25) for day in range(days)]


def test_the_interval_covers_about_what_it_says_and_the_week_is_seen() -> None:
    rng = random.Random(11)
    inside = total = 0
    seasonal = 0
    for _ in range(40):
        series = _weekly(rng, 77)
        found = forecast(series[:70], 7, 0.8)
        assert found is not None
        seasonal += found.method != "level"
        for day, came in zip(found.days, series[70:], strict=True):
            assert day.low is not None and day.high is not None
            inside += day.low <= came <= day.high
            total += 1
    assert 0.72 <= inside / total <= 0.92, inside / total
    assert seasonal >= 38
