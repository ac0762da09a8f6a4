"""Fits cascades to answers that are known of every model: which are worth having, and what each comes to on a prompt.

Every rule here is fixed before the data are seen, and each dial is read from predictions out of fold. Refuses prompts on which an
outcome is missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from meliora.routing.learned.ladder import Ladders
from meliora.routing.learned.policy import Curve
from meliora.routing.learning.curves import best_at, curve_of
from meliora.routing.learning.table import Outcomes

Array = NDArray[np.floating]
Legs = tuple[int, ...]

STRONG = 2
"""Models that may have the last word: so many of the best."""
_HOLDS = 0.95
"""Of the best model's quality, at least, on the average prompt."""
_DEAREST = 1.6
"""Of the best model's cost, at most, on the average prompt."""
_PENALTY = 300.0
"""Of slopes on the forest's outputs: these are predictions already, made out of bag, so one penalty does for all."""
LEAST = 100
"""Prompts below which nothing is measured of cascades."""
STEPS = 161
"""Settings of the dial that are tried."""
MOST = 64
"""Ladders that a policy keeps: those that are chosen most, so that a decision stays fast."""


@dataclass(frozen=True)
class Played:
    """What a cascade came to on each prompt."""

    rewards: Array
    costs: Array
    asked: Array
    """[n, 2] whether the tie-breaker, and the strong one, was asked."""
    later: Array
    """[n, 2] US$ that either took."""
    stood: NDArray[np.int64]
    """[n] the model whose answer stood."""


def played(outcomes: Outcomes, legs: Legs) -> Played:
    """Give what a cascade comes to: its legs are asked in order until one agrees with one before it; the last one's word stands.

    Of two that agree the earlier one's answer stands. An answer that says nothing (-1) agrees with none.
    """
    said, rewards, costs = outcomes.said, outcomes.rewards, outcomes.costs
    assert said is not None
    count = len(outcomes)
    stood = np.full(count, -1)
    spent = np.zeros(count)
    reached = []
    for place, leg in enumerate(legs):
        open_ = stood < 0
        reached.append(open_)
        spent += np.where(open_, costs[:, leg], 0.0)
        for before in legs[:place] if place < len(legs) - 1 else ():
            same = (stood < 0) & (said[:, leg] >= 0) & (said[:, leg] == said[:, before])
            stood[same] = before
    stood[stood < 0] = legs[-1]
    nobody = np.zeros(count, bool)
    third, strong = (legs[2] if len(legs) == 4 else legs[0]), legs[len(legs) - 1]
    asked = np.stack((reached[2] if len(legs) == 4 else nobody, reached[-1] if len(legs) > 1 else nobody), axis=1)
    later = np.where(asked, costs[:, [third, strong]], 0.0)
    return Played(rewards[np.arange(count), stood], spent, asked.astype(np.float64), later, stood)


def candidates(outcomes: Outcomes) -> list[Legs]:
    """Give the cascades that are worth a look: near the best model in quality without being much dearer than it.

    Any two are asked first, with or without a third to break their tie, and one of the best has the last word.
    """
    quality, prices = outcomes.rewards.mean(axis=0), outcomes.costs.mean(axis=0)
    order = [int(model) for model in np.argsort(prices, kind="stable")]
    strongest = [int(model) for model in np.argsort(-quality, kind="stable")[:STRONG]]
    best = strongest[0]
    found = []
    for strong in strongest:
        for one, other in combinations([model for model in order if model != strong], 2):
            if prices[one] > prices[strong]:
                continue
            ties = [(one, other, third, strong) for third in order if third not in (one, other, strong)]
            for legs in [(one, other, strong), *ties]:
                made = played(outcomes, legs)
                if made.rewards.mean() >= _HOLDS * quality[best] and made.costs.mean() <= _DEAREST * prices[best]:
                    found.append(legs)
    return found


@dataclass(frozen=True)
class Fold:
    """A fit that has not seen some prompts: `phi` of those it saw and of the others, and what it predicts of models on both."""

    inside: NDArray[np.int64]
    outside: NDArray[np.int64]
    phi: Array
    there: Array
    cost: Array
    """[inside, M] expected US$."""
    cost_there: Array
    anchor: Array
    """[M, d] heads of quality."""


