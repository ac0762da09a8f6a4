"""What is kept of one arm of a trial: sums over its randomised units, from which the mean or ratio and its variance follow.

The unit is what was assigned by chance (a user, a conversation, a key), never a call: calls of one unit resemble each other, and
counting them as independent makes differences out of nothing. A unit with several outcomes gives its sum and its number of them,
and the arm's value is the ratio of the sums (Deng, Knoblich & Lu, KDD 2018). All fields may be arrays, one element a trial.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meliora.stats.special import Numbers


@dataclass(frozen=True, slots=True)
class Point:
    """An arm's value with the variance of that value, and the units behind it."""

    units: Numbers
    """Where units count differently, as many equal ones as would weigh the same (Kish): one that has most of the calls is one."""
    value: Numbers
    variance: Numbers


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums over units u of an outcome y_u and of the number x_u of what it counts over; for a plain mean each x_u is 1."""

    units: Numbers
    total: Numbers
    """Sum of y."""
    squares: Numbers
    """Sum of y squared."""
    weight: Numbers
    """Sum of x."""
    cross: Numbers
    """Sum of x y."""
    weight_squares: Numbers
    """Sum of x squared."""

    @classmethod
    def of(cls, outcomes: Sequence[float] | NDArray[np.float64], counts: Sequence[float] | None = None) -> Sums:
        """Sum up what each unit had, and over how many; without `counts` each unit counts once.

        Raises `ValueError` for numbers that are not finite, or counts that do not fit: what is missing is left out, not made zero.
        """
        y = np.asarray(outcomes, dtype=float)
        x = np.ones_like(y) if counts is None else np.asarray(counts, dtype=float)
        if x.shape != y.shape or not (np.isfinite(x).all() and np.isfinite(y).all()) or (x < 0).any():
            raise ValueError("each unit has one finite outcome, and a finite count that is not negative")
        return cls(float(len(y)), float(y.sum()), float(y @ y), float(x.sum()), float(x @ y), float(x @ x))

    @classmethod
    def of_mean(cls, units: Numbers, total: Numbers, squares: Numbers) -> Sums:
        """Make the sums of a plain mean from the number of units, their sum and their sum of squares."""
        return cls(units, total, squares, units, total, units)

    @classmethod
    def of_rate(cls, units: Numbers, hits: Numbers) -> Sums:
        """Make the sums of a share: `hits` of the units have it."""
        return cls.of_mean(units, hits, hits)

    def __add__(self, other: Sums) -> Sums:
        """Add the sums of other units; a unit must not be in both."""
        return Sums(
            self.units + other.units,
            self.total + other.total,
            self.squares + other.squares,
            self.weight + other.weight,
            self.cross + other.cross,
            self.weight_squares + other.weight_squares,
        )

    def point(self) -> Point:
        """Give the ratio of sums and its linearised variance (Cochran, Sampling Techniques, 1977, 2.11); nan below two units."""
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.divide(self.total, self.weight)
            left = self.squares - 2 * ratio * self.cross + ratio * ratio * self.weight_squares
            freedom = np.subtract(self.units, 1.0)
            bad = (freedom <= 0) | (np.asarray(self.weight) <= 0)
            variance = np.maximum(left, 0.0) * np.divide(self.units, freedom) / np.square(self.weight)
            equal = np.square(self.weight) / np.asarray(self.weight_squares)
        return Point(
            _plain(np.where(bad, 0.0, equal)),
            _plain(np.where(bad, np.nan, ratio)),
            _plain(np.where(bad, np.nan, variance)),
        )

    def rate_point(self) -> Point:
        """Give the share of outcomes that are 1, of 0s and 1s, one or several a unit; its variance is never 0.

        The variance is at least that of independent outcomes after one hit and one miss more, as Agresti and Caffo (The American
        Statistician 54(4), 2000) have it, so that an arm without a single failure is not taken for one that cannot fail.
        """
        plain = self.point()
        with np.errstate(divide="ignore", invalid="ignore"):
            drawn = np.divide(np.add(self.total, 1.0), np.add(self.weight, 2.0))
            variance = np.maximum(plain.variance, drawn * (1 - drawn) / np.asarray(self.weight))
        return Point(plain.units, plain.value, _plain(variance))


def paired_point(differences: Sums, *, bounded: bool = False) -> Point:
    """Give the mean difference of pairs (or as a share of what it is counted over) and its variance by unit.

    Of outcomes within 0..1 (`bounded`) the variance is at least what one pair more that differs wholly would make it: where all pairs
    agree so far, they are not taken for ones that cannot differ (as Agresti and Min have it for matched pairs, Statistics in Medicine
    24(5), 2005: half a pair more in each cell).
    """
    plain = differences.point()
    if not bounded:
        return plain
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.divide(differences.total, differences.weight)
        left = differences.squares - 2 * ratio * differences.cross + ratio * ratio * differences.weight_squares
        factor = np.divide(differences.units, np.subtract(differences.units, 1.0))
        variance = (np.maximum(left, 0.0) + 1.0) * factor / np.square(differences.weight)
    return Point(plain.units, plain.value, _plain(np.where(np.isfinite(plain.variance), variance, np.nan)))


def design_effect(sums: Sums) -> float:
    """Give by how much more a share varies by unit than it would by call (Kish, Survey Sampling, 1965, 8.2); at least 1.

    For `quantile_point` and the gates: of a unit's calls, how many were above a limit near the quantile in question. Infinite where
    it cannot be told, so that nothing follows from it. Only for outcomes of 0 and 1, several a unit.
    """
    point = sums.point()
    share, variance = float(point.value), float(point.variance)
    if not (0 < share < 1 and np.isfinite(variance)):
        return float("inf")
    return max(1.0, variance * float(sums.weight) / (share * (1 - share)))


def _plain(found: NDArray[np.float64]) -> Numbers:
    return float(found) if found.ndim == 0 else found
