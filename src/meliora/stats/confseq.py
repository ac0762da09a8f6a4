"""Intervals and tests of a difference that may be looked at after every unit: asymptotic confidence sequences, and their e-values.

Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas, Time-uniform central limit theory and asymptotic confidence sequences, Annals of
Statistics 52(6), 2024: the limit of the arms' difference is a Brownian motion, and a mixture over all effects of its likelihood
ratio exceeds 1 / alpha at any time with a chance of at most alpha. Two sides mix over a normal, one side over a half-normal.
They hold for large samples, so nothing is said below a least number of units. Contrasts may hold arrays.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from meliora.stats.contrast import Contrast
from meliora.stats.special import Numbers, normal_cdf

LEAST_UNITS = 100
"""Units of the smaller arm below which nothing is said."""

_FAR = -30.0

Side = Literal["both", "above", "below"]


@dataclass(frozen=True, slots=True)
class Tuning:
    """How a confidence sequence is tuned. It holds at all sizes; it is tightest where the smaller arm has about `target` units."""

    alpha: float = 0.05
    """Chance, over all looks together, that the truth is ever outside."""
    target: float = 1000.0
    least: int = LEAST_UNITS

    def __post_init__(self) -> None:
        """Refuse what no sequence can be tuned for."""
        if not 0 < self.alpha < 1:
            raise ValueError(f"alpha lies between 0 and 1, and is {self.alpha}")
        if not self.target > 0 or self.least < 2:
            raise ValueError(
                f"the target {self.target} is positive, and at least two units are needed, not {self.least}"
            )


def tightest(alpha: float) -> float:
    """Give the ratio of variance to prior variance at which the two-sided boundary is tightest (ibid., to first order)."""
    odds = -2 * math.log(alpha)
    return odds + math.log1p(odds)


def boundary(contrast: Contrast, tuned: Tuning, side: Side = "both") -> Numbers:
    """Give the standard errors that must be exceeded; infinite below the least number of units.

    On one side, 2 exp(z^2 / 2) Phi(z) is replaced by 2 exp(z^2 / 2) - 1, which is never more and can be solved.
    """
    spent = _spent(contrast, tuned, side)
    with np.errstate(divide="ignore", over="ignore"):
        growth = np.sqrt(1 + spent) / tuned.alpha
        level = 2 * np.log(growth if side == "both" else (1 + growth) / 2)
        found = np.where(_early(contrast, tuned), np.inf, np.sqrt((1 + 1 / np.maximum(spent, 1e-300)) * level))
    return float(found) if found.ndim == 0 else found


def interval(contrast: Contrast, tuned: Tuning, side: Side = "both") -> tuple[Numbers, Numbers]:
    """Give low and high; for "above" only low is finite, for "below" only high, and neither where too little is known."""
    with np.errstate(invalid="ignore"):
        reach = boundary(contrast, tuned, side) * contrast.error()
        known = np.isfinite(reach) & (np.asarray(contrast.variance) > 0)
        low = np.where(known & (side != "below"), contrast.difference - reach, -np.inf)
        high = np.where(known & (side != "above"), contrast.difference + reach, np.inf)
    return (float(low), float(high)) if low.ndim == 0 else (low, high)


def log_e_value(contrast: Contrast, tuned: Tuning, side: Side = "both", null: float = 0.0) -> Numbers:
    """Give the log of the evidence against "the effect is `null`", on one side against "it is not above (below) `null`".

    Reaches log(1 / alpha) wherever `interval` excludes `null`. Minus infinity where too little is known: an e-value of 0, since
    one that were 1 until then would gain by stopping early.
    """
    spent = _spent(contrast, tuned, side)
    z = np.asarray(contrast.z(null))
    scaled = np.sqrt(spent / (1 + spent)) * z
    if side != "both":
        # Far on the wrong side the evidence only falls further, to where exp(z^2 / 2) and Phi(z) have no floats.
        scaled = np.maximum(scaled if side == "above" else -scaled, _FAR)
    found = scaled * scaled / 2 - np.log1p(spent) / 2
    if side != "both":
        found = found + np.log(2 * np.asarray(normal_cdf(np.nan_to_num(scaled))))
    found = np.where(_early(contrast, tuned) | ~np.isfinite(z), -np.inf, found)
    return float(found) if found.ndim == 0 else found


def p_value(log_e: Numbers) -> Numbers:
    """Give the p-value that holds at any time: one over the e-value, at most 1 (Ville's inequality)."""
    found = np.exp(-np.maximum(log_e, 0.0))
    return float(found) if np.ndim(found) == 0 else found


def _spent(contrast: Contrast, tuned: Tuning, side: Side) -> Numbers:
    """Give the variance seen so far over the mixture's: the clock, in units of its target."""
    alpha = tuned.alpha if side == "both" else min(2 * tuned.alpha, 0.999)
    return np.asarray(contrast.clock) * tightest(alpha) / (tuned.target / 2)


def _early(contrast: Contrast, tuned: Tuning) -> np.ndarray:
    return np.asarray(contrast.fewest) < tuned.least
