"""What a policy would have earned, from the log of another one: importance weighting and doubly robust scores, with intervals.

The log may have been collected adaptively, its policy learning from the rows before: then the rows are no independent sample, and
a plain mean of the scores is not normal around the truth. Weighting each score by what was known before it, so that all have about
the same variance, repairs this (Hadad, Hirshberg, Zhan, Wager & Athey, PNAS 118(15), 2021; for contexts Zhan, Hadad, Hirshberg &
Athey, KDD 2021, and Bibaut et al., NeurIPS 2021). Shapes: n rows of a log, M actions. Refuses to guess where a log has no support.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95% interval; all nan where the log says nothing."""

    value: float
    low: float
    high: float
    error: float
    """Standard error."""
    ess: float
    """Effective sample size: as many rows of the policy's own traffic would tell as much (Kish, Survey Sampling, 1965)."""
    n: int
    """Rows used."""


UNKNOWN = Estimate(math.nan, math.nan, math.nan, math.nan, 0.0, 0)


@dataclass(frozen=True, slots=True)
class Supported:
    """The part of a log that can tell about a policy."""

    rows: NDArray[np.bool_]
    """[n] rows that are used."""
    target: Array
    """[n, M] the policy's probabilities, on used rows renormalised over the actions that had support."""

    @property
    def excluded_share(self) -> float:
        """Share of the rows that are left out; nan for an empty log."""
        return 1.0 - float(self.rows.mean()) if len(self.rows) else math.nan


def supported(target: Array, served: Array, least: float = 1e-3, tolerance: float = 0.05) -> Supported:
    """Leave out the rows on which more than `tolerance` of the policy's probability lies where the log's was below `least`.

    `target` and `served` are [n, M] probabilities of the policy in question and of the log's at each row. Raises `ValueError` for
    other shapes, and for what is no probability.
    """
    _probabilities("target", target)
    _probabilities("served", served)
    if target.shape != served.shape:
        raise ValueError(
            f"target is {target.shape} and served {served.shape}: give one row a decision, one column a model"
        )
    there = np.where(served >= least, target, 0.0)
    mass = there.sum(axis=1)
    rows = mass >= 1 - tolerance
    return Supported(rows, there / np.where(rows & (mass > 0), mass, 1.0)[:, None])


def stabilising(spread: Array, warm: int = 20) -> Array:
    """Give the weight of each score, [n]: one over the square root of the variance expected before the row was seen.

    `spread` [n] says how much a row's score can vary given its propensities, up to a factor: for a policy's value the sum over
    actions of target^2 / served. Its mean over all rows before, the later ones counting more, is what is expected of the next; the
    first `warm` rows weigh as the row after them, and no row over a hundred times more or less than they.
    """
    weights = np.ones(len(spread))
    if not len(spread):
        return weights
    keep = 1 - 1 / 200
    expected, seen = 0.0, 0.0
    for row, now in enumerate(spread):
        if row >= warm:
            weights[row] = 1 / math.sqrt(max(expected / seen, 1e-12))
        expected, seen = expected * keep + now, seen * keep + 1
    if len(spread) > warm:
        weights[:warm] = weights[warm]
        weights = np.clip(weights, weights[warm] / 100, weights[warm] * 100)
    return weights


def self_normalised(ratio: Array, reward: Array, weights: Array | None = None) -> Estimate:
    """Estimate by self-normalised importance weighting (Swaminathan & Joachims, NeurIPS 2015), its error by the delta method.

    `ratio` [n] is the policy's probability of the logged action over the log's; `weights` [n] as of `stabilising`.
    """
    scale = ratio if weights is None else ratio * weights
    total = float(scale.sum())
    if len(reward) < 2 or total <= 0:
        return UNKNOWN
    value = float(scale @ reward) / total
    error = math.sqrt(float(((scale * (reward - value)) ** 2).sum())) / total
    return _interval(value, error, _ess(scale), len(reward))


def doubly_robust(
    ratio: Array, reward: Array, predicted: Array, expected: Array, weights: Array | None = None
) -> Estimate:
    """Estimate by doubly robust scores, `expected + ratio * (reward - predicted)` (Dudik, Langford & Li, ICML 2011).

    `predicted` [n] is a reward model's prediction for the logged action and `expected` [n] its mean under the policy, both by a
    model that did not see the row nor a later one. For the difference of two policies give the differences of their `ratio` and
    `expected`. `weights` [n] as of `stabilising`.
    """
    n = len(reward)
    if n < 2:
        return UNKNOWN
    scores = expected + ratio * (reward - predicted)
    scale = np.ones(n) if weights is None else weights
    total = float(scale.sum())
    value = float(scale @ scores) / total
    error = math.sqrt(float(((scale * (scores - value)) ** 2).sum()) * n / (n - 1)) / total
    return _interval(value, error, _ess(scale * np.abs(ratio)), n)


def student(freedom: float) -> float:
    """Give the 97.5% point of Student's t by its expansion about the normal's (Abramowitz & Stegun, 26.7.5); at least 2 degrees."""
    z, v = 1.959964, max(freedom, 2.0)
    return (
        z
        + (z**3 + z) / (4 * v)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
    )


def _interval(value: float, error: float, ess: float, n: int) -> Estimate:
    reach = student(ess - 1) * error
    return Estimate(value, value - reach, value + reach, error, ess, n)


def _ess(scale: Array) -> float:
    squares = float((scale * scale).sum())
    return float(scale.sum()) ** 2 / squares if squares > 0 else 0.0


def _probabilities(name: str, table: Array) -> None:
    if table.ndim != 2 or not np.isfinite(table).all() or (table < 0).any() or (table.sum(axis=1) > 1 + 1e-6).any():
        raise ValueError(f"{name} is no table of probabilities: rows of numbers from 0 up that add up to at most 1")
