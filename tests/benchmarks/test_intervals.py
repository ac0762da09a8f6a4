"""Intervals of the benchmarks."""

from __future__ import annotations

import random

import pytest

from benchmarks import intervals


def test_a_mean_is_covered_by_its_interval_nineteen_times_in_twenty() -> None:
    rng = random.Random(1)
    covered = 0
    for _ in range(1000):
        found = intervals.mean([rng.gauss(5, 2) for _ in range(8)])
        covered += found.low <= 5 <= found.high
    assert 930 <= covered <= 970


def test_a_ratio_weighs_slices_by_what_they_held() -> None:
    found = intervals.ratio_of_sums([100, 300], [10, 10])
    assert found.value == 20
    assert intervals.ratio_of_sums([100, 100], [10, 10]).low == pytest.approx(10)


def test_one_sample_has_no_interval() -> None:
    with pytest.raises(ValueError, match="at least two"):
        intervals.mean([1.0])


def test_a_straight_line_has_its_slope_without_doubt() -> None:
    found = intervals.slope([0, 1, 2, 3, 4], [7, 9, 11, 13, 15])
    assert (found.value, found.low, found.high) == (2, 2, 2)


def test_a_slope_is_less_certain_where_neighbours_resemble_each_other() -> None:
    xs = list(range(60))
    rng = random.Random(3)
    apart = [rng.gauss(0, 1) for _ in xs]
    alike = [sum(apart[max(0, i - 9) : i + 1]) / 3 for i in xs]
    spread = intervals.slope(xs, apart)
    drift = intervals.slope(xs, alike)
    assert drift.high - drift.low > 1.5 * (spread.high - spread.low)


def test_a_shift_of_all_samples_is_the_difference_of_their_quantiles() -> None:
    rng = random.Random(4)
    those = [rng.expovariate(1.0) for _ in range(500)]
    these = [x + 3 for x in those]
    found = intervals.quantile_difference(these, those, 0.5, rng=rng)
    assert found.value == pytest.approx(3)
    assert found.low < 3 < found.high


def test_the_same_seed_gives_the_same_interval() -> None:
    samples = [float(x * x % 97) for x in range(100)]
    first = intervals.quantile_difference(samples, samples[::2], 0.99, rng=random.Random(5))
    assert first == intervals.quantile_difference(samples, samples[::2], 0.99, rng=random.Random(5))


def test_a_quotient_carries_the_doubt_of_both_sides() -> None:
    found = intervals.quotient(intervals.Estimate(100, 97, 103, 9), intervals.Estimate(50, 48, 52, 9))
    assert found.value == 2
    assert found.high - 2 == pytest.approx(2 * 0.05)
