"""Quantiles of merged histograms are bounded at all times, and their variance is that of repeated samples."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meliora.stats.contrast import Stage, contrast
from meliora.stats.histogram import LogHistogram
from meliora.stats.quantiles import difference_bounds, quantile_bounds, quantile_point, rank_bounds


def histogram(values) -> LogHistogram:
    made = LogHistogram()
    for value in values:
        made.add(float(value))
    return made


def test_the_variance_of_a_quantile_is_that_of_repeated_samples():
    rng = np.random.default_rng(2)
    found = [quantile_point(histogram(rng.lognormal(0, 1, 1000)), 0.9, 1000) for _ in range(300)]
    spread = np.std([float(point.value) for point in found])
    assert np.mean([math.sqrt(float(point.variance)) for point in found]) == pytest.approx(spread, rel=0.12)


def test_a_slower_tail_is_seen_by_the_contrast_of_a_trial():
    rng = np.random.default_rng(3)
    arms = [quantile_point(histogram(scale * rng.lognormal(0, 0.5, 3000)), 0.95, 3000) for scale in (1.0, 1.3)]
    assert float(contrast([Stage(*arms)]).z()) > 4


def test_an_unseen_tail_is_unknown_and_a_design_effect_widens():
    few = histogram(range(1, 100))
    assert math.isnan(float(quantile_point(few, 0.95, 99).value))
    assert math.isnan(float(quantile_point(LogHistogram(), 0.5, 0).value))
    many = histogram(range(1, 2000))
    narrow, wide = (float(quantile_point(many, 0.9, 1999, design).variance) for design in (1.0, 4.0))
    assert wide > 3 * narrow
    assert math.isnan(float(quantile_point(many, 0.9, 1999, math.inf).value))
    same = quantile_point(histogram([5.0] * 1000), 0.5, 1000)
    assert float(same.variance) > 0


@pytest.mark.parametrize(("q", "design"), [(0.0, 1.0), (1.0, 1.0), (0.5, 0.5), (0.5, math.nan)])
def test_what_is_no_quantile_is_refused(q, design):
    with pytest.raises(ValueError, match="q lies between"):
        quantile_point(LogHistogram(), q, 10, design)


@given(st.integers(0, 5000), st.floats(0.05, 0.99), st.floats(0.001, 0.2))
def test_rank_bounds_enclose_what_is_expected(count, q, alpha):
    low, high = rank_bounds(count, q, alpha, 1000)
    assert 0 <= low <= count * q <= high + 1
    assert high <= count


def test_bounds_hold_at_all_times_together():
    rng = np.random.default_rng(9)
    looks = [10, 20, 40, 80, 150, 300, 600, 1000, 1500, 2000]
    ranks = {n: rank_bounds(n, 0.9, 0.05, 500) for n in range(1, 2001)}
    low, high = np.array([ranks[n] for n in range(1, 2001)]).T
    below = (rng.random((1000, 2000)) < 0.9).cumsum(axis=1)
    left = ((below < low) | (below > high)).any(axis=1).mean()
    assert left < 0.05
    values = rng.exponential(1, 2000)
    for n in looks:
        bound = quantile_bounds(histogram(values[:n]), 0.9)
        assert bound.low <= -math.log(0.1) <= bound.high
    assert quantile_bounds(histogram(values[:10]), 0.9).high == math.inf
    assert quantile_bounds(LogHistogram(), 0.9).low == -math.inf


def test_a_difference_of_quantiles_is_bounded():
    rng = np.random.default_rng(10)
    old, new = histogram(rng.lognormal(0, 0.5, 5000)), histogram(2 * rng.lognormal(0, 0.5, 5000))
    bound = difference_bounds(old, new, 0.95, target=5000)
    truth = math.exp(0.5 * 1.644854)
    assert 0 < bound.low < truth < bound.high
    assert difference_bounds(old, old, 0.95).low < 0 < difference_bounds(old, old, 0.95).high
