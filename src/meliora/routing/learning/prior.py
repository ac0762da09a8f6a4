"""A policy before its first outcome: what is expected of models by their price, and of prompts by what public models found hard.

q_m(x) = ability_m + dependence(ability_m) * hard(x), where ability goes with the price; each with its uncertainty, so that outcomes
move it as fast as they should. With nothing expected of price and prompt it is the cold start. Refuses to serve by itself: a
handicap keeps the reference, until outcomes say more or the guard holds without one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from meliora.errors import InvalidRequest
from meliora.routing.learned.dial import Dial
from meliora.routing.learned.policy import Costs, Curve, Heads, Policy, Trunk
from meliora.routing.learning.guard import STEPS, handicap
from meliora.routing.learning.heads import fit_costs
from meliora.routing.learning.online import Learning
from meliora.routing.pool import Candidate

Array = NDArray[np.floating]

ANSWER = 200.0
"""Tokens of a usual answer, where nothing was seen of any."""
_COST_COLUMNS = [0, 2]
"""Of `phi`: 1, and the standardised logarithm of the prompt's tokens. What a call costs goes by nothing else."""
_SHARED = Learning().shared
_TIERS = {"fast": -1.09, "balanced": 0.0, "code": 0.0, "deep": 1.09}
"""Where the mean of a third of the public models lies, in standard deviations of their log price (normal)."""
_WITHIN_TIER = 0.5
"""Standard deviation within such a third, likewise."""
_SURE = 1e6
"""Usual costs of the reference: at such a willingness to pay costs count for nothing."""


@dataclass(frozen=True, slots=True)
class Line:
    """How a property of models goes with another one, x: a straight line on every set of prompts, each set at a level of its own."""

    centre: float
    """Mean of x over the models that it was fitted on."""
    width: float
    """Standard deviation of x over them."""
    low: float
    high: float
    """The least and greatest x; past them the line goes on flat."""
    level: float
    """Mean over sets, at the centre."""
    level_spread: float
    """Standard deviation between sets: all models of a tenant have it in common."""
    slope: float
    slope_error: float
    spread: float
    """Standard deviation of a model about the line."""

    def at(self, x: float, doubt: float = 0.0) -> tuple[float, float]:
        """Give what is expected at x, and the variance of one model about that; `doubt` is the standard error of x itself."""
        away = min(max(x, self.low), self.high) - self.centre
        own = self.spread**2 + (self.slope_error * away) ** 2 + (self.slope**2 + self.slope_error**2) * doubt**2
        return self.level + self.slope * away, own


