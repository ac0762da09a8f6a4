"""Tests at a few planned looks up to a committed horizon: the error is spent as the information comes in.

O'Brien and Fleming's shape by the spending function of Lan & DeMets (Biometrika 70(3), 1983), so that neither the number of looks
nor their times are fixed beforehand. Boundaries by the recursion of Armitage, McPherson & Rowe (JRSS A 132, 1969) over the density
of the score, integrated on a grid. Refuses looks that are out of order, or too near to each other to integrate between.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from meliora.stats.special import normal_cdf, normal_quantile

Array = NDArray[np.float64]

LEAST_STEP = 0.02
"""Information between two looks, as a share of the horizon's, at the least."""
_REACH = 8.0
"""Standard deviations beyond which a density counts as nothing."""
_NOTHING = 1e-14
"""An error too small to be spent; the boundary is then infinite."""


def spent(fraction: float, alpha: float, sides: Literal[1, 2] = 2) -> float:
    """Give the error spent at this fraction of the horizon's information; all of it at 1 and beyond. Raises `ValueError` below 0."""
    if not fraction >= 0:
        raise ValueError(f"a fraction of the information is not negative, and this is {fraction}")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha lies between 0 and 1, and is {alpha}")
    if fraction == 0:
        return 0.0
    edge = -normal_quantile(alpha / sides / 2) / math.sqrt(min(fraction, 1.0))
    return sides * 2 * float(normal_cdf(-edge))


def boundaries(fractions: Sequence[float], alpha: float, sides: Literal[1, 2] = 2) -> tuple[float, ...]:
    """Give the standard errors that must be exceeded at each look, at these ascending fractions of the horizon's information.

    Infinite where next to nothing is spent yet. A last fraction above 1 (more units came than were planned for) counts as 1. With
    two sides the upper and lower boundary are alike; with one there is no lower one. Raises `ValueError` for fractions that do not
    ascend by `LEAST_STEP`, or go on after 1.
    """
    times = [min(float(fraction), 1.0) for fraction in fractions]
    gaps = [later - earlier for earlier, later in zip([0.0, *times], times, strict=False)]
    if any(not gap >= LEAST_STEP * (1 - 1e-9) for gap in gaps):
        raise ValueError(f"looks ascend by at least {LEAST_STEP} of the information and end at 1: {list(fractions)}")
    found: list[float] = []
    places, mass = np.zeros(1), np.ones(1)
    before = 0.0
    for time, gap in zip(times, gaps, strict=True):
        budget = (spent(time, alpha, sides) - before) / sides
        before = spent(time, alpha, sides)
        edge = _edge(places, mass, gap, time, budget)
        found.append(edge / math.sqrt(time))
        places, mass = _carry(places, mass, gap, time, edge, sides)
    return tuple(found)


def spaced(fractions: Sequence[float]) -> tuple[float, ...]:
    """Give those looks that `boundaries` takes: a look too near the one before it, or the end, spends nothing and is left out.

    Which are left out depends on the looks before alone, so that a look that was counted stays counted.
    """
    kept: list[float] = []
    for fraction in (min(fraction, 1.0) for fraction in fractions):
        apart = fraction - (kept[-1] if kept else 0.0) >= LEAST_STEP
        if apart and (fraction == 1.0 or fraction <= 1 - LEAST_STEP):
            kept.append(fraction)
    return tuple(kept)


def repeated_p_value(zs: Sequence[float], fractions: Sequence[float]) -> float:
    """Give the least one-sided level at which any look so far would have crossed (Jennison & Turnbull, 2000, chapter 9), by bisection."""
    low, high = 1e-8, 0.5
    if not _crossed(zs, fractions, high):
        return 1.0
    if _crossed(zs, fractions, low):
        return low
    for _ in range(16):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if _crossed(zs, fractions, middle) else (middle, high)
    return high


def _crossed(zs: Sequence[float], fractions: Sequence[float], alpha: float) -> bool:
    return any(z >= edge for z, edge in zip(zs, boundaries(fractions, alpha, 1), strict=True))


def _edge(places: Array, mass: Array, gap: float, time: float, budget: float) -> float:
    """Find the score that is exceeded at this look, and was not left before, with the chance `budget`."""
    if budget < _NOTHING:
        return math.inf
    low, high = -_REACH * math.sqrt(time), _REACH * math.sqrt(time)
    for _ in range(60):
        middle = (low + high) / 2
        beyond = float(mass @ np.asarray(normal_cdf((places - middle) / math.sqrt(gap))))
        low, high = (middle, high) if beyond > budget else (low, middle)
    return (low + high) / 2


def _carry(places: Array, mass: Array, gap: float, time: float, edge: float, sides: int) -> tuple[Array, Array]:
    """Give points and their probabilities of the score among trials that go on."""
    top = min(edge, _REACH * math.sqrt(time))
    bottom = -top if sides == 2 else -_REACH * math.sqrt(time)
    count = 2 * math.ceil((top - bottom) / math.sqrt(LEAST_STEP) * 3) + 1
    grid = np.linspace(bottom, top, count)
    simpson = np.full(count, 2.0)
    simpson[1::2] = 4.0
    simpson[[0, -1]] = 1.0
    simpson *= (top - bottom) / (count - 1) / 3
    kernel = np.exp(-((grid[:, None] - places[None, :]) ** 2) / (2 * gap)) / math.sqrt(2 * math.pi * gap)
    return grid, simpson * (kernel @ mass)
