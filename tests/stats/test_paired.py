"""The same queries twice: pairing sees what two separate samples do not."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meliora.stats.paired import best_flip, compare, sign_flip, skewed
from meliora.stats.special import student_cdf


def test_a_small_loss_on_the_same_queries_is_seen():
    rng = np.random.default_rng(3)
    before = rng.random(200)
    after = before - 0.03 + rng.normal(0, 0.05, 200)
    found = compare(before.tolist(), after.tolist())
    assert found.high is not None and found.high < 0
    assert found.p_different is not None and found.p_different < 0.001
    assert found.p_better is not None and found.p_better > 0.99
    assert compare(before.tolist(), after.tolist(), margin=-0.1).p_better == pytest.approx(1e-4)


def test_without_an_effect_few_are_called_different():
    rng = np.random.default_rng(8)
    found = [compare(rng.exponential(1, 40).tolist(), rng.exponential(1, 40).tolist(), rounds=199) for _ in range(300)]
    assert np.mean([one.p_different is not None and one.p_different <= 0.05 for one in found]) < 0.085
    assert np.mean([one.low is not None and one.high is not None and one.low <= 0 <= one.high for one in found]) > 0.92


@given(st.lists(st.floats(-10, 10).filter(bool), min_size=1, max_size=10))
def test_few_pairs_are_counted_out(values):
    above, beyond = sign_flip(np.array(values))
    assert 2.0 ** -len(values) - 1e-12 <= above <= 1
    assert beyond <= 1
    assert (above * 2 ** len(values)) == pytest.approx(round(above * 2 ** len(values)))


def test_the_same_seed_gives_the_same_and_no_p_value_is_zero():
    values = np.linspace(0.5, 1.5, 50)
    assert sign_flip(values, rounds=99) == sign_flip(values, rounds=99) == (0.01, 0.01)
    assert sign_flip(np.zeros(20)) == (1.0, 1.0)


def test_too_few_pairs_say_nothing():
    found = compare([1.0] * 9, [2.0] * 9)
    assert found.pairs == 9
    assert found.difference is found.low is found.p_better is None


@pytest.mark.parametrize(("before", "after"), [([1.0], [1.0, 2.0]), ([math.nan], [1.0])])
def test_a_query_that_was_not_scored_is_no_pair(before, after):
    with pytest.raises(ValueError, match="finite ones a query"):
        compare(before, after)


def test_of_differences_without_skewness_the_corrected_t_is_students():
    values = np.array([-0.3, -0.1, 0.0, 0.1, 0.3]) + 0.05
    t = values.mean() / (values.std(ddof=1) / math.sqrt(5))
    assert skewed(values) == pytest.approx(1 - student_cdf(t, 4))


def test_small_gains_that_rare_losses_pay_for_are_no_gain():
    """The mean is 0: nine in ten gain .05, one loses .45. Sign flips take it for a gain too often, at any size."""
    rng = np.random.default_rng(5)
    for count in (60, 150):
        drawn = np.where(rng.random((1_000, count)) < 0.1, -0.45, 0.05)
        assert np.mean([sign_flip(one, rounds=999)[0] < 0.01 for one in drawn[:300]]) > 0.015
        assert np.mean([skewed(one) < 0.01 for one in drawn]) <= 0.01


def test_where_all_differ_by_the_same_there_is_no_doubt():
    assert (skewed([0.1] * 12), skewed([-0.1] * 12), skewed([0.0] * 12), skewed([0.5])) == (0.0, 1.0, 1.0, 1.0)


def test_the_best_of_several_without_an_effect_is_rarely_called_better():
    """Three of them, each as good as none: sign flips of the best one alone find too many."""
    rng = np.random.default_rng(11)
    alone = together = 0
    for trial in range(400):
        tried = rng.normal(0, 0.2, (3, 40)) + rng.normal(0, 0.1, 40)
        chosen, *beside = sorted(tried, key=lambda one: -one.sum())
        alone += sign_flip(chosen, rounds=499, seed=trial)[0] < 0.05
        together += best_flip(chosen, beside, rounds=499, seed=trial) < 0.05
    assert alone / 400 > 0.08
    assert 0.02 < together / 400 < 0.07


def test_alone_the_best_is_tested_as_any_and_no_gain_is_none():
    values = np.random.default_rng(2).normal(0.1, 0.3, 50)
    assert best_flip(values) == pytest.approx(sign_flip(values)[0], abs=0.003)
    assert best_flip(values, [values, np.zeros(50)]) == best_flip(values)
    assert best_flip(np.zeros(20), [values[:20]]) == 1.0
