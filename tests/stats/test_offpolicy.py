"""Estimates from another policy's log are near the truth, their intervals hold it, and what cannot be known is not guessed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from meliora.stats.offpolicy import UNKNOWN, doubly_robust, self_normalised, stabilising, student, supported

QUALITY = np.array([0.3, 0.5, 0.8])
TARGET = np.array([0.1, 0.1, 0.8])
TRUTH = float(TARGET @ QUALITY)


def log(rng: np.random.Generator, n: int, served: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give ratio, reward and action of a log whose propensities are `served` [n, 3]."""
    action = (rng.random(n)[:, None] > np.cumsum(served, axis=1)).sum(axis=1).clip(0, 2)
    reward = (rng.random(n) < QUALITY[action]).astype(float)
    return TARGET[action] / served[np.arange(n), action], reward, action


def adaptive(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A log of epsilon-greedy: what has the best mean so far gets nine in ten, and the best mean depends on luck."""
    sums, counts = np.full(3, 0.5), np.ones(3)
    served, action, reward = np.zeros((n, 3)), np.zeros(n, int), np.zeros(n)
    for row in range(n):
        served[row] = 0.1 / 3
        served[row, int((sums / counts).argmax())] += 0.9
        action[row] = min(2, int((rng.random() >= np.cumsum(served[row])).sum()))
        reward[row] = float(rng.random() < QUALITY[action[row]])
        sums[action[row]] += reward[row]
        counts[action[row]] += 1
    return TARGET[action] / served[np.arange(n), action], reward, action, served


def test_a_policy_s_own_log_gives_its_mean_reward() -> None:
    reward = np.array([0.0, 1.0, 1.0, 0.0])
    found = self_normalised(np.ones(4), reward)
    assert (found.value, found.ess, found.n) == (0.5, 4.0, 4)
    assert doubly_robust(np.ones(4), reward, np.zeros(4), np.zeros(4)).value == 0.5


def test_both_estimators_find_the_value_of_a_policy_that_never_served() -> None:
    served = np.tile([0.6, 0.3, 0.1], (20_000, 1))
    ratio, reward, action = log(np.random.default_rng(1), 20_000, served)
    assert self_normalised(ratio, reward).value == pytest.approx(TRUTH, abs=0.03)
    model = np.array([0.2, 0.6, 0.7])  # wrong on purpose
    found = doubly_robust(ratio, reward, model[action], np.full(20_000, float(TARGET @ model)))
    assert found.value == pytest.approx(TRUTH, abs=0.03)


def test_a_good_reward_model_makes_the_interval_narrower() -> None:
    served = np.tile([0.6, 0.3, 0.1], (2000, 1))
    ratio, reward, action = log(np.random.default_rng(2), 2000, served)
    with_model = doubly_robust(ratio, reward, QUALITY[action], np.full(2000, TRUTH))
    without = doubly_robust(ratio, reward, np.zeros(2000), np.zeros(2000))
    assert with_model.high - with_model.low < 0.8 * (without.high - without.low)


def test_intervals_of_adaptive_logs_hold_the_truth() -> None:
    rng, held, runs = np.random.default_rng(3), 0, 100
    for _ in range(runs):
        ratio, reward, action, served = adaptive(rng, 200)
        weights = stabilising((TARGET**2 / served).sum(axis=1))
        model = np.array([0.5, 0.5, 0.5])
        found = doubly_robust(ratio, reward, model[action], np.full(200, 0.5), weights)
        held += found.low <= TRUTH <= found.high
    assert held / runs >= 0.89


def test_rows_from_a_time_of_little_support_count_less() -> None:
    spread = np.concatenate((np.full(500, 1.0), np.full(500, 25.0)))
    weights = stabilising(spread)
    assert weights[:400] == pytest.approx(1.0)
    assert weights[-1] == pytest.approx(1 / math.sqrt(25), rel=0.1)


@settings(deadline=None, max_examples=30)
@given(arrays.arrays(np.float64, st.integers(25, 60), elements=st.floats(0.01, 100)), st.data())
def test_a_weight_depends_on_no_row_that_comes_at_it_or_after_it(spread: np.ndarray, data: st.DataObject) -> None:
    row = data.draw(st.integers(21, len(spread) - 1))
    changed = spread.copy()
    changed[row:] *= data.draw(st.floats(0.5, 2))
    before, after = stabilising(spread), stabilising(changed)
    assert after[20 : row + 1] == pytest.approx(before[20 : row + 1])


def test_rows_on_which_the_log_hardly_ever_served_the_wanted_action_are_left_out() -> None:
    target = np.array([[0.0, 1.0], [0.5, 0.5], [0.97, 0.03]])
    served = np.array([[1.0, 0.0], [0.5, 0.5], [1.0, 0.0]])
    found = supported(target, served)
    assert found.rows.tolist() == [False, True, True]
    assert found.excluded_share == pytest.approx(1 / 3)
    assert found.target[2].tolist() == [1.0, 0.0]


def test_an_empty_log_says_nothing() -> None:
    nothing = np.zeros(0)
    assert self_normalised(nothing, nothing) is UNKNOWN
    assert doubly_robust(nothing, nothing, nothing, nothing) is UNKNOWN
    assert math.isnan(supported(np.zeros((0, 2)), np.zeros((0, 2))).excluded_share)
    assert len(stabilising(nothing)) == 0


def test_the_effective_sample_size_is_small_where_few_rows_carry_the_estimate() -> None:
    ratio = np.zeros(100)
    ratio[:2] = 50.0
    assert self_normalised(ratio, np.ones(100)).ess == pytest.approx(2)


@pytest.mark.parametrize(
    "wrong", [np.array([[0.5, 0.6]]), np.array([[-0.1, 1.0]]), np.array([[math.nan, 1.0]]), np.array([0.5, 0.5])]
)
def test_what_is_no_probability_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="served is no table of probabilities"):
        supported(np.array([[0.5, 0.5]]), wrong)
    with pytest.raises(ValueError, match="one row a decision"):
        supported(np.array([[0.5, 0.5]]), np.array([[0.2, 0.3, 0.5]]))


@pytest.mark.parametrize(("freedom", "point"), [(4, 2.776), (10, 2.228), (30, 2.042), (1e6, 1.960)])
def test_student_s_points_are_those_of_the_tables(freedom: float, point: float) -> None:
    assert student(freedom) == pytest.approx(point, rel=0.005)
