"""What a policy would have earned where the outcome of every model is known: no guess, only the choice and its result."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meliora.errors import InvalidRequest
from meliora.routing.learned.dial import Dial, choose
from meliora.routing.learned.explore import OFF, Exploration
from meliora.routing.learned.policy import Policy
from meliora.routing.learning.table import Outcomes
from meliora.stats.offpolicy import UNKNOWN, Estimate, doubly_robust

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Replay:
    """Values are utility (quality - cost / pay) a prompt, over the prompts on which every outcome is known."""

    candidate: Estimate
    running: Estimate
    difference: Estimate
    prompts: int
    """Of the table; fewer are used where an outcome is missing."""
    pay: float

    @property
    def serves(self) -> bool:
        """Whether the candidate has proved better."""
        return self.difference.low > 0


def replay(outcomes: Outcomes, candidate: Policy, running: Policy, dial: Dial, explore: Exploration = OFF) -> Replay:
    """Let both policies decide on every prompt, at the running policy's meaning of the dial. The trunks may differ.

    Raises `InvalidRequest` where a policy has a model of which the table knows nothing.
    """
    pay = dial.pay(running.curve)
    known = ~(np.isnan(outcomes.rewards) | np.isnan(outcomes.costs)).any(axis=1)
    table = outcomes.take(np.flatnonzero(known))
    utility = table.rewards - (table.costs / pay if pay > 0 else 0)
    fixed = Dial(willingness_to_pay=pay)
    mine = (chances(candidate, table, fixed, explore) * utility).sum(axis=1)
    theirs = (chances(running, table, fixed, explore) * utility).sum(axis=1)
    return Replay(_mean(mine), _mean(theirs), _mean(mine - theirs), len(outcomes), pay)


def chances(policy: Policy, outcomes: Outcomes, dial: Dial, explore: Exploration = OFF) -> Array:
    """Give the probability with which the policy serves each of the table's models on each prompt, [n, M]."""
    unknown = [model for model in policy.models if model not in outcomes.models]
    if unknown:
        raise InvalidRequest(
            f"the outcomes have no column for {', '.join(unknown)}, which policy {policy.number} may choose",
            hint="Score those models too, or evaluate a policy without them.",
        )
    columns = [outcomes.models.index(model) for model in policy.models]
    found = np.zeros(outcomes.rewards.shape)
    for row, prompt in enumerate(outcomes.prompts):
        prediction = policy.predict(prompt, outcomes.context(row))
        found[row, columns] = choose(prediction, policy.models, dial, explore).probabilities
    return found


def _mean(values: Array) -> Estimate:
    nothing = np.zeros(len(values))
    return doubly_robust(np.ones(len(values)), values, nothing, nothing) if len(values) > 1 else UNKNOWN
