"""Fits a policy to outcomes, seen for all models or only for some. Every choice in it is made by prompts left out of the fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from meliora.errors import InvalidRequest
from meliora.routing.learned.policy import Curve, Policy, Trunk
from meliora.routing.learning.curves import best_at, curve_of
from meliora.routing.learning.embedding import folded
from meliora.routing.learning.heads import PENALTIES, fit_costs, fit_heads
from meliora.routing.learning.ladders import Fold, fit_ladders
from meliora.routing.learning.table import Outcomes
from meliora.routing.learning.trunk import (
    Corpus,
    Embedding,
    everywhere,
    fit_trunk,
    grown,
    phis,
    plant,
    read_all,
    shortened,
)

Array = NDArray[np.floating]

LEAST = 20
"""Prompts below which nothing is fitted."""


@dataclass(frozen=True)
class Fitting:
    """How a policy is fitted."""

    embedding: Embedding = field(default_factory=Embedding)
    folds: int = 5
    penalties: tuple[float, ...] = PENALTIES
    """Of slopes, to choose from for each direction in which models' rewards vary, by the error on rows left out."""
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
    corpus: Corpus | None = None,
) -> Policy:
    """Fit a policy. `reference` is the model that floors are a share of (default: the best one on average).

    `prices` are US$ per million tokens (three of input to one of output) at which the costs were paid, so that a changed price
    can rescale them. `corpus` are the prompts, where they were read already. Raises `InvalidRequest` where there are too few
    prompts, or the reference is no model of the table.
    """
    return fit_both(outcomes, reference=reference, prices=prices, number=number, fitting=fitting, corpus=corpus)[0]


def fit_both(
    outcomes: Outcomes,
    *,
    reference: str | None = None,
    prices: Mapping[str, float] | None = None,
    number: int = 0,
    fitting: Fitting | None = None,
    corpus: Corpus | None = None,
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
    read = corpus or read_all(outcomes.prompts, outcomes.contexts)
    bare = fit_trunk(read, how.embedding.width, how.seed)
    if how.embedding.vectors is not None:
        bare = folded(bare, read, outcomes.prompts, how.embedding.vectors)
    placed = phis(everywhere(bare), read)
    unseen, fits = _out_of_fold(bare, placed, outcomes, how)
    trunk, planted = plant(bare, placed, outcomes.rewards, how.embedding, how.seed)
    phi = shortened(trunk, planted)
    paid = np.array([(prices or {}).get(model, np.nan) for model in outcomes.models], np.float32)
    quality, costs = fit_heads(phi, outcomes.rewards, how.penalties), fit_costs(phi, outcomes.costs)
    everything = np.arange(len(outcomes))
    spent = np.exp(phi @ costs.mean.T)
    whole = Fold(everything, everything, phi, phi, spent, spent, quality.mean)
    policy = Policy(
        number=number,
        models=outcomes.models,
        reference=outcomes.models[held],
        embedding=trunk,
        quality=quality,
        costs=replace(costs, price=paid),
        curve=calibrate(unseen, outcomes, held),
        notes={"prompts": str(len(outcomes))},
        ladders=fit_ladders(outcomes, fits, whole, (unseen.quality, unseen.cost), held, trunk.forest.leaves.shape[2]),
    )
    return policy, unseen


def calibrate(unseen: OutOfFold, outcomes: Outcomes, reference: int, steps: int = 81) -> Curve:
    """Tell what each willingness to pay brings, on predictions out of fold: quality and cost as shares of the reference's.

    A prompt on which something was not seen is left out, or where there are hardly others, it counts as what is predicted of it.
    """
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
    return curve_of(lambda pay: best_at(pay, quality, cost), (rewards, costs), reference, steps)


def _out_of_fold(bare: Trunk, placed: Array, outcomes: Outcomes, how: Fitting) -> tuple[OutOfFold, list[Fold]]:
    """Predict each prompt by a forest and heads that did not see its outcomes; give those fits too."""
    folds = np.random.default_rng(how.seed).permutation(len(outcomes)) % how.folds
    quality, costs = np.full(outcomes.rewards.shape, np.nan), np.full(outcomes.costs.shape, np.nan)
    fits = []
    for fold in range(how.folds):
        inside, outside = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        trunk, planted = plant(bare, placed[inside], outcomes.rewards[inside], how.embedding, how.seed)
        phi, there = shortened(trunk, planted), grown(trunk, placed[outside])
        prices = fit_costs(phi, outcomes.costs[inside])
        costs[outside] = np.exp(there @ prices.mean.T)
        heads = fit_heads(phi, outcomes.rewards[inside], how.penalties)
        quality[outside] = np.clip(there @ heads.mean.T, 0, 1)
        fits.append(Fold(inside, outside, phi, there, np.exp(phi @ prices.mean.T), costs[outside], heads.mean))
    return OutOfFold(quality, costs), fits
