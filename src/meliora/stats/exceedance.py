"""Has a rate or a mean risen above a bound? Evidence that may be looked at every few minutes for ever, and of many series at once.

A bet against "the mean is at most the bound" grows only by chance while that holds, whatever the distribution (Waudby-Smith &
Ramdas, JRSS-B 86(1), 2024). Bets begun at every cell and summed are an e-detector (Shin, Ramdas & Rinaldo, New England Journal of
Statistics in Data Science 2(2), 2024): a series that stands exactly on its bound reaches evidence E after E starts on average, one
well below it practically never. Over several series at once, `multiple.e_bh` takes the evidence.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

ODDS = (2.0, 8.0)
"""Bets on a rate: that its odds are so many times those of the bound."""
STAKES = (0.05, 0.25)
"""Bets on a mean: the share of the wealth that is put on each observation."""
WEIGHTS = (0.8, 0.2)
"""How the first stake is divided among the bets: a small rise is the likeliest."""
CAP = 10.0
"""An observation counts as at most so many times the bound: one outlier is no trend. The mean of what is capped is no higher."""
START = 100.0
"""Observations that make a full start of a bet: thin traffic begins fewer of them, so that it is counted in requests, not minutes."""


def rate_growth(hits: ArrayLike, n: ArrayLike, bound: float) -> Floats:
    """Give the log growth of each bet over cells with `hits` out of `n`; shape (..., bets). Raises `ValueError` for a bad bound."""
    if not 0 < bound < 1:
        raise ValueError(f"the bound of a rate lies between 0 and 1, not at {bound}")
    odds = np.asarray(ODDS)
    hit, seen = np.asarray(hits, dtype=float)[..., None], np.asarray(n, dtype=float)[..., None]
    return hit * np.log(odds) - seen * np.log1p(bound * (odds - 1))


def mean_growth(values: ArrayLike, counts: ArrayLike, bound: float) -> Floats:
    """Give the log growth of each bet over non-negative values, each seen `counts` times; the last axis is summed over.

    Raises `ValueError` for a bound that is not above 0, and for values below 0, of which nothing can be said.
    """
    if not (0 < bound < math.inf):
        raise ValueError(f"the bound of a mean of non-negative values lies above 0, not at {bound}")
    value, times = np.asarray(values, dtype=float), np.asarray(counts, dtype=float)
    if not np.isfinite(value).all() or (value < 0).any():
        raise ValueError("bets on a mean take finite values from 0 on")
    excess = np.minimum(value / bound, CAP) - 1
    return np.stack([(times * np.log1p(stake * excess)).sum(-1) for stake in STAKES], -1)


def evidence(growth: ArrayLike, n: ArrayLike) -> Floats:
    """Give the log of the evidence that the bound is passed now: over cells in time order, shapes (..., cells, bets) and (..., cells).

    Minus infinity where there are no cells. Cells without observations change nothing.
    """
    grown, seen = np.asarray(growth, dtype=float), np.asarray(n, dtype=float)
    if not grown.shape[-2]:
        return np.full(grown.shape[:-2], -math.inf)
    since = np.cumsum(grown[..., ::-1, :], axis=-2)[..., ::-1, :]  # log wealth now of a bet begun at each cell
    with np.errstate(divide="ignore"):
        begun = np.log(np.minimum(1.0, seen / START))[..., None] + np.log(np.asarray(WEIGHTS)) + since
    most = begun.max(axis=(-2, -1))
    safe = np.where(np.isfinite(most), most, 0.0)
    with np.errstate(divide="ignore"):
        return safe + np.log(np.exp(begun - safe[..., None, None]).sum(axis=(-2, -1)))
