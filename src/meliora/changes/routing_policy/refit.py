"""Fits a policy to recorded outcomes. Prompts are read as the running policy reads them: the log holds no content to be read anew.

Each outcome tells of one model alone; what the others would have done is filled in by what is predicted (see `heads.fit_heads`). A
model of which too little is known keeps what the running policy knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from meliora.routing.learned.policy import Costs, Heads, Policy
from meliora.routing.learning.heads import fit_costs, fit_heads
from meliora.routing.learning.records import Outcome

LEAST = 200
"""Rewarded outcomes below which nothing is fitted."""
LEAST_EACH = 30
"""Of a model, below which it keeps what was known of it."""
SHARE = 0.6
"""Of the outcomes, the older ones, that the fit sees; the rest is what the candidate is proved on."""

Array = NDArray[np.floating]


def usable(outcomes: Sequence[Outcome], running: Policy) -> list[Outcome]:
    """Give the outcomes that tell something: rewarded, decided by the policy, of a model that it knows."""
    known = set(running.models)
    return [one for one in outcomes if one.reward is not None and one.propensity is not None and one.model in known]


def split(outcomes: Sequence[Outcome]) -> tuple[list[Outcome], int]:
    """Give the older part that a fit may see, and until when that is; calls of one moment stay together."""
    cut = outcomes[max(0, round(len(outcomes) * SHARE) - 1)].started_us
    return [one for one in outcomes if one.started_us <= cut], cut


def refit(running: Policy, outcomes: Sequence[Outcome]) -> Policy | None:
    """Give a policy of the running one's trunk, fitted to these outcomes; None where fewer than two models can be told apart."""
    place = {model: index for index, model in enumerate(running.models)}
    phi = np.stack([np.frombuffer(one.phi, "<f2").astype(np.float32) for one in outcomes])
    rewards = np.full((len(outcomes), len(place)), np.nan)
    costs = np.full(rewards.shape, np.nan)
    for row, one in enumerate(outcomes):
        rewards[row, place[one.model]] = one.reward
        if one.cost_micros is not None:
            costs[row, place[one.model]] = one.cost_micros / 1e6
    told = (~np.isnan(rewards)).sum(axis=0) >= LEAST_EACH
    if told.sum() < 2 or phi.shape[1] != running.quality.mean.shape[1]:
        return None
    priced = (~np.isnan(costs)).sum(axis=0) >= LEAST_EACH
    rows = told[[place[one.model] for one in outcomes]]
    heads = fit_heads(phi[rows], rewards[rows][:, told])
    return replace(
        running,
        number=0,
        quality=_heads(running.quality, heads, told),
        costs=_costs(running.costs, fit_costs(phi, costs), priced),
        handicap=0.0,
        notes={**running.notes, "outcomes": str(int(rows.sum()))},
    )


def _heads(old: Heads, new: Heads, told: NDArray[np.bool_]) -> Heads:
    count, size = old.mean.shape
    mean, noise = old.mean.copy(), np.array(old.noise, np.float32)
    factor = np.array(np.broadcast_to(old.factor, (count, size, size)), np.float32)
    mean[told], noise[told] = new.mean, new.noise
    factor[told] = new.factor
    return Heads(mean.astype(np.float32), factor, noise)


def _costs(old: Costs, new: Costs, priced: NDArray[np.bool_]) -> Costs:
    """Take what was paid lately where it is known: it is of today's prices, so nothing scales it."""
    mean, price, ratio = old.mean.copy(), old.price.copy(), old.ratio.copy()
    mean[priced], price[priced], ratio[priced] = new.mean[priced], np.nan, 1.0
    return Costs(mean, price, ratio)
