"""A wrong split is found, a right one left alone, each stage by its own allocation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meliora.stats.srm import Split, log_e_value, mismatch


def test_a_stage_is_held_against_its_own_allocation():
    stages = [Split((9500, 500), (0.95, 0.05)), Split((5000, 5000), (0.5, 0.5))]
    assert not mismatch(stages)
    assert mismatch([Split((14500, 5500), (0.5, 0.5))])
    assert mismatch([stages[0], Split((5300, 4700), (0.5, 0.5))])


def test_three_arms_and_no_units():
    assert log_e_value([]) == 0
    assert log_e_value([Split((0, 0, 0), (0.5, 0.25, 0.25))]) == 0
    assert mismatch([Split((500, 250, 400), (0.5, 0.25, 0.25))])


@given(st.integers(1, 30), st.floats(0.05, 0.95))
def test_evidence_is_one_on_average_whatever_the_allocation(count, share):
    chances = [math.comb(count, hits) * share**hits * (1 - share) ** (count - hits) for hits in range(count + 1)]
    found = [log_e_value([Split((hits, count - hits), (share, 1 - share))]) for hits in range(count + 1)]
    assert sum(p * math.exp(float(e)) for p, e in zip(chances, found, strict=True)) == pytest.approx(1.0)


def test_arrays_are_many_trials():
    units = (np.array([5000.0, 5400.0]), np.array([5000.0, 4600.0]))
    found = np.asarray(log_e_value([Split(units, (0.5, 0.5))]))
    assert found[0] < 0
    assert found[1] > math.log(1000)


@pytest.mark.parametrize(
    ("units", "shares"),
    [((1, 2), (0.5,)), ((1, 2), (0.5, 0.6)), ((1, 2), (0.0, 1.0)), ((-1, 2), (0.5, 0.5)), ((1,), (1.0,))],
)
def test_what_is_no_split_is_refused(units, shares):
    with pytest.raises(ValueError, match=r"shares|negative"):
        Split(units, shares)
