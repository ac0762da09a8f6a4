"""What is said of a move is what scipy and a simulation say of it: alarms in quiet samples as rare as promised, planted moves seen."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from meliora.stats.drift import HALF, population_stability, share_rise_z, standardised_difference

BINS = st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 10_000)), min_size=1, max_size=20)
SIZES = [(200, 200), (200, 4800), (40, 960), (4800, 200)]
"""Searches now and before. A gate's window is held against 24 before it."""


def test_a_difference_is_told_in_standard_deviations():
    rng = np.random.default_rng(1)
    before, now = rng.normal(3, 2, 20_000), rng.normal(4, 2, 20_000)
    found = standardised_difference(float(before.mean()), float(now.mean()), float(before.std()))
    assert found == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(
    "of", [(1.0, 2.0, 0.0), (1.0, 2.0, -1.0), (math.nan, 2.0, 1.0), (1.0, math.inf, 1.0), (1.0, 2.0, math.nan)]
)
def test_without_a_deviation_a_difference_is_unknown(of):
    assert standardised_difference(*of) is None


@given(BINS)
def test_stability_is_the_divergence_both_ways(bins):
    before, now = ([pair[at] for pair in bins] for at in (0, 1))
    p, q = ([count + HALF for count in side] for side in (before, now))
    there_and_back = scipy_stats.entropy(p, q) + scipy_stats.entropy(q, p)  # scipy makes shares of them
    assert population_stability(before, now) == pytest.approx(there_and_back, rel=1e-9, abs=1e-12)
    assert population_stability(before, now) == pytest.approx(population_stability(now, before), rel=1e-9, abs=1e-12)
    assert population_stability(before, before) == 0


@pytest.mark.parametrize("shares", [[0.1] * 10, [0.4, 0.3, 0.2, 0.07, 0.03]])
def test_stability_of_quiet_samples_is_that_of_chi_squared(shares):
    """Scaled by the sizes, the index of two drawings of the same is chi-squared (Kullback, 1959): so its alarms can be counted."""
    rng = np.random.default_rng(2)
    n, m = 2000, 500
    bar = scipy_stats.chi2.ppf(0.99, len(shares) - 1) * (1 / n + 1 / m)
    found = [
        population_stability(rng.multinomial(n, shares).tolist(), rng.multinomial(m, shares).tolist())
        for _ in range(4000)
    ]
    assert np.mean(found) == pytest.approx((len(shares) - 1) * (1 / n + 1 / m), rel=0.06)
    assert 0.006 <= np.mean(np.array(found) > bar) <= 0.014


def test_stability_sees_a_moved_distribution_whatever_the_sizes():
    rng = np.random.default_rng(3)
    edges = np.linspace(-4, 4, 11)
    before, quiet, moved = (np.histogram(rng.normal(by, 1, 5000), edges)[0] for by in (0.0, 0.0, 0.5))
    assert population_stability(before.tolist(), quiet.tolist()) < 0.02
    # Of two normals half a deviation apart Jeffreys' divergence is the square of it.
    assert population_stability(before.tolist(), moved.tolist()) == pytest.approx(0.25, rel=0.15)


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        ([1, 2], [1], "give the same"),
        ([], [], "at least one"),
        ([1, -1], [1, 1], "negative"),
        ([1], [math.nan], "not finite"),
    ],
)
def test_bins_that_hold_no_counts_are_refused_by_name(before, now, said):
    with pytest.raises(ValueError, match=said):
        population_stability(before, now)


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("share", [0.002, 0.01, 0.05, 0.3, 0.9])
@pytest.mark.parametrize("z", [1.645, 2.75, 4.0])
def test_a_share_that_did_not_rise_seldom_scores_as_one_that_did(sizes, share, z):
    """The chance is added up over all that two binomials can come to, and not drawn."""
    now, before = sizes
    sides = [(np.arange(n + 1), scipy_stats.binom.pmf(np.arange(n + 1), n, share)) for n in sizes]
    some, often = ([(int(k), float(p)) for k, p in zip(*side, strict=True) if p > 1e-7] for side in sides)
    beyond = sum(p * q for k, p in some for j, q in often if (share_rise_z(k, now, j, before) or 0.0) > z)
    assert beyond <= 1.1 * float(scipy_stats.norm.sf(z))


@pytest.mark.parametrize("sizes", SIZES)
def test_a_share_that_rose_scores(sizes):
    rng = np.random.default_rng(4)
    now, before = sizes
    rose = 0.05 + 0.2 * math.sqrt(200 / min(sizes))
    found = [share_rise_z(rng.binomial(now, rose), now, rng.binomial(before, 0.05), before) for _ in range(300)]
    assert np.mean([z is not None and z > 2.75 for z in found]) >= 0.95


@given(st.integers(1, 300), st.integers(1, 300), st.data())
def test_the_score_is_near_the_root_of_the_log_likelihood_ratio(now, before, data):
    """scipy corrects as Yates did as well, and gives the square."""
    k, j = data.draw(st.integers(0, now)), data.draw(st.integers(0, before))
    z = share_rise_z(k, now, j, before)
    assert z is not None
    if 0 < k + j < now + before:
        table = [[k, now - k], [j, before - j]]
        g = scipy_stats.chi2_contingency(table, correction=True, lambda_="log-likelihood").statistic
        assert abs(z) == pytest.approx(math.sqrt(max(0.0, g)), rel=1e-6, abs=1e-5)
        assert z == 0 or (z > 0) == (k * before > j * now)
    else:
        assert z == 0


@given(st.integers(1, 300), st.integers(1, 300), st.data())
def test_more_hits_now_never_score_less(now, before, data):
    j = data.draw(st.integers(0, before))
    found = [share_rise_z(k, now, j, before) or 0.0 for k in range(now + 1)]
    assert all(b >= a - 1e-6 for a, b in pairwise(found))


@pytest.mark.parametrize("empty", [(0, 0, 3, 10), (3, 10, 0, 0), (0, 0, 0, 0)])
def test_a_side_without_searches_is_unknown_and_no_rise(empty):
    assert share_rise_z(*empty) is None


@pytest.mark.parametrize(
    "hits", [(11, 10, 1, 10), (-1, 10, 1, 10), (1, 10, math.nan, 10), (1, math.inf, 1, 10), (1, -5, 1, 10)]
)
def test_hits_that_are_no_part_of_what_there_is_are_refused(hits):
    with pytest.raises(ValueError, match="from none to all"):
        share_rise_z(*hits)


def test_weights_that_round_off_are_no_error():
    third = 0.1 + 0.2  # a little more than .3
    assert share_rise_z(third, 0.3, 0.0, 5.0) is not None
