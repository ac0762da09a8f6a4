"""Planted public sets: dearer models are better, and what is hard is hard for all of them, the weak ones most."""

from __future__ import annotations

from functools import cache

import numpy as np

from meliora.routing.learning.prior import Prior
from meliora.routing.learning.prior_fit import Known, fit_prior
from meliora.routing.learning.table import Outcomes
from meliora.routing.pool import Candidate

PRICES = {"tiny": 0.05, "small": 0.3, "middle": 1.5, "large": 8.0}


def candidates(prices: dict[str, float | None], tier: str | None = None) -> list[Candidate]:
    """Give models that take the same for input and output."""
    return [Candidate(name, tier, input_price=price, output_price=price) for name, price in prices.items()]


def prompt(hard: bool, number: int) -> str:
    return f"Prove by induction that lemma {number} holds." if hard else f"Please greet guest {number} and smile."


def public_set(seed: int, level: float, count: int = 200) -> Known:
    """Give a set whose models are as good as `level` and their price have it."""
    rng = np.random.default_rng(seed)
    hard = rng.random(count) < 0.5
    quality = level + 0.05 * np.log(list(PRICES.values()))
    dependence = np.array([0.4, 0.3, 0.2, 0.1])
    chances = np.clip(quality + np.where(hard, -1, 1)[:, None] * dependence / 2, 0.02, 0.98)
    rewards = (rng.random((count, len(PRICES))) < chances).astype(float)
    costs = np.tile([(20 + 300) * price / 1e6 for price in PRICES.values()], (count, 1))
    prompts = tuple(prompt(bool(one), seed * 1000 + row) for row, one in enumerate(hard))
    return Known.of(Outcomes(prompts, tuple(PRICES), rewards, costs), candidates(dict(PRICES)))


@cache
def planted_prior() -> Prior:
    """Give the prior of four planted sets."""
    return fit_prior({str(seed): public_set(seed, 0.5 + 0.05 * seed) for seed in range(4)}, {"planted": "Apache-2.0"})