def fit_ladders(
    outcomes: Outcomes, folds: Sequence[Fold], whole: Fold, unseen: tuple[Array, Array], reference: int, outputs: int
) -> Ladders | None:
    """Fit the cascades; None where answers are not known, or of too few prompts everything is.

    `unseen` are quality and cost of the models alone, out of fold; `outputs` of `phi`'s last columns are the forest's. Where one model
    alone is worth most it is the policy's own choice of one that is taken, here as when it serves.
    """
    if outcomes.said is None:
        return None
    full = np.asarray(np.isfinite(outcomes.rewards + outcomes.costs).all(axis=1), np.bool_)
    rows = np.flatnonzero(full)
    if len(rows) < LEAST or not outcomes.costs[rows].any():
        return None
    count = len(outcomes.models)
    legs = [*((model,) for model in range(count)), *candidates(outcomes.take(rows))]
    if len(legs) == count:
        return None
    made = [played(outcomes, each) for each in legs]
    quality, cost = np.empty((len(outcomes), len(legs))), np.empty((len(outcomes), len(legs)))
    still = np.zeros((1, count))
    for fold in folds:
        quality[fold.outside], cost[fold.outside] = _fitted(legs, made, fold, full, outputs).at(
            fold.there, still, fold.cost_there
        )
    seen = np.stack([one.rewards for one in made], axis=1)[rows], np.stack([one.costs for one in made], axis=1)[rows]
    quality, cost, alone = quality[rows], cost[rows], (unseen[0][rows], unseen[1][rows])
    times = np.zeros(len(legs), np.int64)

    def choose(pay: float) -> NDArray[np.int64]:
        picks = best_at(pay, quality, cost)
        times[:] += np.bincount(picks, minlength=len(legs))
        return np.where(picks < count, best_at(pay, *alone), picks)

    curve = curve_of(choose, seen, reference, STEPS)
    most = [place for place in np.argsort(-times, kind="stable").tolist() if place >= count and times[place]][:MOST]
    if not most:
        return None
    kept = [*range(count), *most]
    if len(most) == MOST:
        legs, made, seen = (
            [legs[place] for place in kept],
            [made[place] for place in kept],
            (seen[0][:, kept], seen[1][:, kept]),
        )
        quality, cost, times = quality[:, kept], cost[:, kept], times[kept]
        curve = curve_of(choose, seen, reference, STEPS)
        kept = list(range(len(legs)))
    return _fitted([legs[place] for place in kept], [made[place] for place in kept], whole, full, outputs, curve)


_NO_CURVE = Curve(np.ones(1), np.ones(1), np.ones(1))


def _fitted(
    legs: Sequence[Legs],
    made: Sequence[Played],
    fold: Fold,
    full: NDArray[np.bool_],
    outputs: int,
    curve: Curve = _NO_CURVE,
) -> Ladders:
    """Fit quality and the chance of being asked by ridge regression on what the forest makes of the prompts inside."""
    own = full[fold.inside]
    rows = fold.inside[own]
    design = fold.phi[own][:, fold.phi.shape[1] - outputs :].astype(np.float64)
    middle = design.mean(axis=0)
    square = (design - middle).T @ (design - middle) + _PENALTY * np.eye(outputs)

    def ridge(targets: Array) -> Array:
        means = targets.mean(axis=0)
        slopes = np.linalg.solve(square, (design - middle).T @ (targets - means))
        return np.concatenate(((means - middle @ slopes)[None], slopes)).T.astype(np.float32)

    models = len(fold.anchor)
    asked = np.stack([one.asked[rows] for one in made], axis=1)
    found = Ladders(
        np.array([_placed(each) for each in legs], np.int32),
        ridge(np.stack([one.rewards[rows] for one in made], axis=1)),
        ridge(asked.reshape(len(rows), -1)).reshape(len(legs), 2, -1),
        np.ones((len(legs), 2), np.float32),
        np.stack([np.bincount(one.stood[rows], minlength=models) / len(rows) for one in made]).astype(np.float32),
        fold.anchor.astype(np.float32),
        curve,
    )
    # Prompts on which models differ are often long ones: what a later leg cost where it was asked is above its mean.
    paid = np.stack([one.later[rows].mean(axis=0) for one in made])
    likely = found.later(found.outputs(fold.phi[own]), fold.cost[own]).mean(axis=0)
    dearer = np.where(likely > 0, paid / np.maximum(likely, 1e-12), 1.0)
    return replace(found, dearer=dearer.astype(np.float32))


def _placed(legs: Legs) -> tuple[int, int, int, int]:
    """Give legs as a row of `Ladders.legs`."""
    if len(legs) == 1:
        return legs[0], -1, -1, -1
    return legs[0], legs[1], legs[2] if len(legs) == 4 else -1, legs[-1]
