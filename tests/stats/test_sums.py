"""Sums hold all that the values say of the mean, and units are what counts."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meliora.stats.sums import Sums, design_effect

VALUES = st.lists(st.floats(-100, 100), min_size=2, max_size=40)


@given(VALUES)
def test_the_mean_and_its_variance_are_those_of_the_values(values):
    point = Sums.of(values).point()
    assert point.value == pytest.approx(np.mean(values), abs=1e-9)
    assert point.variance == pytest.approx(np.var(values, ddof=1) / len(values), rel=1e-6, abs=1e-8)


@given(VALUES, VALUES)
def test_sums_of_two_groups_of_units_add_up(some, others):
    together = (Sums.of(some) + Sums.of(others)).point()
    assert together.value == pytest.approx(Sums.of(some + others).point().value, abs=1e-9)


def test_the_variance_of_a_ratio_is_by_unit_and_covers_the_truth():
    rng = np.random.default_rng(4)
    covered = 0
    for _ in range(400):
        rates, calls = rng.beta(2.8, 1.2, 200), rng.integers(1, 41, 200)
        point = Sums.of(rng.binomial(calls, rates), calls).point()
        covered += abs(float(point.value) - 0.7) < 1.96 * math.sqrt(float(point.variance))
    assert 0.92 <= covered / 400 <= 0.98


def test_a_user_with_most_of_the_calls_counts_as_one():
    point = Sums.of([5000.0] + [1.0] * 500, [10000] + [2] * 500).point()
    assert float(point.units) < 2
    assert Sums.of([1.0, 0.0, 1.0]).point().units == 3


def test_arrays_are_worked_through_trial_by_trial():
    units = np.array([10.0, 1.0])
    point = Sums.of_rate(units, np.array([4.0, 1.0])).point()
    assert np.allclose(point.value, [0.4, np.nan], equal_nan=True)
    assert np.isnan(np.asarray(point.variance)[1])


def test_calls_of_one_user_say_less_than_as_many_of_many():
    rng = np.random.default_rng(5)
    calls = np.full(2000, 11)
    alike = design_effect(Sums.of(rng.binomial(calls, rng.beta(2.8, 1.2, 2000)), calls))
    assert alike == pytest.approx(1 + 10 * 0.2, abs=0.25)
    assert design_effect(Sums.of(rng.binomial(calls, 0.7), calls)) == pytest.approx(1.0, abs=0.12)
    assert design_effect(Sums.of([0.0] * 20, calls[:20])) == math.inf
    assert design_effect(Sums.of([])) == math.inf


def test_a_share_of_all_or_none_still_varies():
    assert Sums.of_rate(50.0, 50.0).point().variance == 0
    point = Sums.of_rate(50.0, 50.0).rate_point()
    assert point.value == 1
    assert 0 < float(point.variance) < 0.001
    none = Sums.of([0.0] * 50, [10] * 50).rate_point()
    assert float(none.variance) == pytest.approx(1 / 500**2, rel=0.02)


def test_nothing_is_known_of_one_unit_or_of_none():
    for sums in (Sums.of([]), Sums.of([3.0]), Sums.of([1.0, 2.0], [0, 0])):
        assert math.isnan(float(sums.point().value))
    assert math.isnan(float(Sums.of_rate(1.0, 1.0).rate_point().value))


@pytest.mark.parametrize(("values", "counts"), [([math.nan, 1.0], None), ([1.0], [1, 2]), ([1.0], [-1])])
def test_what_is_missing_is_not_made_zero(values, counts):
    with pytest.raises(ValueError, match="finite"):
        Sums.of(values, counts)
