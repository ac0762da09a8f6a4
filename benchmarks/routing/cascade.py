"""Cascades in the benchmark: each one worth having is one more column of outcomes, so that the policy weighs it like a model.

Two cheap models are asked; where they agree the cheaper one's answer stands, else the strong one is asked too. Every leg is charged.
Which cascades are worth having, and the setting, are chosen on the training part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import Figure
from benchmarks.routing.data import Set
from benchmarks.routing.measure import Judged, chosen, predicted, saved
from meliora.routing.learned.cascade import agrees
from meliora.routing.learned.dial import Dial
from meliora.routing.learning.fit import Fitting, fit_both
from meliora.routing.learning.table import Outcomes
from meliora.routing.learning.trunk import Corpus
from meliora.stats.hull import hull

Array = NDArray[np.float64]

MOST = 8
"""Cascades that are given to the policy."""


@dataclass(frozen=True)
class Legs:
    """Two cheap models, the cheaper one first, and the one that is asked where they disagree."""

    first: str
    second: str
    strong: str

    def __str__(self) -> str:
        return f"{self.first} + {self.second} > {self.strong}"


def saving(
    name: str,
    train: Set,
    test: Set,
    corpora: tuple[Corpus, Corpus],
    here: Judged,
    floor: float,
    beside: float,
    fitting: Fitting | None = None,
) -> Figure:
    """Give the saving of the policy that may also cascade; `beside` is the saving of the policy that may not, at the same floor.

    `test` and its corpus are of the rows in `here`.
    """
    legs = worth_having(train)
    reference = train.outcomes.models[here.best]
    wide = widened(train, legs)
    policy, _ = fit_both(wide, reference=reference, corpus=corpora[0], fitting=fitting)
    quality, cost = predicted(policy, corpora[1])
    picks = chosen(quality, cost, Dial(quality_floor=floor).pay(policy.curve), wide.models.index(reference))
    outcomes = widened(test, legs)
    index = np.arange(len(picks))
    found = saved(name, np.stack((outcomes.rewards[index, picks], outcomes.costs[index, picks]), axis=1), here, floor)
    alone = _fixed(train, test, legs, here, floor)
    share = float((picks >= len(train.outcomes.models)).mean())
    return Figure(
        found.name,
        found.value,
        found.unit,
        found.low,
        found.high,
        found.n,
        {
            **found.beside,
            "router_alone": beside,
            "cascade_alone": alone[0],
            "cascade_alone_quality": alone[1],
            "cascaded": share,
        },
        found.note,
    )


def widened(part: Set, legs: Sequence[Legs]) -> Outcomes:
    """Give the outcomes with one more column for each cascade."""
    played = [outcome(part, those) for those in legs]
    return Outcomes(
        part.outcomes.prompts,
        (*part.outcomes.models, *map(str, legs)),
        np.concatenate([part.outcomes.rewards, *[rewards[:, None] for rewards, _ in played]], axis=1),
        np.concatenate([part.outcomes.costs, *[costs[:, None] for _, costs in played]], axis=1),
    )


def outcome(part: Set, legs: Legs) -> tuple[Array, Array]:
    """Give reward and cost of a cascade on each prompt; an answer that could not be parsed agrees with nothing."""
    first, second, strong = (part.outcomes.models.index(model) for model in (legs.first, legs.second, legs.strong))
    pairs = zip(part.answers[legs.first], part.answers[legs.second], strict=True)
    same = np.array([bool(one and other and agrees(one, other, "exact")) for one, other in pairs])
    rewards, costs = part.outcomes.rewards, part.outcomes.costs
    return (
        np.where(same, rewards[:, first], rewards[:, strong]),
        costs[:, first] + costs[:, second] + np.where(same, 0, costs[:, strong]),
    )


def worth_having(train: Set) -> list[Legs]:
    """Give the cascades on, or next to, the hull of cost and quality on the training part that cost less than the best model."""
    prices = np.nanmean(train.outcomes.costs, axis=0)
    quality = np.nanmean(train.outcomes.rewards, axis=0)
    place = {model: index for index, model in enumerate(train.outcomes.models) if model in train.answers}
    order = sorted(place, key=lambda model: prices[place[model]])
    strongest = sorted(place, key=lambda model: -quality[place[model]])[:2]
    most = prices[place[strongest[0]]]
    found: dict[Legs, tuple[float, float]] = {}
    for strong in strongest:
        for one, other in combinations(order[: order.index(strong)], 2):
            rewards, costs = outcome(train, Legs(one, other, strong))
            if np.nanmean(costs) < most:
                found[Legs(one, other, strong)] = (float(np.nanmean(costs)), float(np.nanmean(rewards)))
    best: list[Legs] = []
    while found and len(best) < MOST:
        left = list(found)
        chain = hull([found[legs][0] for legs in left], [found[legs][1] for legs in left])
        layer = sorted((left[index] for index in chain), key=lambda legs: -found[legs][1])
        best += layer[: MOST - len(best)]
        for legs in layer:
            del found[legs]
    return best


def _fixed(train: Set, test: Set, legs: Sequence[Legs], here: Judged, floor: float) -> tuple[float, float]:
    """Saving and quality of the cheapest one cascade, for every prompt, that held the floor on the training part."""
    wanted = floor * here.trained_rewards[here.best]
    held = [
        (np.nanmean(costs), those)
        for those in legs
        for rewards, costs in [outcome(train, those)]
        if np.nanmean(rewards) >= wanted
    ]
    reference = here.reference.mean(axis=0)
    if not held:
        return 0.0, 1.0
    rewards, costs = outcome(test, min(held, key=lambda pair: pair[0])[1])
    return float(1 - costs.mean() / reference[1]), float(rewards.mean() / reference[0])
