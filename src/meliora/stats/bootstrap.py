"""Bootstrap intervals of functions of means (Efron & Tibshirani, An Introduction to the Bootstrap, 1993, 13.3). Pure: seeded."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def resampled_means(columns: Array, *, rounds: int = 2000, seed: int = 7) -> Array:
    """Give [rounds, k] of the means of `columns` [n, k] under resampling of the rows, the same rows for all columns.

    Raises `ValueError` below two rows.
    """
    count = len(columns)
    if count < 2:
        raise ValueError(f"{count} rows: a bootstrap needs at least two")
    rng = np.random.default_rng(seed)
    means = np.empty((rounds, columns.shape[1]))
    step = max(1, 2_000_000 // count)
    for start in range(0, rounds, step):
        some = min(step, rounds - start)
        weights = rng.multinomial(count, np.full(count, 1 / count), size=some)
        means[start : start + some] = weights @ columns / count
    return means


def interval(
    columns: Array, statistic: Callable[[Array], Array], *, rounds: int = 2000, seed: int = 7
) -> tuple[float, float, float]:
    """Give the statistic with its 95% percentile interval: value, low, high.

    `statistic` takes [..., k] means of the columns and gives [...] values.
    """
    value = float(statistic(columns.mean(axis=0)))
    found = statistic(resampled_means(columns, rounds=rounds, seed=seed))
    low, high = np.quantile(found, (0.025, 0.975))
    return value, float(low), float(high)
