"""Fits linear heads on `phi`: quality with its posterior, cost by the logarithm. Full or partial information."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from meliora.routing.learned.policy import Costs, Heads
from meliora.routing.learning.trunk import centred

Array = NDArray[np.floating]

_FREE = -25.0
"""Logarithm of the cost of a model that is free of charge."""
_COST_PENALTY = 30.0
_LEAST_NOISE = 1e-4


PENALTIES = tuple(float(penalty) for penalty in np.geomspace(100, 30_000, 11))
_ROUNDS = 8
"""Of filling in what was not seen by what is predicted of it."""
_WORTH = 0.999
"""Share of the error of always saying the mean that a direction's slope has to come under to be kept."""


def fit_heads(phi: Array, rewards: Array, penalties: Sequence[float] = PENALTIES) -> Heads:
    """Fit the quality of each model: its mean, and ridge regressions along the principal directions of all models' rewards.

    The first direction is mostly how hard a prompt is for everybody, and shows in every outcome; the further ones are how models
    differ, and are mostly noise. So each has the penalty with the least error on rows left out one at a time (exactly, by the hat
    matrix: Allen, Technometrics 16, 1974), and none at all where that is no better than the mean. What was not seen counts as what
    is predicted of it (Dempster, Laird & Rubin, JRSS B 39, 1977). The posterior is the one under the smallest penalty chosen.
    """
    seen = ~np.isnan(rewards)
    design = _Design(phi[seen.any(axis=1)].astype(np.float64), penalties)
    known, rewards = seen[seen.any(axis=1)], rewards[seen.any(axis=1)]
    means = np.where(known, rewards, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    filled = np.where(known, rewards, means + centred(rewards))
    mean, chosen, misses = design.fit(filled)
    if not known.all():
        for _ in range(_ROUNDS):
            filled = np.where(known, rewards, design.phi @ mean.T)
            mean, chosen, misses = design.fit(filled)
    squares = np.where(known, misses**2, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    noise = np.where(known.sum(axis=0) > 1, np.maximum(squares, _LEAST_NOISE), 0.25)
    penalty = _ridge(phi.shape[1], chosen)
    covers = [design.phi] if known.all() else [design.phi[rows] for rows in known.T]
    factors = [np.linalg.inv(np.linalg.cholesky(rows.T @ rows + penalty)).T for rows in covers]
    return Heads(mean.astype(np.float32), np.stack(factors).astype(np.float32), noise.astype(np.float32))


class _Design:
    """The rows of `phi` that a fit sees, taken apart once for all targets and penalties."""

    def __init__(self, phi: Array, penalties: Sequence[float]) -> None:
        self.phi = phi
        self._middle = phi[:, 1:].mean(axis=0)
        self._penalties = np.array(penalties)
        self._left, sizes, self._right = np.linalg.svd(phi[:, 1:] - self._middle, full_matrices=False)
        self._kept = sizes**2 / (sizes**2 + self._penalties[:, None])
        """[P, k] share of each direction of `phi` that is left under each penalty."""
        self._sizes = np.maximum(sizes, 1e-9)
        self._rest = np.maximum(1 - self._kept @ (self._left**2).T - 1 / len(phi), 1e-6)
        """[P, n] what each row does not say of itself: 1 less its leverage."""

    def fit(self, rewards: Array) -> tuple[Array, float, Array]:
        """Give the coefficients [M, d], the smallest penalty chosen, and by how much each reward was missed when left out [n, M]."""
        count = len(rewards)
        means = rewards.mean(axis=0)
        turned = np.linalg.svd(rewards - means, full_matrices=False)[2]
        targets = (rewards - means) @ turned.T
        along = self._left.T @ targets
        slopes, missed = np.zeros((self._right.shape[1], len(turned))), np.empty_like(targets)
        chosen = float(self._penalties[-1])
        for place, target in enumerate(targets.T):
            alone = target * count / max(count - 1, 1)
            misses = self._misses(target, along[:, place])
            errors = (misses**2).mean(axis=1)
            best = int(errors.argmin())
            if errors[best] < _WORTH * (alone**2).mean():
                slopes[:, place] = self._right.T @ (self._kept[best] / self._sizes * along[:, place])
                missed[:, place] = misses[best]
                chosen = min(chosen, float(self._penalties[best]))
            else:
                missed[:, place] = alone
        each = slopes @ turned
        return self._whole(means, each), chosen, missed @ turned

    def _whole(self, means: Array, slopes: Array) -> Array:
        return np.concatenate(((means - self._middle @ slopes)[:, None], slopes.T), axis=1)

    def _misses(self, target: Array, along: Array) -> Array:
        """Give by how much each row is missed by a fit without it, [P, n]."""
        fitted = (self._kept * along) @ self._left.T
        return (target - fitted) / self._rest


def fit_costs(phi: Array, costs: Array) -> Costs:
    """Fit the logarithm of each model's cost by ridge regression, so scaled that the mean of what it predicts is the mean cost.

    A model whose cost nobody saw has nan; one that cost nothing whenever it was seen costs nothing.
    """
    size, count = phi.shape[1], costs.shape[1]
    mean = np.full((count, size), np.nan)
    here = phi.astype(np.float64)
    for model in range(count):
        paid = costs[:, model] > 0
        if not paid.any():
            if (costs[:, model] == 0).any():
                mean[model] = 0.0
                mean[model, 0] = _FREE
            continue
        logs = np.log(costs[paid, model])
        mean[model] = _solved(here[paid], logs, _ridge(size, _COST_PENALTY))
        known = ~np.isnan(costs[:, model])
        predicted = np.exp(here[known] @ mean[model]).mean()
        mean[model, 0] += np.log(costs[known, model].mean() / predicted)
    ones = np.ones(count, np.float32)
    return Costs(mean.astype(np.float32), np.full(count, np.nan, np.float32), ones)


def _solved(phi: Array, target: Array, penalty: Array) -> Array:
    return np.linalg.solve(phi.T @ phi + penalty, phi.T @ target)


def _ridge(size: int, penalty: float) -> Array:
    """Diagonal; the intercept is all but free, so that what shrinks, shrinks to the mean."""
    diagonal = np.full(size, penalty)
    diagonal[0] = 1e-3
    return np.diag(diagonal)
