"""Fits a policy to outcomes, seen for all models or only for some. Every choice in it is made by prompts left out of the fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from meliora.errors import InvalidRequest
from meliora.routing.learned.policy import Costs, Curve, Heads, Policy, Trunk
from meliora.routing.learning.table import Outcomes
from meliora.routing.learning.trunk import Corpus, fit_trunk, phis, read_all

Array = NDArray[np.float64]

LEAST = 20
"""Prompts below which nothing is fitted."""


@dataclass(frozen=True)
class Fitting:
    """How a policy is fitted."""

    width: int = 48
    """Directions of the trunk."""
    folds: int = 5
    shrinkage: tuple[float, ...] = (30.0, 100.0, 300.0, 1000.0, 3000.0)
    """Ridge penalties to choose from, by the error on folds left out."""
    seed: int = 7


@dataclass(frozen=True)
class OutOfFold:
    """Predictions for training prompts by fits that had not seen them."""

    quality: Array
    """[n, M]"""
    cost: Array
    """[n, M]"""


def fit(
    outcomes: Outcomes,
    *,
    reference: str | None = None,
    prices: Mapping[str, float] | None = None,
    number: int = 0,
    fitting: Fitting | None = None,
) -> Policy:
    """Fit a policy. `reference` is the model that floors are a share of (default: the best one on average).

    `prices` are US$ per million tokens (three of input to one of output) at which the costs were paid, so that a changed price
    can rescale them. Raises `InvalidRequest` where there are too few prompts, or the reference is no model of the table.
    """
    return fit_both(outcomes, reference=reference, prices=prices, number=number, fitting=fitting)[0]


def fit_both(
    outcomes: Outcomes,
    *,
    reference: str | None = None,
    prices: Mapping[str, float] | None = None,
    number: int = 0,
    fitting: Fitting | None = None,
) -> tuple[Policy, OutOfFold]:
    """As `fit`; also the predictions out of fold that its dial was calibrated on."""
    how = fitting or Fitting()
    if len(outcomes) < LEAST:
        raise InvalidRequest(f"{len(outcomes)} prompts are too few to learn from", hint=f"Give {LEAST} or more.")
    if reference is not None and reference not in outcomes.models:
        raise InvalidRequest(
            f"the reference model {reference!r} is not among the outcomes",
            hint=f"Name one of {', '.join(outcomes.models)}.",
        )
    held = outcomes.best() if reference is None else outcomes.models.index(reference)
    corpus = read_all(outcomes.prompts, outcomes.contexts)
    folds = np.random.default_rng(how.seed).permutation(len(outcomes)) % how.folds
    penalty, unseen = _out_of_fold(corpus, outcomes, folds, how)
    trunk = fit_trunk(corpus, how.width, how.seed)
    phi = phis(trunk, corpus).astype(np.float64)
    paid = np.array([(prices or {}).get(model, np.nan) for model in outcomes.models], np.float32)
    policy = Policy(
        number=number,
        models=outcomes.models,
        reference=outcomes.models[held],
        embedding=trunk,
        quality=fit_heads(phi, outcomes.rewards, penalty),
        costs=replace(fit_costs(phi, outcomes.costs), price=paid),
        curve=calibrate(unseen, outcomes, held),
        notes={"prompts": str(len(outcomes)), "penalty": f"{penalty:g}"},
    )
    return policy, unseen


def fit_heads(phi: Array, rewards: Array, penalty: float) -> Heads:
    """Ridge regression for each model, shrunk to the model's mean; with the posterior of its coefficients."""
    size, count = phi.shape[1], rewards.shape[1]
    seen = ~np.isnan(rewards)
    full = bool(seen.all())
    mean = np.zeros((count, size))
    noise = np.full(count, 0.25)
    factors = []
    for model in range(count):
        rows = seen[:, model]
        here, target = phi[rows], rewards[rows, model]
        if model == 0 or not full:
            precision = here.T @ here + penalty * _shrunk(size)
            factors.append(np.linalg.inv(np.linalg.cholesky(precision)).T)
        mean[model] = factors[-1] @ (factors[-1].T @ (here.T @ target))
        if len(target) > 1:
            noise[model] = max(1e-4, float(((target - here @ mean[model]) ** 2).mean()))
    return Heads(mean.astype(np.float32), np.stack(factors).astype(np.float32), noise.astype(np.float32))


