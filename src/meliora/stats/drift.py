"""How far a quantity moved between two samples: standardised differences, population stability, shares. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

HALF = 0.5
"""Added to each count, so that an empty bin does not make the index infinite; and what a share's hits are brought nearer to the
expected by, as hits come whole (Yates, Supplement to the JRSS 1(2), 1934)."""


def standardised_difference(before: float, now: float, deviation: float) -> float | None:
    """Give the difference of means in standard deviations (Cohen, 1988, 2.2); None where there is no deviation to tell it by."""
    if not all(map(math.isfinite, (before, now, deviation))) or deviation <= 0:
        return None
    return (now - before) / deviation


def population_stability(before: Sequence[float], now: Sequence[float]) -> float:
    """Give the population stability index of counts in the same bins: Jeffreys' divergence of the shares (Jeffreys, Proceedings of the
    Royal Society A 186, 1946). Raises `ValueError` for bins that do not match, and for counts that are negative or not finite."""
    if len(before) != len(now) or not before:
        raise ValueError(f"{len(before)} bins before, {len(now)} now: give the same, and at least one")
    if not all(math.isfinite(count) and count >= 0 for count in (*before, *now)):
        raise ValueError("a bin's count is negative or not finite: leave out what is not known")
    olds, news = sum(before) + HALF * len(before), sum(now) + HALF * len(now)
    shares = (((old + HALF) / olds, (new + HALF) / news) for old, new in zip(before, now, strict=True))
    return sum((new - old) * math.log(new / old) for old, new in shares)


def share_rise_z(hits_now: float, now: float, hits_before: float, before: float) -> float | None:
    """Give the z-score of a share that rose: the signed root of the likelihood ratio of two shares against one (Wilks, Annals of
    Mathematical Statistics 9, 1938). It holds for few hits, and for sides of very different sizes, where a difference over its
    standard error does not. None where a side is empty. Raises `ValueError` for hits that are negative or more than there are.
    """
    for hits, of in ((hits_now, now), (hits_before, before)):
        if not (math.isfinite(of) and of >= 0 and -_ROUNDED <= hits <= of + _ROUNDED * max(of, 1.0)):
            raise ValueError(f"{hits} hits of {of}: give from none to all of them")
    if not now or not before:
        return None
    share = min(1.0, max(0.0, (hits_now + hits_before) / (now + before)))
    beyond = hits_now - now * share
    if abs(beyond) <= HALF:
        return 0.0
    step = math.copysign(HALF, beyond)
    found = _log_ratio(hits_now - step, now, share) + _log_ratio(hits_before + step, before, share)
    return math.copysign(math.sqrt(max(0.0, 2 * found)), beyond)


_ROUNDED = 1e-9


def _log_ratio(hits: float, of: float, share: float) -> float:
    parts = ((hits, of * share), (of - hits, of * (1 - share)))
    return sum(seen * math.log(seen / meant) for seen, meant in parts if seen > 0 and meant > 0)
