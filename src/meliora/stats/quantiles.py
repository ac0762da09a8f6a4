"""Quantiles of an arm from its log-histogram: one for a trial's contrast, and an interval that holds at all times.

The exact one: whether an outcome is below the true quantile is a toss with a known chance, so the ranks that a beta mixture cannot
rule out bound it at any time without large samples (Howard & Ramdas, Bernoulli 28(3), 2022, beta-binomial bound). It takes calls as
independent; where units come back, use `quantile_point` with a design effect. Values are as exact as the histogram: half a percent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from meliora.stats.confseq import tightest
from meliora.stats.histogram import ACCURACY, LogHistogram
from meliora.stats.sums import Point

_Z = 1.959964
LEAST_TAIL = 10
"""Outcomes that must lie beyond a quantile for it to be spoken of."""


@dataclass(frozen=True, slots=True)
class Bounded:
    """A value between two bounds; infinite where nothing bounds it."""

    value: float
    low: float
    high: float


def quantile_point(histogram: LogHistogram, q: float, units: float, design: float = 1.0) -> Point:
    """Give the quantile and its variance from the spread of its neighbours (Woodruff, JASA 47, 1952), for `contrast`.

    `design` is by how much more a share's variance is by unit than by call (Kish's design effect); 1 where each call is a unit.
    The width of a bucket is counted in, so that the variance is never 0. nan with fewer than `LEAST_TAIL` outcomes on either side,
    or a neighbour outside the data. Raises `ValueError` for a q outside (0, 1), or a design effect below 1.
    """
    if not 0 < q < 1 or not design >= 1:
        raise ValueError(f"q lies between 0 and 1 and a design effect is at least 1, not {q} and {design}")
    reach = _Z * math.sqrt(q * (1 - q) * design / histogram.count) if histogram.count else math.inf
    if histogram.count * min(q, 1 - q) < LEAST_TAIL * design or q + reach >= 1 or q - reach <= 0:
        return Point(units, math.nan, math.nan)
    low, value, high = histogram.quantiles((q - reach, q, q + reach))
    bucket = 2 * ACCURACY * abs(value)
    return Point(units, value, ((high - low) / (2 * _Z)) ** 2 + bucket * bucket / 12)


def rank_bounds(count: int, q: float, alpha: float, target: float) -> tuple[int, int]:
    """Give the least and the most of `count` outcomes that may lie below the true quantile, at any time together.

    Tightest at about `target` outcomes.
    """
    strength = target / tightest(alpha)
    expected = min(int(count * q), count)
    low = _last(expected, 0, count, q, strength, alpha)
    high = _last(expected, count, count, q, strength, alpha)
    return low, high


def quantile_bounds(histogram: LogHistogram, q: float, alpha: float = 0.05, target: float = 1000.0) -> Bounded:
    """Bound the true quantile at all times together; an end is infinite until the ranks there are inside the data."""
    count = histogram.count
    if not count:
        return Bounded(math.nan, -math.inf, math.inf)
    below, above = rank_bounds(count, q, alpha, target)
    step = max(count - 1, 1)
    value = histogram.quantile(q)
    low = histogram.quantile((below - 1) / step) if below >= 1 else None
    high = histogram.quantile(above / step) if above < count else None
    return Bounded(
        math.nan if value is None else value,
        -math.inf if low is None else low - ACCURACY * abs(low),
        math.inf if high is None else high + ACCURACY * abs(high),
    )


def difference_bounds(
    control: LogHistogram, treated: LogHistogram, q: float, alpha: float = 0.05, target: float = 1000.0
) -> Bounded:
    """Bound treated minus control at all times together: each arm's bounds at half of alpha, so wider than need be."""
    old = quantile_bounds(control, q, alpha / 2, target)
    new = quantile_bounds(treated, q, alpha / 2, target)
    return Bounded(new.value - old.value, new.low - old.high, new.high - old.low)


def _last(start: int, end: int, count: int, q: float, strength: float, alpha: float) -> int:
    """Give the count furthest from `start` towards `end` that is not ruled out."""
    if _log_odds(end, count, q, strength) < -math.log(alpha):
        return end
    inside, outside = start, end
    while abs(outside - inside) > 1:
        middle = (inside + outside) // 2
        if _log_odds(middle, count, q, strength) < -math.log(alpha):
            inside = middle
        else:
            outside = middle
    return inside


def _log_odds(below: int, count: int, q: float, strength: float) -> float:
    """Give the log of the beta mixture's likelihood of this many below, over that of chance q."""
    a, b = strength * q, strength * (1 - q)
    mixed = math.lgamma(a + below) + math.lgamma(b + count - below) - math.lgamma(a + b + count)
    prior = math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
    return mixed - prior - below * math.log(q) - (count - below) * math.log1p(-q)
