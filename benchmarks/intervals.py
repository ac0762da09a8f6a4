"""95% intervals from samples, without numpy. Pure: randomness is a parameter. Refuses samples too small to tell."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

_T_975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131)
_T_975_MORE = ((20, 2.086), (30, 2.042), (60, 2.000), (120, 1.980))


class TooFew(ValueError):
    """There are too few samples for an interval; says how many."""


@dataclass(frozen=True)
class Estimate:
    """A value with its 95% interval and the number of samples behind it."""

    value: float
    low: float
    high: float
    n: int


def student(freedom: float) -> float:
    """Give the 97.5% point of Student's t, from a table; between its rows the larger (safer) value."""
    if freedom < 1:
        raise TooFew(f"freedom is {freedom}: an interval needs at least two samples")
    if freedom < len(_T_975) + 1:
        return _T_975[int(freedom) - 1]
    best = _T_975[-1]
    for row, value in _T_975_MORE:
        if freedom >= row:
            best = value
    return best


def mean(samples: Sequence[float]) -> Estimate:
    """Mean with Student's interval. Raises `TooFew` below two samples."""
    n = len(samples)
    if n < 2:
        raise TooFew(f"{n} samples: a mean's interval needs at least two")
    centre = math.fsum(samples) / n
    spread = math.sqrt(math.fsum((x - centre) ** 2 for x in samples) / (n - 1) / n)
    reach = student(n - 1) * spread
    return Estimate(centre, centre - reach, centre + reach, n)


def ratio_of_sums(tops: Sequence[float], bottoms: Sequence[float]) -> Estimate:
    """Sum of `tops` over sum of `bottoms`, slice by slice: the ratio estimator (Cochran, Sampling Techniques, 1977, 6.4).

    A slice with more requests weighs more, so that this is the cost of a request and not of a slice.
    """
    n = len(tops)
    if n < 2 or n != len(bottoms):
        raise TooFew(f"{n} and {len(bottoms)} slices: a ratio's interval needs two or more pairs")
    ratio = math.fsum(tops) / math.fsum(bottoms)
    per_slice = math.fsum(bottoms) / n
    residue = math.fsum((a - ratio * b) ** 2 for a, b in zip(tops, bottoms, strict=True)) / (n - 1)
    reach = student(n - 1) * math.sqrt(residue / n) / per_slice
    return Estimate(ratio, ratio - reach, ratio + reach, n)


def quotient(top: Estimate, bottom: Estimate) -> Estimate:
    """`top` over `bottom`, measured apart; relative errors added in quadrature (first-order delta method)."""
    value = top.value / bottom.value
    relative = math.hypot((top.high - top.low) / 2 / top.value, (bottom.high - bottom.low) / 2 / bottom.value)
    return Estimate(value, value * (1 - relative), value * (1 + relative), min(top.n, bottom.n))


def quantile(ordered: Sequence[float], share: float) -> float:
    """Quantile of samples in ascending order: the smallest one that at least `share` of them do not exceed."""
    if not ordered:
        raise TooFew("no samples: no quantile")
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def quantile_difference(
    these: Sequence[float], those: Sequence[float], share: float, *, rng: random.Random, rounds: int = 2000
) -> Estimate:
    """Quantile of `these` minus the quantile of `those`, with a bootstrap interval.

    A resample's k-th order statistic is the sample at a Beta(k, n-k+1) place (Efron and Tibshirani, 1993, 7.3), so
    that a round costs two draws and no sorting.
    """
    left, right = sorted(these), sorted(those)
    value = quantile(left, share) - quantile(right, share)
    rounds_seen = sorted(_resampled(left, share, rng) - _resampled(right, share, rng) for _ in range(rounds))
    return Estimate(value, quantile(rounds_seen, 0.025), quantile(rounds_seen, 0.975), min(len(left), len(right)))


def slope(xs: Sequence[float], ys: Sequence[float]) -> Estimate:
    """Least-squares slope of `ys` over `xs`.

    Neighbouring readings of a memory counter resemble each other; the freedom is cut to n(1-r)/(1+r) by their lag-one
    correlation r (Santer et al., J. Geophys. Res. 105 D6, 2000), where r is positive. Raises `TooFew` below four
    samples.
    """
    n = len(xs)
    if n < 4 or n != len(ys):
        raise TooFew(f"{n} and {len(ys)} samples: a slope's interval needs four or more pairs")
    x_mean, y_mean = math.fsum(xs) / n, math.fsum(ys) / n
    width = math.fsum((x - x_mean) ** 2 for x in xs)
    value = math.fsum((x - x_mean) * (y - y_mean) for x, y in zip(xs, ys, strict=True)) / width
    residues = [y - y_mean - value * (x - x_mean) for x, y in zip(xs, ys, strict=True)]
    total = math.fsum(r * r for r in residues)
    if total == 0:
        return Estimate(value, value, value, n)
    alike = max(0.0, math.fsum(a * b for a, b in pairwise(residues)) / total)
    freedom = max(1.0, n * (1 - alike) / (1 + alike) - 2)
    reach = student(freedom) * math.sqrt(total / freedom / width)
    return Estimate(value, value - reach, value + reach, n)


def _resampled(ordered: Sequence[float], share: float, rng: random.Random) -> float:
    n = len(ordered)
    rank = max(1, math.ceil(share * n))
    return ordered[min(n - 1, int(rng.betavariate(rank, n - rank + 1) * n))]
