"""Cascades in the benchmark: the policy weighs each that was measured on the training part beside the models alone.

Which are worth having, what is predicted of them and the setting come of the training part; every leg is charged.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import Figure
from benchmarks.routing.data import Set
from benchmarks.routing.measure import Judged, chosen, predicted, saved
from meliora.routing.learned.cascade import agrees
from meliora.routing.learned.dial import Dial
from meliora.routing.learned.policy import Policy
from meliora.routing.learning.ladders import candidates, played
from meliora.routing.learning.table import Outcomes
from meliora.routing.learning.trunk import Corpus, phis

Array = NDArray[np.float64]


def answered(part: Set) -> Outcomes:
    """Give the outcomes with who said the same as whom; an answer that could not be parsed agrees with none."""
    models = part.outcomes.models
    said = np.full((len(part), len(models)), -1)
    for column, model in enumerate(models):
        for row, answer in enumerate(part.answers.get(model, ())):
            if not answer:
                continue
            earlier = (
                place
                for place in range(column)
                if said[row, place] >= 0 and agrees(_of(part, place, row), answer, "exact")
            )
            said[row, column] = said[row, found] if (found := next(earlier, None)) is not None else column
    return replace(part.outcomes, said=said)


def _of(part: Set, column: int, row: int) -> str:
    return part.answers[part.outcomes.models[column]][row] or ""


def saving(
    name: str, policy: Policy, trained: Outcomes, test: Set, corpus: Corpus, here: Judged, floor: float, beside: float
) -> Figure:
    """Give the saving of a policy that may also cascade; `beside` is the saving of the same that may not, at the same floor.

    `trained` are the outcomes that it was fitted on, `test` and its corpus are of the rows in `here`.
    """
    found = play(policy, answered(test), corpus, floor)
    figure = saved(name, np.stack((found.rewards, found.costs), axis=1), here, floor)
    alone = _fixed(trained, answered(test), here, floor)
    common = found.legs.most_common(1)
    more = {
        "router_alone": beside,
        "cascade_alone": alone[0],
        "cascade_alone_quality": alone[1],
        "cascaded": found.legs.total() / len(found.rewards),
        "ladders": float(len(policy.ladders.legs) if policy.ladders is not None else 0),
    }
    note = f"most often {' + '.join(policy.models[leg] for leg in common[0][0])}" if common else ""
    return replace(figure, beside={**figure.beside, **more}, note=figure.note or note)


@dataclass(frozen=True)
class Play:
    """What came of a policy on each prompt, and how often it took which cascade."""

    rewards: Array
    costs: Array
    legs: Counter[tuple[int, ...]]


def play(policy: Policy, outcomes: Outcomes, corpus: Corpus, floor: float) -> Play:
    """Choose for each prompt among models and measured cascades, at the setting that held `floor` on the training part."""
    quality, cost = predicted(policy, corpus)
    reference, ladders = policy.models.index(policy.reference), policy.ladders
    pay = Dial(quality_floor=floor).pay(policy.curve if ladders is None else ladders.curve)
    alone = chosen(quality, cost, pay, reference)
    index = np.arange(len(alone))
    rewards, costs = outcomes.rewards[index, alone], outcomes.costs[index, alone]
    if ladders is None or pay == np.inf:
        return Play(rewards, costs, Counter())
    good, spent = ladders.at(phis(policy.embedding, corpus), np.zeros((1, len(policy.models))), cost)
    picks = chosen(good.astype(np.float64), spent.astype(np.float64), pay, reference)
    legs: Counter[tuple[int, ...]] = Counter()
    for place in np.unique(picks).tolist():
        rows = np.flatnonzero(picks == place)
        if len(ladders.of(place)) > 1:
            legs[ladders.of(place)] = len(rows)
            made = played(outcomes, ladders.of(place))
            rewards[rows], costs[rows] = made.rewards[rows], made.costs[rows]
    return Play(rewards, costs, legs)


def _fixed(trained: Outcomes, test: Outcomes, here: Judged, floor: float) -> tuple[float, float]:
    """Saving and quality of the cheapest one cascade, for every prompt, that held the floor on the training part."""
    wanted = floor * here.trained_rewards[here.best]
    held = [
        (float(made.costs.mean()), legs)
        for legs in candidates(trained)
        for made in [played(trained, legs)]
        if made.rewards.mean() >= wanted and made.costs.mean() < here.trained_costs[here.best]
    ]
    reference = here.reference.mean(axis=0)
    if not held:
        return 0.0, 1.0
    made = played(test, min(held)[1])
    return float(1 - made.costs.mean() / reference[1]), float(made.rewards.mean() / reference[0])
