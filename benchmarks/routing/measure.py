"""What a policy brings on prompts that it never saw, held against single models, their mixes, chance and the oracle.

The setting is fixed on the training part (out of fold, by the policy's own curve); the test part only says what came of it. Refuses
to use a test row for a choice, and a set whose oracle is worse than its best model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import ControlFailed, Figure
from benchmarks.routing.data import Set
from meliora.routing.learned.dial import Dial
from meliora.routing.learned.policy import Policy
from meliora.routing.learning.prior_fit import predicted
from meliora.routing.learning.table import Outcomes
from meliora.routing.learning.trunk import Corpus
from meliora.stats.bootstrap import interval
from meliora.stats.hull import at_cost, cheapest, hull

Array = NDArray[np.float64]

SLACK = 0.005
"""A saving counts when the quality reached on the test part is at most this much under what was to be held."""


@dataclass(frozen=True)
class Judged:
    """Test outcomes with every reward and cost seen, and what the training part says of single models."""

    rewards: Array
    costs: Array
    best: int
    """Of single models on the training part."""
    trained_rewards: Array
    trained_costs: Array
    """[M] means on the training part."""

    @property
    def reference(self) -> Array:
        """[n, 2] reward and cost of the best single model."""
        return np.stack((self.rewards[:, self.best], self.costs[:, self.best]), axis=1)


def judged(train: Outcomes, test: Outcomes) -> tuple[Judged, NDArray[np.int64]]:
    """Give the test outcomes to judge by, and their rows: those with every model's outcome.

    Raises `ControlFailed` where the oracle is worse than the best single model: then the tables are broken.
    """
    rows = np.flatnonzero(~(np.isnan(test.rewards) | np.isnan(test.costs)).any(axis=1))
    rewards, costs = test.rewards[rows], test.costs[rows]
    best = train.best()
    oracle = rewards.max(axis=1).mean()
    if len(rows) < 2 or oracle < rewards.mean(axis=0).max() - 1e-12:
        raise ControlFailed(
            f"the oracle reaches {oracle:.4f} on {len(rows)} rows, which is under the best single model"
        )
    means = np.nanmean(train.rewards, axis=0), np.nanmean(train.costs, axis=0)
    return Judged(rewards, costs, best, *means), rows


def chosen(quality: Array, cost: Array, pay: float, reference: int) -> NDArray[np.int64]:
    """Give the model chosen for each prompt at a willingness to pay; where it is infinite, the reference model."""
    if pay == np.inf:
        return np.full(len(quality), reference)
    return (quality - cost / pay if pay > 0 else -cost).argmax(axis=1)


def saving(name: str, policy: Policy, corpus: Corpus, here: Judged, floor: float) -> Figure:
    """Give the saving at the setting that held `floor` of the best single model's quality on the training part."""
    quality, cost = predicted(policy, corpus)
    pay = Dial(quality_floor=floor).pay(policy.curve)
    picks = chosen(quality, cost, pay, policy.models.index(policy.reference))
    index = np.arange(len(picks))
    played = np.stack((here.rewards[index, picks], here.costs[index, picks]), axis=1)
    return saved(name, played, here, floor)


def saved(name: str, played: Array, here: Judged, floor: float) -> Figure:
    """Give the saving of what was `played` [n, 2]: reward and cost of each prompt."""
    columns = np.concatenate((played, here.reference), axis=1)
    value, low, high = interval(columns, lambda means: 1 - means[..., 1] / means[..., 3])
    held, held_low, held_high = interval(columns, lambda means: means[..., 0] / means[..., 2])
    mix = cheapest(here.trained_costs.tolist(), here.trained_rewards.tolist(), floor * here.trained_rewards[here.best])
    means, prices = here.rewards.mean(axis=0), here.costs.mean(axis=0)
    counts = held >= floor - SLACK
    return Figure(
        name,
        value,
        "share",
        low,
        high,
        len(played),
        {
            "quality": held,
            "quality_low": held_low,
            "quality_high": held_high,
            "counts": float(counts),
            "zero": 1 - mix.of(prices.tolist()) / prices[here.best],
            "zero_quality": mix.of(means.tolist()) / means[here.best],
            "random": 1 - prices.mean() / prices[here.best],
            "random_quality": means.mean() / means[here.best],
            "oracle": 1 - oracle_cost(here, floor) / prices[here.best],
        },
        "" if counts else f"does not count: it reached {held:.4f}, which is under {floor - SLACK:.4f}",
    )


