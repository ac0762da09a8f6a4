"""What a gate compares with its threshold: a bound over a window, alone or against a frozen baseline. Never a bare number.

Where there are fewer requests than asked for, the bound says so: its value and both ends are None, and None is neither good nor bad.
`design` is by how much requests of one user resemble each other (Kish's design effect); all variances are multiplied by it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from meliora.stats.histogram import LogHistogram
from meliora.stats.proportion import wilson
from meliora.stats.quantiles import quantile_point
from meliora.stats.special import normal_cdf, student_quantile
from meliora.stats.sums import Point, Sums

Z = 1.959964
LEAST = 100
"""Requests below which a window says nothing."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A value with its interval; all three are None where there were too few requests, or nothing to compare with."""

    n: float
    """Requests, of the smaller side where two are compared."""
    value: float | None = None
    low: float | None = None
    high: float | None = None


def share_bound(hits: float, n: float, *, z: float = Z, least: float = LEAST, design: float = 1.0) -> Bound:
    """Bound a share by Wilson's interval."""
    if n < least or n <= 0:
        return Bound(n)
    low, high = wilson(hits / design, n / design, z)
    return Bound(n, hits / n, low, high)


def mean_bound(sums: Sums, *, z: float = Z, least: float = LEAST, design: float = 1.0) -> Bound:
    """Bound a mean (cost, tokens) or ratio by Student's interval, at the confidence that `z` has for a normal."""
    point, n = sums.point(), float(sums.units)
    if n < max(least, 2) or not math.isfinite(float(point.variance)):
        return Bound(n)
    reach = student_quantile(float(normal_cdf(z)), max(n / design - 1, 1)) * math.sqrt(float(point.variance) * design)
    value = float(point.value)
    return Bound(n, value, value - reach, value + reach)


def quantile_bound(
    histogram: LogHistogram, q: float, *, z: float = Z, least: float = LEAST, design: float = 1.0
) -> Bound:
    """Bound a quantile by its order statistics (David & Nagaraja, Order Statistics, 2003, 7.1), the share's bound by Wilson's.

    None also where a rank falls outside the data: the tail has not been seen.
    """
    n = histogram.count
    value = histogram.quantile(q)
    if n < least or value is None:
        return Bound(n)
    below, above = wilson(q * n / design, n / design, z)
    if below * n < 1 or above * n > n - 1:
        return Bound(n)
    low, high = histogram.quantiles((below, above))
    return Bound(n, value, low, high)


def share_change(
    now: tuple[float, float], then: tuple[float, float], *, z: float = Z, least: float = LEAST, design: float = 1.0
) -> Bound:
    """Bound by what share a rate rose: hits and requests of the window, and of the baseline (Katz et al., Biometrics 34, 1978).

    Where either has no hits, half a one is added to both. Raises `ValueError` for hits outside 0..n.
    """
    (hits, n), (old_hits, old_n) = now, then
    if not (0 <= hits <= n and 0 <= old_hits <= old_n):
        raise ValueError(f"{hits} of {n} and {old_hits} of {old_n}: a share needs 0 <= hits <= n")
    fewest = min(n, old_n)
    if fewest < max(least, 1):
        return Bound(fewest)
    extra = 0.5 if not (hits and old_hits) else 0.0
    a, m, b, k = hits + extra, n + extra, old_hits + extra, old_n + extra
    return _change(fewest, math.log(a / m) - math.log(b / k), design * (1 / a - 1 / m + 1 / b - 1 / k), z)


def mean_change(now: Sums, then: Sums, *, z: float = Z, least: float = LEAST, design: float = 1.0) -> Bound:
    """Bound by what share a mean or ratio rose, on the log's scale by the delta method; None where either is not positive."""
    fewest = min(float(now.units), float(then.units))
    return _point_change(fewest, now.point(), then.point(), z, least, design)


def quantile_change(
    now: LogHistogram, then: LogHistogram, q: float, *, z: float = Z, least: float = LEAST, design: float = 1.0
) -> Bound:
    """Bound by what share a quantile rose; None where either's tail has been seen too little."""
    points = [quantile_point(histogram, q, histogram.count, design) for histogram in (now, then)]
    return _point_change(min(now.count, then.count), points[0], points[1], z, least, 1.0)


def _point_change(fewest: float, now: Point, then: Point, z: float, least: float, design: float) -> Bound:
    value, old = float(now.value), float(then.value)
    if fewest < max(least, 2) or not (value > 0 and old > 0):
        return Bound(fewest)
    variance = float(now.variance) / value**2 + float(then.variance) / old**2
    return _change(fewest, math.log(value / old), design * variance, z)


def _change(fewest: float, log_ratio: float, variance: float, z: float) -> Bound:
    if not (math.isfinite(log_ratio) and math.isfinite(variance)):
        return Bound(fewest)
    reach = z * math.sqrt(max(variance, 0.0))
    return Bound(fewest, *(math.expm1(log_ratio + part) for part in (0.0, -reach, reach)))
