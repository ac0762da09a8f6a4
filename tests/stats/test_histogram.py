"""Quantiles stay within half a percent of exact ones, whatever is counted and however it is merged."""

from __future__ import annotations

import json
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meliora.stats.histogram import ACCURACY, LogHistogram

SHARES = [0.0, 0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 1.0]
MAGNITUDES = st.floats(min_value=1e-6, max_value=1e300)
NUMBERS = st.one_of(MAGNITUDES, st.integers(0, 10**12).map(float), st.sampled_from([0.0, 1.0, 1e-9, 5e-324]))
SIGNED = st.one_of(NUMBERS, NUMBERS.map(lambda value: -value))


def exact(values: list[float], q: float) -> tuple[float, float]:
    """Give numpy's default quantile and the larger of the two magnitudes it lies between."""
    ordered = sorted(values)
    place = q * (len(ordered) - 1)
    below = min(int(place), len(ordered) - 1)
    above = min(below + 1, len(ordered) - 1) if place > below else below
    low, high = ordered[below], ordered[above]
    part = place - below
    return (low if low == high else low * (1 - part) + high * part), max(abs(low), abs(high))


def filled(values: list[float]) -> LogHistogram:
    histogram = LogHistogram()
    for value in values:
        histogram.add(value)
    return histogram


@settings(max_examples=200)
@given(st.lists(NUMBERS, min_size=1, max_size=60))
def test_a_quantile_of_positive_numbers_is_within_half_a_percent(values: list[float]) -> None:
    for q, found in zip(SHARES, filled(values).quantiles(SHARES), strict=True):
        true, _ = exact(values, q)
        assert found == pytest.approx(true, rel=ACCURACY * 1.001, abs=1e-8)


@settings(max_examples=200)
@given(st.lists(SIGNED, min_size=1, max_size=60))
def test_with_both_signs_the_error_is_half_a_percent_of_the_larger_neighbour(values: list[float]) -> None:
    for q, found in zip(SHARES, filled(values).quantiles(SHARES), strict=True):
        true, magnitude = exact(values, q)
        assert abs(found - true) <= ACCURACY * 1.001 * magnitude + 1e-8


@pytest.mark.parametrize(
    "draw",
    [
        lambda r: r.lognormvariate(0, 3),
        lambda r: r.paretovariate(0.7),
        lambda r: r.expovariate(0.001),
        lambda r: r.choice([1.0, 1.0, 1.0, 1e7]),
        lambda r: r.gauss(100, 1),
        lambda r: float(r.random() < 0.5) * r.weibullvariate(1e6, 0.3),
    ],
    ids=["lognormal", "pareto", "exponential", "two points", "narrow", "half zero"],
)
def test_percentiles_of_nasty_distributions_are_within_one_percent(draw) -> None:
    source = random.Random(7)
    values = [draw(source) for _ in range(20_000)]
    histogram = filled(values)
    for q in (0.5, 0.95, 0.99):
        assert histogram.quantile(q) == pytest.approx(exact(values, q)[0], rel=0.01, abs=1e-8)


@given(st.lists(st.lists(SIGNED, max_size=20), max_size=6))
def test_merging_parts_is_the_same_as_counting_all(parts: list[list[float]]) -> None:
    merged = LogHistogram()
    for part in parts:
        merged.merge(LogHistogram.from_json(json.loads(json.dumps(filled(part).to_json()))))
    whole = filled([value for part in parts for value in part])
    assert (merged.count, merged.zeros, merged.positive, merged.negative) == (
        whole.count,
        whole.zeros,
        whole.positive,
        whole.negative,
    )
    assert merged.quantiles(SHARES) == whole.quantiles(SHARES)


def test_nothing_counted_has_no_quantile_and_no_mean() -> None:
    empty = LogHistogram.from_json(LogHistogram().to_json())
    assert empty.quantile(0.5) is None
    assert empty.mean() is None


def test_the_extremes_are_exact() -> None:
    histogram = filled([0.1234567, 7.0, 99.987654])
    assert histogram.quantiles([0, 1]) == [0.1234567, 99.987654]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_refused_and_counts_nothing(value: float) -> None:
    histogram = LogHistogram()
    with pytest.raises(ValueError, match="finite"):
        histogram.add(value)
    assert histogram.count == 0


def test_a_histogram_of_another_format_is_refused() -> None:
    with pytest.raises(ValueError, match="format 2"):
        LogHistogram.from_json({"v": 2, "n": 0})


def test_a_thousand_buckets_are_enough_for_a_microsecond_to_an_hour() -> None:
    histogram = filled([10 ** (place / 100) for place in range(956)])
    assert len(histogram.positive) < 1000