@dataclass(frozen=True, slots=True)
class Prior:
    """What is taken to hold of models and prompts that nothing was seen of yet."""

    trunk: Trunk
    hard: Array
    """[d] quality that a prompt takes from a model of dependence 1, or gives it, by `phi`; its first element is 0."""
    ability: Line
    """Mean quality, by the natural logarithm of US$ per million tokens (three of input to one of output)."""
    dependence: Line
    """How far what is hard is hard for a model, by its mean quality."""
    doubt: float
    """Standard deviation of a model's coefficients about all that."""
    noise: float
    """Variance of one outcome about its mean."""
    prompts: Array
    """[n, d] `phi` of usual prompts."""
    tokens: Array
    """[n] of them."""
    answer: float
    """Tokens of a usual answer."""
    curve: Curve
    """What a willingness to pay held on sets that had no part in it; pay is in usual costs of the reference."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """Where it comes from, with licences, for people to read."""


def blank(trunk: Trunk, prompts: Array | None = None, tokens: Array | None = None) -> Prior:
    """Give the prior that expects nothing of price or prompt: every model is as good, the reference too.

    `prompts` [n, d] and their `tokens` [n] say what a call will cost; without them it is the answer alone.
    """
    usual = np.zeros((1, trunk.size), np.float32)
    usual[0, 0] = 1
    doubt = 0.25
    ability = Line(0.0, 1.0, 0.0, 0.0, 0.7, doubt * math.sqrt(_SHARED), 0.0, 0.0, doubt * math.sqrt(1 - _SHARED))
    return Prior(
        trunk=trunk,
        hard=np.zeros(trunk.size, np.float32),
        ability=ability,
        dependence=Line(0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
        doubt=0.017,
        noise=0.2,
        prompts=usual if prompts is None else prompts,
        tokens=np.zeros(1, np.float32) if tokens is None else tokens,
        answer=ANSWER,
        curve=Curve(np.array([20.0]), np.array([1.0]), np.array([1.0])),
    )


def begin(prior: Prior, models: Sequence[Candidate], reference: str, number: int = 0) -> Policy:
    """Give the policy that a prior makes of a pool; it serves the reference, and nothing else but to learn.

    A model without a price has an unknown cost, and of its ability the mean is expected with a wider spread, by its tier where it
    has one. Raises `InvalidRequest` where the reference is none of the models or has no price, and where fewer than two have one.
    """
    names = tuple(model.name for model in models)
    _check(models, names, reference)
    size = len(prior.hard)
    mean, cover = np.zeros((len(models), size)), np.zeros((len(models), size, size))
    for index, model in enumerate(models):
        mean[index], cover[index] = _believed(prior, model)
    paid = np.stack([_paid(prior, model) for model in models], axis=1)
    usual = float(paid[:, names.index(reference)].mean()) or float(np.nanmean(paid)) or 1.0
    return Policy(
        number=number,
        models=names,
        reference=reference,
        embedding=prior.trunk,
        quality=Heads(
            mean.astype(np.float32),
            (np.linalg.cholesky(cover) / math.sqrt(prior.noise)).astype(np.float32),
            np.full(len(models), prior.noise, np.float32),
        ),
        costs=_costs(prior, models, paid),
        curve=Curve(
            np.append(prior.curve.pay, _SURE) * usual,
            np.append(prior.curve.quality, max(1.0, float(prior.curve.quality[-1]))),
            np.append(prior.curve.cost, 1.0),
        ),
        notes={"prompts": "0"},
        handicap=STEPS[-1],
    )


def guarded(policy: Policy, prior: Prior, dial: Dial, margin: float) -> Policy:
    """Give the policy with the least handicap at which the guard holds on usual prompts, at this dial.

    Where that leaves the reference alone it stays the largest one, which holds at any dial.
    """
    pay = dial.pay(policy.curve)
    if not 0 < pay < math.inf:
        return policy
    mean = policy.quality.mean.astype(np.float64)
    factor = policy.quality.factor.astype(np.float64)
    own = np.einsum("mij,mkj->mik", factor, factor) * (prior.noise * (1 - _SHARED))
    price = np.array([policy.costs.at(phi) for phi in prior.prompts], np.float64) / pay
    reference = policy.models.index(policy.reference)
    held = handicap(prior.prompts.astype(np.float64), mean, own, price, reference, margin)
    utility = np.clip(prior.prompts @ mean.T, 0, 1) - np.nan_to_num(price, nan=np.inf)
    utility[:, reference] += held
    return replace(policy, handicap=held) if (utility.argmax(axis=1) != reference).any() else policy


def _check(models: Sequence[Candidate], names: tuple[str, ...], reference: str) -> None:
    if reference not in names:
        raise InvalidRequest(
            f"The reference model {reference!r} is not in the pool.",
            hint=f"Name one of {', '.join(names)}." if names else "Configure models with tiers first.",
        )
    if models[names.index(reference)].blended_price is None:
        raise InvalidRequest(
            f"The price of the reference model {reference!r} is not known.",
            hint=f"Write input and output under [models.{reference!r}.price], in US$ a million tokens.",
        )
    if sum(model.blended_price is not None for model in models) < 2:
        raise InvalidRequest(
            f"There is nothing to choose between: {reference!r} is the only model of a known price.",
            hint="Give another one a tier and, where the price list does not have it, a price.",
        )


def _believed(prior: Prior, model: Candidate) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give mean [d] and covariance [d, d] of a model's coefficients.

    The learner takes a fixed part of the covariance for the model's own; where that is less than is known of its ability, all of
    it is widened.
    """
    hard = prior.hard.astype(np.float64)
    ability, own = prior.ability.at(*_place(prior.ability, model))
    depends, spread = prior.dependence.at(ability)
    mean = depends * hard
    mean[0] = ability
    cover = np.eye(len(hard)) * prior.doubt**2 + (spread + prior.dependence.level_spread**2) * np.outer(hard, hard)
    cover[0, 0] = max(own + prior.ability.level_spread**2, own / (1 - _SHARED))
    return mean, cover


def _place(line: Line, model: Candidate) -> tuple[float, float]:
    """Give the log price that a model is judged by, and how uncertain that is."""
    price = model.blended_price
    if price is not None:
        return (math.log(price) if price > 0 else line.low), 0.0
    where = _TIERS.get(model.tier or "")
    return (line.centre, line.width) if where is None else (line.centre + where * line.width, _WITHIN_TIER * line.width)


def _paid(prior: Prior, model: Candidate) -> NDArray[np.float64]:
    """Give US$ [n] of a call with each usual prompt and a usual answer; nan where the price is not known."""
    if model.input_price is None or model.output_price is None:
        return np.full(len(prior.tokens), np.nan)
    return (prior.tokens.astype(np.float64) * model.input_price + prior.answer * model.output_price) / 1e6


def _costs(prior: Prior, models: Sequence[Candidate], paid: NDArray[np.float64]) -> Costs:
    narrow = fit_costs(prior.prompts[:, _COST_COLUMNS], paid)
    mean = np.zeros((len(models), len(prior.hard)), np.float32)
    mean[:, _COST_COLUMNS] = narrow.mean
    prices = [model.blended_price for model in models]
    return replace(narrow, mean=mean, price=np.array([np.nan if one is None else one for one in prices], np.float32))
