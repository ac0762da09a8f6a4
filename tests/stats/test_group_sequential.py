"""Boundaries are the published ones, spend what they may, and refuse what cannot be integrated."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meliora.stats.group_sequential import LEAST_STEP, boundaries, repeated_p_value, spaced, spent
from meliora.stats.special import normal_cdf, normal_quantile


def test_five_equal_looks_have_the_published_boundaries():
    published = [4.8769, 3.3569, 2.6803, 2.2898, 2.0310]  # Lan-DeMets, O'Brien-Fleming, .05 on two sides
    assert boundaries([0.2, 0.4, 0.6, 0.8, 1.0], 0.05) == pytest.approx(published, abs=3e-4)
    assert boundaries([0.2, 0.4, 0.6, 0.8, 1.0], 0.025, 1) == pytest.approx(published, abs=3e-4)


def test_one_look_at_the_horizon_is_the_plain_test():
    assert boundaries([1.0], 0.05)[0] == pytest.approx(normal_quantile(0.975), abs=1e-6)
    assert boundaries([1.3], 0.05) == boundaries([1.0], 0.05)


@settings(max_examples=10)
@given(st.sets(st.integers(1, 20), min_size=1, max_size=6))
def test_uneven_looks_keep_the_level(places):
    fractions = sorted(place / 20 for place in places | {20})
    edges = boundaries(fractions, 0.05)
    steps = np.diff([0.0, *fractions])
    scores = (np.random.default_rng(2).standard_normal((40000, len(steps))) * np.sqrt(steps)).cumsum(axis=1)
    crossed = (np.abs(scores) / np.sqrt(fractions) > edges).any(axis=1).mean()
    assert crossed == pytest.approx(0.05, abs=0.005)


@given(st.floats(0, 2), st.floats(0, 2), st.floats(0.001, 0.4))
def test_what_is_spent_grows_up_to_alpha(one, other, alpha):
    assert spent(min(one, other), alpha) <= spent(max(one, other), alpha) <= alpha * (1 + 1e-9)
    assert spent(1.0, alpha) == pytest.approx(alpha)


@pytest.mark.parametrize("fractions", [[0.5, 0.4], [0.5, 0.5], [0.5, 0.505], [0.0, 1.0], [0.5, 1.0, 1.2], [math.nan]])
def test_looks_that_do_not_ascend_are_refused(fractions):
    with pytest.raises(ValueError, match="looks ascend"):
        boundaries(fractions, 0.05)


def test_an_early_look_has_no_boundary_to_reach():
    assert boundaries([0.02, 1.0], 0.05)[0] == math.inf
    with pytest.raises(ValueError, match="not negative"):
        spent(-0.1, 0.05)
    with pytest.raises(ValueError, match="alpha lies"):
        spent(0.1, 0.0)


@settings(max_examples=30)
@given(st.lists(st.floats(0, 1.5), max_size=30))
def test_looks_at_any_times_are_thinned_to_ones_that_can_be_taken(fractions):
    kept = spaced(fractions)
    assert len(boundaries(kept, 0.05)) == len(kept)
    for count in range(len(fractions)):
        assert spaced(fractions[:count]) == kept[: len(spaced(fractions[:count]))]
    assert all(later - earlier >= LEAST_STEP for earlier, later in pairwise(kept))


def test_the_repeated_p_value_crosses_where_the_boundary_does():
    edge = boundaries([0.5, 1.0], 0.025, 1)
    assert (
        repeated_p_value([0.0, edge[1] + 0.01], [0.5, 1.0])
        < 0.025
        < repeated_p_value([0.0, edge[1] - 0.01], [0.5, 1.0])
    )
    assert repeated_p_value([0.3], [1.0]) == pytest.approx(1 - float(normal_cdf(0.3)), rel=1e-3)
    assert repeated_p_value([-1.0], [1.0]) == 1.0
    assert repeated_p_value([9.0], [1.0]) == 1e-8
