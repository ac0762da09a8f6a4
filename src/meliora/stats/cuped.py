"""Less variance from what was known of a unit before the trial: one covariate, from sums alone.

Deng, Xu, Kohavi & Walker, WSDM 2013 (CUPED). The covariate must have been fixed before the unit was assigned, or the effect itself
is taken out. Only for means by unit; a ratio whose count varies is not adjusted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meliora.stats.contrast import Stage
from meliora.stats.special import Numbers
from meliora.stats.sums import Point


@dataclass(frozen=True, slots=True)
class Paired:
    """Sums over one arm's units of outcome y and covariate x."""

    units: Numbers
    y: Numbers
    yy: Numbers
    x: Numbers
    xx: Numbers
    xy: Numbers


def adjusted(control: Paired, treated: Paired) -> Stage:
    """Give both arms' means as they would be, had they the same mean of the covariate, with the variance that is left.

    The slope is that within the arms, taken together; 0 where the covariate does not vary. nan below three units in an arm.
    """
    units = np.add(control.units, treated.units)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = [_within(arm) for arm in (control, treated)]
        xx = spread[0][1] + spread[1][1]
        slope = np.where(xx > 0, (spread[0][2] + spread[1][2]) / np.where(xx > 0, xx, 1.0), 0.0)
        centre = np.add(control.x, treated.x) / units
        points = [_point(arm, part, slope, centre) for arm, part in zip((control, treated), spread, strict=True)]
    return Stage(*points)


def _within(arm: Paired) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give the arm's centred sums of y squared, x squared and x y."""
    y, x = np.asarray(arm.y), np.asarray(arm.x)
    return arm.yy - y * y / arm.units, arm.xx - x * x / arm.units, arm.xy - x * y / arm.units


def _point(
    arm: Paired, part: tuple[np.ndarray, np.ndarray, np.ndarray], slope: np.ndarray, centre: np.ndarray
) -> Point:
    yy, xx, xy = part
    few = np.asarray(arm.units) < 3
    left = np.maximum(yy - 2 * slope * xy + slope * slope * xx, 0.0)
    value = np.where(few, np.nan, np.asarray(arm.y) / arm.units - slope * (np.asarray(arm.x) / arm.units - centre))
    variance = np.where(few, np.nan, left / np.subtract(arm.units, 2.0) / arm.units)
    if value.ndim == 0:
        return Point(arm.units, float(value), float(variance))
    return Point(arm.units, value, variance)