def oracle_cost(here: Judged, floor: float) -> float:
    """Give the mean cost of the cheapest way to hold `floor` by someone who knows every outcome (Lagrangian, by bisection)."""
    wanted = floor * here.rewards[:, here.best].mean()
    low, high = 0.0, float(here.costs.max()) * 1e6
    index = np.arange(len(here.rewards))
    for _ in range(100):
        pay = (low + high) / 2
        picks = chosen(here.rewards, here.costs, pay, here.best)
        if here.rewards[index, picks].mean() >= wanted:
            high = pay
        else:
            low = pay
    picks = chosen(here.rewards, here.costs, high, here.best)
    return float(here.costs[index, picks].mean())


def apgr(name: str, policy: Policy, corpus: Corpus, here: Judged) -> Figure:
    """Give the average share of the gap between two models that is won, over all shares of calls to the stronger one.

    As RouteLLM has it (Ong et al., arXiv:2406.18665, 3.2), by the trapezoid rule over every share; a random order gives 0.5.
    """
    weak, strong = 1 - here.best, here.best
    quality, _ = predicted(policy, corpus)
    order = np.argsort(-(quality[:, strong] - quality[:, weak]), kind="stable")
    gains = here.rewards[order, strong] - here.rewards[order, weak]
    value = _area(gains)
    rng = np.random.default_rng(7)
    rounds = [_area(gains[np.sort(rng.integers(0, len(gains), len(gains)))]) for _ in range(1000)]
    low, high = np.quantile(rounds, (0.025, 0.975))
    perfect = _area(np.sort(gains)[::-1])
    return Figure(
        name, value, "share", float(low), float(high), len(gains), {"random": 0.5, "zero": 0.5, "oracle": perfect}
    )


def loss_left_out(policy: Policy, corpus: Corpus, here: Judged, floor: float) -> tuple[float, float, float]:
    """Give by how many points the policy is worse than the zero router at equal cost, with its interval.

    The zero router mixes neighbours on the training part's hull so that it costs just as much; it knows as little of what was left
    out as the policy does.
    """
    quality, cost = predicted(policy, corpus)
    pay = Dial(quality_floor=floor).pay(policy.curve)
    picks = chosen(quality, cost, pay, policy.models.index(policy.reference))
    index = np.arange(len(picks))
    chain = hull(here.trained_costs.tolist(), here.trained_rewards.tolist())
    count = here.rewards.shape[1]
    columns = np.concatenate(
        (here.rewards[index, picks][:, None], here.costs[index, picks][:, None], here.rewards, here.costs), axis=1
    )

    def loss(means: Array) -> Array:
        flat = means.reshape(-1, means.shape[-1])
        zero = [at_cost(chain, row[2 + count :].tolist(), row[2 : 2 + count].tolist(), row[1]) for row in flat]
        return (100 * (np.array(zero) - flat[:, 0])).reshape(means.shape[:-1])

    return interval(columns, loss, rounds=400)


def swept(policy: Policy, corpus: Corpus, here: Judged) -> Array:
    """Give [k, 2] of cost and quality on the test part over all settings, for a plot."""
    quality, cost = predicted(policy, corpus)
    index = np.arange(len(quality))
    points = []
    for pay in policy.curve.pay:
        picks = chosen(quality, cost, float(pay), here.best)
        points.append((here.costs[index, picks].mean(), here.rewards[index, picks].mean()))
    return np.array(points)


def oracle_sweep(here: Judged, steps: int = 60) -> Array:
    """Give [k, 2] of cost and quality of the oracle over what it would pay."""
    index = np.arange(len(here.rewards))
    points = []
    for pay in here.costs.mean() * np.geomspace(1e-2, 1e4, steps):
        picks = chosen(here.rewards, here.costs, float(pay), here.best)
        points.append((here.costs[index, picks].mean(), here.rewards[index, picks].mean()))
    return np.array(points)


def by_calls(whole: Set) -> Set:
    """Give a set of two models without prices, a call to the stronger one costing 1 and to the other nothing."""
    best = whole.outcomes.best()
    costs = np.zeros_like(whole.outcomes.rewards)
    costs[:, best] = 1.0
    outcomes = whole.outcomes
    priced = Outcomes(outcomes.prompts, outcomes.models, outcomes.rewards, costs)
    return Set(whole.name, priced, whole.sources, whole.answers)


def _area(gains: Array) -> float:
    total = gains.sum()
    won = np.concatenate((np.zeros(1), np.cumsum(gains)))
    return float(((won[1:] + won[:-1]) / 2).mean() / total) if total else float("nan")
