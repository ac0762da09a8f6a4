"""Every candidate's chance is exact, adds up, keeps its floor and stays under the cap."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meliora.routing.learned.explore import OFF, Exploration, draw, preferred, propensities

UTILITIES = st.lists(st.one_of(st.floats(-2, 2), st.just(math.nan)), min_size=1, max_size=12)


@given(UTILITIES, st.floats(0, 1), st.floats(0, 0.1), st.floats(0.1, 0.9), st.floats(0, 3))
def test_propensities_add_up_and_stay_between_floor_and_cap(
    utility: list[float], spread: float, floor: float, cap: float, caution: float
) -> None:
    values, spreads = np.array(utility), np.full(len(utility), spread)
    if np.isnan(values).all():
        with pytest.raises(ValueError, match="known price"):
            preferred(values, spreads, None, caution)
        return
    best = preferred(values, spreads, 0, caution)
    found = np.array(propensities(values, spreads, best, Exploration(floor, cap, caution)))
    assert found.sum() == pytest.approx(1)
    assert found[best] >= 1 - cap - 1e-9
    others = np.delete(found, best)
    if len(others):
        assert others.min() >= min(floor, cap / len(others)) - 1e-12


def test_a_candidate_is_tried_as_often_as_it_may_be_the_better_one() -> None:
    found = propensities(np.array([0.8, 0.7, 0.2]), np.array([0.1, 0.1, 0.1]), 0, Exploration(0.0, 0.5, loss=1.0))
    assert found[1] == pytest.approx(0.2398, abs=1e-3)  # the normal probability beyond 1/sqrt(2)
    assert found[2] < 1e-4


def test_what_is_far_behind_is_tried_so_seldom_that_little_is_lost() -> None:
    utility, rule = np.array([0.8, 0.79, 0.3]), Exploration(0.0, 0.5, loss=0.001)
    found = propensities(utility, np.array([0.2, 0.2, 0.2]), 0, rule)
    assert float(found @ (0.8 - utility)) == pytest.approx(0.001)
    near = propensities(utility[:2], np.array([0.2, 0.2]), 0, rule)
    assert near[1] == pytest.approx(0.1), "a tenth of the calls at a hundredth of quality is the same loss"


def test_without_exploration_the_preferred_one_is_certain() -> None:
    assert propensities(np.array([0.1, 0.9]), np.array([1.0, 1.0]), 1, OFF) == [0.0, 1.0]


def test_caution_keeps_the_reference_until_another_is_better_beyond_doubt() -> None:
    utility = np.array([0.70, 0.75])
    assert preferred(utility, np.array([0.1, 0.1]), 0, 0.0) == 1
    assert preferred(utility, np.array([0.1, 0.1]), 0, 1.0) == 0
    assert preferred(utility, np.array([0.02, 0.02]), 0, 1.0) == 1


def test_a_candidate_of_unknown_price_is_never_preferred_but_keeps_its_floor() -> None:
    utility, spread = np.array([math.nan, 0.5]), np.array([0.1, 0.1])
    assert preferred(utility, spread, None, 0.0) == 1
    assert propensities(utility, spread, 1, Exploration(0.01, 0.1))[0] == pytest.approx(0.01)


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=8).filter(lambda p: sum(p) > 0.1), st.floats(0, 1, exclude_max=True)
)
def test_a_draw_never_takes_what_has_no_probability(weights: list[float], uniform: float) -> None:
    probabilities = np.array(weights) / sum(weights)
    assert probabilities[draw(probabilities, uniform)] > 0


def test_draws_follow_the_probabilities() -> None:
    probabilities = np.array([0.1, 0.0, 0.6, 0.3])
    drawn = [draw(probabilities, (step + 0.5) / 1000) for step in range(1000)]
    assert [drawn.count(index) for index in range(4)] == [100, 0, 600, 300]


def test_a_loss_below_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="loss"):
        Exploration(loss=-0.1)


@pytest.mark.parametrize(("floor", "cap"), [(-0.1, 0.5), (0.6, 0.5), (0.1, 1.0), (math.nan, 0.5)])
def test_a_floor_over_the_cap_is_refused(floor: float, cap: float) -> None:
    with pytest.raises(ValueError, match="floor"):
        Exploration(floor, cap)
