"""Fits linear heads on `phi`: quality with its posterior, cost by the logarithm. Full or partial information."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from meliora.routing.learned.policy import Costs, Heads

Array = NDArray[np.floating]

_FREE = -25.0
"""Logarithm of the cost of a model that is free of charge."""
_COST_PENALTY = 30.0
_LEAST_NOISE = 1e-4


def fit_heads(phi: Array, rewards: Array, shared: float, own: float) -> Heads:
    """Fit the quality of each model: its mean, how hard the prompt is for all of them, and its own deviation from that.

    Both slopes are ridge regressions; `shared` and `own` are their penalties. What all models find hard shows in every outcome and
    is shrunk little; in what a model differs from the others is mostly noise and is shrunk much. (As a mixed model: Gelman & Hill,
    Data Analysis Using Regression and Multilevel Models, 2007, 13.) The posterior is the one under the smaller penalty.
    """
    size, count = phi.shape[1], rewards.shape[1]
    seen = ~np.isnan(rewards)
    here = phi.astype(np.float64)
    penalty, tight = _ridge(size, min(shared, own)), _ridge(size, own)
    some = seen.any(axis=1)
    means = np.where(seen, rewards, 0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
    left = np.where(seen, rewards - means, 0)
    hard = left[some].sum(axis=1) / seen[some].sum(axis=1)
    common = _solved(here[some], hard, _ridge(size, shared))
    full = bool(seen.all())
    mean, noise, factors = np.zeros((count, size)), np.full(count, 0.25), []
    inverse = np.linalg.inv(here.T @ here + tight) if full else None
    for model in range(count):
        rows = seen[:, model]
        mine = here[rows]
        residue = rewards[rows, model] - means[model] - mine @ common
        slope = inverse @ (mine.T @ residue) if inverse is not None else _solved(mine, residue, tight)
        mean[model] = common + slope
        mean[model, 0] += means[model]
        if len(residue) > 1:
            noise[model] = max(_LEAST_NOISE, float(((residue - mine @ slope) ** 2).mean()))
        if not full or not factors:
            factors.append(np.linalg.inv(np.linalg.cholesky(mine.T @ mine + penalty)).T)
    return Heads(mean.astype(np.float32), np.stack(factors).astype(np.float32), noise.astype(np.float32))


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
