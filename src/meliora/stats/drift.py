"""How far a quantity moved between two samples: standardised differences, population stability, shares. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

HALF = 0.5
"""Added to each count, so that an empty bin does not make the index infinite."""


def standardised_difference(before: float, now: float, deviation: float) -> float | None:
    """Give the difference of means in standard deviations (Cohen, 1988, 2.2); None where there is no deviation to tell it by."""
    if not all(map(math.isfinite, (before, now, deviation))) or deviation <= 0:
        return None
    return (now - before) / deviation


def population_stability(before: Sequence[float], now: Sequence[float]) -> float:
    """Give the population stability index of counts in the same bins: Jeffreys' divergence of the shares (Jeffreys, Proceedings of the
    Royal Society A 186, 1946). Raises `ValueError` for bins that do not match."""
    if len(before) != len(now) or not before:
        raise ValueError(f"{len(before)} bins before, {len(now)} now: give the same, and at least one")
    olds, news = sum(before) + HALF * len(before), sum(now) + HALF * len(now)
    shares = (((old + HALF) / olds, (new + HALF) / news) for old, new in zip(before, now, strict=True))
    return sum((new - old) * math.log(new / old) for old, new in shares)


def share_rise_z(hits_now: float, now: float, hits_before: float, before: float) -> float:
    """Give the z-score of a share that rose, half a hit added to each side (Agresti & Caffo, The American Statistician 54(4), 2000,
    adds one). 0 where a side is empty."""
    if now <= 0 or before <= 0:
        return 0.0
    p, q = (hits_now + HALF) / (now + 1), (hits_before + HALF) / (before + 1)
    pooled = (hits_now + hits_before + 1) / (now + before + 2)
    return (p - q) / math.sqrt(pooled * (1 - pooled) * (1 / now + 1 / before))
