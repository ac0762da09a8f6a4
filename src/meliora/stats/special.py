"""Distributions that numpy has not: the normal, Student's t and the log-gamma function. Pure; arrays where it says so."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Numbers = float | NDArray[np.float64]
"""A number, or an array of them that is worked through element by element."""

_NORMAL = NormalDist()
_erfc = np.frompyfunc(math.erfc, 1, 1)
_SHIFT = 8


def normal_cdf(z: Numbers) -> Numbers:
    """Give the share of a standard normal below `z`, element by element, also far out in the lower tail."""
    found = 0.5 * np.asarray(_erfc(-np.asarray(z, dtype=float) / math.sqrt(2)), dtype=float)
    return float(found) if found.ndim == 0 else found


def normal_quantile(share: float) -> float:
    """Give the standard normal's quantile; infinite at 0 and 1. Raises `ValueError` outside 0..1."""
    if not 0 <= share <= 1:
        raise ValueError(f"a quantile is of a share from 0 to 1, not {share}")
    if share in (0, 1):
        return -math.inf if share == 0 else math.inf
    return _NORMAL.inv_cdf(share) if share < 0.5 else -_NORMAL.inv_cdf(1 - share)


def log_gamma(x: Numbers) -> Numbers:
    """Give log Gamma of positive numbers, element by element, within 1e-11 (Stirling's series; Abramowitz & Stegun, 6.1.41)."""
    moved = np.asarray(x, dtype=float) + 0.0
    product = np.ones_like(moved)
    for step in range(_SHIFT):
        product = product * (moved + step)
    top = moved + _SHIFT
    square = top * top
    series = (1 / 12 - (1 / 360 - (1 / 1260 - 1 / (1680 * square)) / square) / square) / top
    found = (top - 0.5) * np.log(top) - top + 0.5 * math.log(2 * math.pi) + series - np.log(product)
    return float(found) if found.ndim == 0 else found


def student_cdf(t: float, freedom: float) -> float:
    """Give the share of Student's t below `t` (Abramowitz & Stegun, 26.7.1 with 26.5.8). Raises `ValueError` for no freedom."""
    if not freedom > 0:
        raise ValueError(f"Student's t needs a positive freedom, not {freedom}")
    if math.isinf(t):
        return 0.0 if t < 0 else 1.0
    square = t * t
    tail = 0.5 * _beta_share(freedom / (freedom + square), square / (freedom + square), freedom / 2, 0.5)
    return tail if t < 0 else 1 - tail


def student_quantile(share: float, freedom: float) -> float:
    """Give Student's quantile by bisection; infinite at 0 and 1. Raises `ValueError` for no share, or no freedom."""
    if not 0 <= share <= 1:
        raise ValueError(f"a quantile is of a share from 0 to 1, not {share}")
    if share < 0.5:
        return -student_quantile(1 - share, freedom)
    if share == 1:
        return math.inf
    low, high = 0.0, 1.0
    while student_cdf(high, freedom) < share and high < 1e12:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if student_cdf(middle, freedom) < share else (low, middle)
    return (low + high) / 2


def _beta_share(x: float, rest: float, a: float, b: float) -> float:
    """Give the regularised incomplete beta function I_x(a, b); `rest` is 1 - x, which an `x` near 1 does not tell."""
    if x <= 0 or rest <= 0:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta_share(rest, x, b, a)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log(rest))
    return front * _beta_fraction(x, a, b) / a


def _beta_fraction(x: float, a: float, b: float) -> float:
    """Work out the continued fraction 26.5.8 from its front, by Lentz's method as Thompson and Barnett (1986) amended it."""
    tiny = 1e-300
    numerator, denominator = 1.0, 1 / _not_zero(1 - (a + b) * x / (a + 1), tiny)
    value = denominator
    for step in range(1, 500):
        even = step * (b - step) * x / ((a + 2 * step - 1) * (a + 2 * step))
        odd = -(a + step) * (a + b + step) * x / ((a + 2 * step) * (a + 2 * step + 1))
        for part in (even, odd):
            denominator = 1 / _not_zero(1 + part * denominator, tiny)
            numerator = _not_zero(1 + part / numerator, tiny)
            factor = numerator * denominator
            value *= factor
        if abs(factor - 1) < 1e-15:
            break
    return value


def _not_zero(value: float, tiny: float) -> float:
    return value if abs(value) > tiny else tiny
