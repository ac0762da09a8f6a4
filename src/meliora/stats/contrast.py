"""The difference of two arms over the stages of a ramp: within each stage, then weighted, so that no drift becomes an effect.

While a trial's share grows, the world moves too. Pooling the stages would compare a treatment seen mostly late with a control seen
mostly early (Simpson's paradox). Each stage is compared with itself, and weighs n1 n0 / (n1 + n0) (Cochran, Biometrics 10, 1954):
by counts alone, so that outcomes do not choose their weight, and so that the weighted sum has about independent increments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from meliora.stats.special import Numbers
from meliora.stats.sums import Point

LEAST_IN_STAGE = 10
"""Units that each arm of a stage needs for the stage to count."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Both arms while one allocation held."""

    control: Point
    treated: Point


@dataclass(frozen=True, slots=True)
class Contrast:
    """Treated minus control, over all stages that count. Where none does, the difference is nan and the clock 0."""

    difference: Numbers
    variance: Numbers
    clock: Numbers
    """Sum of n1 n0 / (n1 + n0): half the units of an arm where both have as many."""
    fewest: Numbers
    """Units of the smaller arm."""

    def error(self) -> Numbers:
        """Give the standard error."""
        return np.sqrt(self.variance)

    def z(self, null: float = 0.0) -> Numbers:
        """Give how many standard errors the difference is above `null`; nan where nothing varies or nothing is known."""
        with np.errstate(divide="ignore", invalid="ignore"):
            found = np.where(np.asarray(self.variance) > 0, np.subtract(self.difference, null) / self.error(), np.nan)
        return float(found) if found.ndim == 0 else found


def contrast(stages: Sequence[Stage], *, relative: bool = False, least: int = LEAST_IN_STAGE) -> Contrast:
    """Combine the stages; `relative` gives the difference as a share of the control's value, by the delta method.

    The variance of a stage is the larger of the two that textbooks have: of the arms apart, and pooled. With skewed outcomes and a
    small arm the first alone is too small just when the arm has happened to miss its rare large values.
    """
    score, base, clock = 0.0, 0.0, 0.0
    fewest_control, fewest_treated = 0.0, 0.0
    parts = []
    for stage in stages:
        control, treated = stage.control, stage.treated
        known = (
            (np.minimum(control.units, treated.units) >= least)
            & np.isfinite(np.add(control.value, treated.value))
            & np.isfinite(np.add(control.variance, treated.variance))
        )
        both = np.maximum(np.add(control.units, treated.units), 1.0)
        weight = np.where(known, np.multiply(control.units, treated.units) / both, 0.0)
        parts.append((known, weight, both, stage))
        score = score + weight * np.where(known, np.subtract(treated.value, control.value), 0.0)
        base = base + weight * np.where(known, control.value, 0.0)
        clock = clock + weight
        fewest_control = fewest_control + np.where(known, control.units, 0.0)
        fewest_treated = fewest_treated + np.where(known, treated.units, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = base if relative else clock
        difference = np.where(np.asarray(scale) > 0, np.divide(score, scale), np.nan)
        factor = 1 + difference if relative else 1.0
        spread = sum(
            (
                weight * weight * np.where(known, _variance(stage, both, factor), 0.0)
                for known, weight, both, stage in parts
            ),
            start=np.zeros(()),
        )
        variance = np.where(np.asarray(scale) > 0, spread / np.square(scale), np.nan)
    fewest = np.minimum(fewest_control, fewest_treated)
    return Contrast(*(_plain(found) for found in (difference, variance, clock, fewest)))


def paired(differences: Point) -> Contrast:
    """Take differences of pairs for a contrast: each unit is in both arms, so the clock is that of as many units in each."""
    known = np.isfinite(np.add(differences.value, differences.variance))
    units = np.where(known, differences.units, 0.0)
    value, variance = (np.where(known, part, np.nan) for part in (differences.value, differences.variance))
    return Contrast(*(_plain(found) for found in (value, variance, units / 2, units)))


def _variance(stage: Stage, both: Numbers, factor: Numbers) -> Numbers:
    control, treated = stage.control, stage.treated
    apart = treated.variance + np.square(factor) * control.variance
    per_unit = (np.square(control.units) * control.variance + np.square(treated.units) * treated.variance) / both
    return np.maximum(apart, per_unit * both / np.multiply(control.units, treated.units))


def _plain(found: Numbers) -> Numbers:
    return float(found) if np.ndim(found) == 0 else found
