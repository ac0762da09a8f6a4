"""Outcomes made by a rule that a policy can learn: hard prompts need the strong model, easy ones do not."""

import random
from collections.abc import Mapping

import numpy as np

from meliora.routing.learned.policy import Policy, Trunk
from meliora.routing.learning.prior import begin, blank
from meliora.routing.learning.table import Outcomes
from meliora.routing.pool import Candidate

MODELS = ("small", "middle", "large")
PRICES = {"small": 0.1, "middle": 1.0, "large": 10.0}
_EASY = ("capital", "colour", "weather", "greet", "name")
_HARD = ("theorem", "integral", "proof", "lemma", "eigenvalue")


def outcomes(count: int = 300, seed: int = 1) -> Outcomes:
    """Give `count` prompts: the small model fails on hard ones, the large one seldom fails."""
    rng = random.Random(seed)
    prompts, rewards, costs = [], [], []
    for number in range(count):
        hard = rng.random() < 0.4
        words = rng.choices(_HARD if hard else _EASY, k=6)
        prompts.append(f"Please tell me of {' and '.join(words)}, case {number}.")
        chances = (0.1, 0.4, 0.95) if hard else (0.93, 0.94, 0.95)
        rewards.append([float(rng.random() < chance) for chance in chances])
        length = len(prompts[-1]) / 4 + 200
        costs.append([length * PRICES[model] / 1e6 for model in MODELS])
    return Outcomes(tuple(prompts), MODELS, np.array(rewards), np.array(costs))


def cold(
    models: tuple[str, ...], reference: str, costs: Mapping[str, float | None], trunk: Trunk, number: int = 0
) -> Policy:
    """Give a policy that knows nothing but what a call costs, whatever its prompt; None: not known."""
    nothing = blank(trunk)
    prices = {model: None if cost is None else cost * 1e6 / nothing.answer for model, cost in costs.items()}
    pool = [Candidate(model, input_price=prices.get(model), output_price=prices.get(model)) for model in models]
    return begin(nothing, pool, reference, number)
