"""The interval covers, holds columns together, and is the same for the same seed."""

import numpy as np
import pytest

from meliora.stats.bootstrap import interval, resampled_means


def test_the_interval_of_a_mean_is_the_normal_one():
    values = np.random.default_rng(1).normal(size=(400, 1))
    value, low, high = interval(values, lambda means: means[..., 0])
    reach = 1.96 * values.std() / 20
    assert (value, low, high) == pytest.approx((values.mean(), values.mean() - reach, values.mean() + reach), abs=0.015)


def test_columns_are_resampled_together():
    column = np.random.default_rng(2).exponential(size=50)
    value, low, high = interval(np.stack((column, 2 * column), axis=1), lambda means: means[..., 0] / means[..., 1])
    assert (value, low, high) == pytest.approx((0.5, 0.5, 0.5))


def test_a_seed_gives_the_same_rounds_and_another_seed_others():
    columns = np.arange(10.0)[:, None]
    one, same, other = (resampled_means(columns, rounds=20, seed=seed) for seed in (1, 1, 2))
    assert (one == same).all()
    assert (one != other).any()


def test_one_row_is_too_few():
    with pytest.raises(ValueError, match="two"):
        resampled_means(np.ones((1, 1)))
