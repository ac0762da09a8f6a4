"""Which words one body of text uses more than another: log-odds with an informative Dirichlet prior. Pure, counts in, z-scores out."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

PRIOR_WORDS = 500.0
"""How many words the prior weighs as."""


def log_odds_z(now: ArrayLike, before: ArrayLike, prior_words: float = PRIOR_WORDS) -> NDArray[np.float64]:
    """Give a z-score for each word: positive where it is commoner now (Monroe, Colaresi & Quinn, Political Analysis 16(4), 2008,
    equations 15 to 22). `now` and `before` are counts of the same words; the prior is their sum, scaled to `prior_words`. Words that
    neither has score 0, and so does one that has no others to be held against. Raises `ValueError` for counts of different lengths,
    negative or not finite, and for a prior of no words.
    """
    new, old = np.asarray(now, dtype=float), np.asarray(before, dtype=float)
    if new.shape != old.shape or new.ndim != 1:
        raise ValueError(f"{new.shape} counts now, {old.shape} before: give both for the same words")
    if not (np.isfinite(new).all() and np.isfinite(old).all()) or (new < 0).any() or (old < 0).any():
        raise ValueError("a count is negative or not finite: leave out what is not known")
    if not (math.isfinite(prior_words) and prior_words > 0):
        raise ValueError(f"a prior of {prior_words} words: give a number above 0")
    both = new + old
    z = np.zeros(new.shape)
    seen = both > 0
    if seen.sum() < 2:
        return z
    prior = both[seen] * (prior_words / float(both.sum()))
    a, b = new[seen] + prior, old[seen] + prior
    rest_a, rest_b = (part.sum() - part for part in (a, b))
    z[seen] = (np.log(a / rest_a) - np.log(b / rest_b)) / np.sqrt(1 / a + 1 / b)
    return z
