"""Fits a policy to outcomes, seen for all models or only for some. Every choice in it is made by prompts left out of the fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from meliora.errors import InvalidRequest
from meliora.routing.learned.policy import Curve, Policy, Trunk
from meliora.routing.learning.embedding import folded
from meliora.routing.learning.heads import PENALTIES, fit_costs, fit_heads
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
    unseen = _out_of_fold(bare, placed, outcomes, how)
    trunk, planted = plant(bare, placed, outcomes.rewards, how.embedding, how.seed)
    phi = shortened(trunk, planted)
    paid = np.array([(prices or {}).get(model, np.nan) for model in outcomes.models], np.float32)
    policy = Policy(
        number=number,
        models=outcomes.models,
        reference=outcomes.models[held],
        embedding=trunk,
        quality=fit_heads(phi, outcomes.rewards, how.penalties),
        costs=replace(fit_costs(phi, outcomes.costs), price=paid),
        curve=calibrate(unseen, outcomes, held),
        notes={"prompts": str(len(outcomes))},
    )
    return policy, unseen


def calibrate(unseen: OutOfFold, outcomes: Outcomes, reference: int, steps: int = 81) -> Curve:
    """Tell what each willingness to pay brings, on predictions out of fold: quality and cost as shares of the reference's.

    Paying more cannot make it worse but by chance, so quality is smoothed to a rising curve (isotonic regression by pooling
    adjacent violators: Barlow et al., Statistical Inference under Order Restrictions, 1972).
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
    return Curve(pays, _rising(shares), np.array(prices))


def _rising(values: list[float]) -> NDArray[np.float64]:
    blocks: list[tuple[float, int]] = []
    for value in values:
        blocks.append((value, 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (one, few), (other, more) = blocks[-2:]
            blocks[-2:] = [((one * few + other * more) / (few + more), few + more)]
    return np.concatenate([np.full(size, mean) for mean, size in blocks])


def _out_of_fold(bare: Trunk, placed: Array, outcomes: Outcomes, how: Fitting) -> OutOfFold:
    """Predict each prompt by a forest and heads that did not see its outcomes."""
    folds = np.random.default_rng(how.seed).permutation(len(outcomes)) % how.folds
    quality, costs = np.full(outcomes.rewards.shape, np.nan), np.full(outcomes.costs.shape, np.nan)
    for fold in range(how.folds):
        inside, outside = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        trunk, planted = plant(bare, placed[inside], outcomes.rewards[inside], how.embedding, how.seed)
        phi, there = shortened(trunk, planted), grown(trunk, placed[outside])
        costs[outside] = np.exp(there @ fit_costs(phi, outcomes.costs[inside]).mean.T)
        heads = fit_heads(phi, outcomes.rewards[inside], how.penalties)
        quality[outside] = np.clip(there @ heads.mean.T, 0, 1)
    return OutOfFold(quality, costs)
