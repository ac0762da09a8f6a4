"""How far the other models are held back so that the policy is not worse than the best single model by more than the margin.

A conservative bandit (Kazerouni, Ghavamzadeh, Abbasi-Yadkori & Van Roy, NeurIPS 2017), judged on the policy as a whole: single
prompts may be gambles as long as their sum is not.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

STEPS = (0.0, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0)
"""Handicaps to choose from, in quality; the last one leaves the reference alone."""

_ONE_SIDED = 1.645


def handicap(prompts: Array, mean: Array, cover: Array, price: Array, reference: int, margin: float) -> float:
    """Give the smallest handicap on the models other than `reference` at which the policy's guard holds.

    `prompts` [n, d] are recent ones; `mean` [M, d] and `cover` [M, d, d] the posterior of each model's coefficients, apart from
    what all have in common; `price` [n, M] the cost in units of quality, nan where it is not known (the reference's then counts
    as nothing, in its favour). The guard: over these prompts the expected utility of choosing by (mean - handicap - price) is
    above the reference's less the margin, at 95% confidence.
    """
    quality = np.clip(prompts @ mean.T, 0, 1)
    price = price.copy()
    price[:, reference] = np.nan_to_num(price[:, reference], nan=0.0)
    utility = np.where(np.isnan(price), -np.inf, quality - price)
    others = np.arange(len(mean)) != reference
    for held in STEPS:
        chosen = (utility - held * others).argmax(axis=1)
        if surplus(prompts, cover, utility, chosen, reference) >= -margin:
            return held
    return STEPS[-1]


def surplus(prompts: Array, cover: Array, utility: Array, chosen: NDArray[np.intp], reference: int) -> float:
    """Give the lower 95% bound of what `chosen` brings above the reference, a prompt, as the posterior sees it."""
    count = len(prompts)
    away = chosen != reference
    if not away.any():
        return 0.0
    index = np.flatnonzero(away)
    gain = float((utility[index, chosen[index]] - utility[index, reference]).sum()) / count
    variance = 0.0
    for model in {reference, *chosen[index].tolist()}:
        rows = away if model == reference else chosen == model
        direction = prompts[rows].sum(axis=0) / count
        variance += float(direction @ cover[model] @ direction)
    return gain - _ONE_SIDED * float(np.sqrt(variance))