def fit_costs(phi: Array, costs: Array, penalty: float = 10.0) -> Costs:
    """Ridge regression of the logarithm of each model's cost; the smearing factor (Duan, JASA 78, 1983) is in the intercept."""
    size, count = phi.shape[1], costs.shape[1]
    mean = np.full((count, size), np.nan)
    for model in range(count):
        rows = costs[:, model] > 0
        if rows.sum() < 2:
            if (costs[:, model] == 0).any():  # free of charge
                mean[model] = 0.0
                mean[model, 0] = -25.0
            continue
        here, target = phi[rows], np.log(costs[rows, model])
        precision = here.T @ here + penalty * _shrunk(size)
        mean[model] = np.linalg.solve(precision, here.T @ target)
        mean[model, 0] += np.log(np.exp(target - here @ mean[model]).mean())
    ones = np.ones(count, np.float32)
    return Costs(mean.astype(np.float32), np.full(count, np.nan, np.float32), ones)


def calibrate(unseen: OutOfFold, outcomes: Outcomes, reference: int, steps: int = 81) -> Curve:
    """Tell what each willingness to pay brings, on predictions out of fold: quality and cost as shares of the reference's."""
    rows = ~np.isnan(outcomes.rewards).any(axis=1)
    if rows.sum() < LEAST:
        rows = np.ones(len(outcomes), bool)
    rewards = np.where(np.isnan(outcomes.rewards), unseen.quality, outcomes.rewards)[rows]
    costs = np.where(np.isnan(outcomes.costs), unseen.cost, outcomes.costs)[rows]
    quality, cost = unseen.quality[rows], unseen.cost[rows]
    known = ~np.isnan(costs).all(axis=0)
    if not known.any():
        costs = np.zeros_like(rewards)
        cost = np.zeros_like(rewards)
    scale = float(np.nanmean(costs[:, reference])) or float(np.nanmean(costs)) or 1.0
    pays = np.append(scale * np.geomspace(0.02, 2000, steps - 1), scale * 1e6)
    reached = max(float(rewards[:, reference].mean()), 1e-9)
    shares, prices = [], []
    index = np.arange(len(rewards))
    for pay in pays:
        utility = np.nan_to_num(quality - cost / pay, nan=-np.inf)
        chosen = utility.argmax(axis=1)
        shares.append(float(rewards[index, chosen].mean()) / reached)
        prices.append(float(costs[index, chosen].mean()) / scale)
    return Curve(pays, np.array(shares), np.array(prices))


def _out_of_fold(corpus: Corpus, outcomes: Outcomes, folds: NDArray[np.int64], how: Fitting) -> tuple[float, OutOfFold]:
    tried = [np.full(outcomes.rewards.shape, np.nan) for _ in how.shrinkage]
    costs = np.full(outcomes.costs.shape, np.nan)
    for fold in range(how.folds):
        inside, outside = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        trunk = fit_trunk(corpus.take(inside), how.width, how.seed)
        phi, there = _both(trunk, corpus, inside, outside)
        for guess, penalty in zip(tried, how.shrinkage, strict=True):
            guess[outside] = np.clip(there @ fit_heads(phi, outcomes.rewards[inside], penalty).mean.T, 0, 1)
        costs[outside] = np.exp(there @ fit_costs(phi, outcomes.costs[inside]).mean.T)
    errors = [float(np.nanmean((guess - outcomes.rewards) ** 2)) for guess in tried]
    best = int(np.argmin(errors))
    return how.shrinkage[best], OutOfFold(tried[best], costs)


def _both(trunk: Trunk, corpus: Corpus, inside: NDArray[np.int64], outside: NDArray[np.int64]) -> tuple[Array, Array]:
    phi = phis(trunk, corpus).astype(np.float64)
    return phi[inside], phi[outside]


def _shrunk(size: int) -> Array:
    """The identity, but for the intercept, which is all but free: what shrinks, shrinks to the model's mean."""
    shrunk = np.eye(size)
    shrunk[0, 0] = 1e-3
    return shrunk
