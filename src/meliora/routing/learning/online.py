"""Moves a policy by one outcome at a time, where only the chosen model's reward is seen.

Each candidate's quality is a linear model of `phi` with a Gaussian posterior that starts as the policy's own; one part of it is
shared by all models (how hard prompts are), so that an outcome of one says something of the others. Refuses to let one key, one
lucky streak or a model that was silently replaced take the policy below the best single model: see `Learning`.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from meliora.errors import InvalidRequest
from meliora.routing.learned.policy import Costs, Floats, Heads, Policy
from meliora.routing.learning.drift import Alarm, DriftWatch, Watch
from meliora.routing.learning.guard import handicap

Array = NDArray[np.float64]

KEYS = 1000
"""Keys whose influence is kept account of; past them the one that was heard least is forgotten."""

CAUTION = 20
"""Calls' worth of belief in the predicted cost of a model."""

FEW = 50
"""Prompts below which the guard does not go under the handicap that a policy began with: so few may be alike."""


@dataclass(frozen=True, slots=True)
class Learning:
    """How fast the posterior moves, and what holds it."""

    shared: float = 0.8
    """Part of the prior variance that all models have in common."""
    forget: float = 0.9995
    """The posterior variance grows by its inverse with each outcome of a model, up to twice what it was at first: recursive
    least squares with forgetting, bounded against wind-up (Astrom & Wittenmark, Adaptive Control, 1995, 11.5)."""
    reopened: float = 0.2
    """Standard deviation, in quality, that a model's mean gets back at a drift alarm."""
    influence: float = 0.1
    """The most by which one key may move any prediction, in quality, while other keys are heard too."""
    heard: int = 20
    """Outcomes from other keys that make a key one among several."""
    watch: Watch = field(default_factory=Watch)
    pay: float | None = None
    """US$ for quality 1 instead of 0 at which the guard holds; None: no guard."""
    margin: float = 0.002
    """How much worse than the reference the policy may be expected to be, in utility (quality - cost / pay)."""
    recent: int = 256
    """Prompts over which the guard and the bound by key are checked."""

    def __post_init__(self) -> None:
        wrong = [
            name
            for name, good in {
                "shared": 0 <= self.shared < 1,
                "forget": 0.9 <= self.forget <= 1,
                "reopened": 0 < self.reopened <= 1,
                "influence": 0 < self.influence <= 1,
                "heard": self.heard >= 1,
                "pay": self.pay is None or 0 < self.pay < math.inf,
                "margin": 0 <= self.margin <= 1,
                "recent": self.recent >= 1,
            }.items()
            if not good
        ]
        if wrong:
            raise ValueError(f"learning cannot go by {', '.join(f'{name}={getattr(self, name)}' for name in wrong)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One outcome: what was asked (`phi`, of the policy's trunk), which model answered, and how good the answer was."""

    phi: Floats
    model: str
    reward: float
    """In 0..1."""
    weight: float = 1.0
    """How much the reward says, in (0, 1]."""
    cost: float | None = None
    """US$."""
    key: Hashable = ""
    task: str = "general"


@dataclass(slots=True)
class _Ledger:
    """What one key has done: how many outcomes, and how far it has moved each model's coefficients."""

    moved: Array
    outcomes: int = 0


class OnlineLearner:
    """The moving posterior behind the snapshots of one tenant. Not safe for use by several threads at once."""

    def __init__(self, policy: Policy, learning: Learning | None = None) -> None:
        self.anchor = policy
        self.learning = how = learning or Learning()
        self.outcomes = 0
        self.alarms: list[Alarm] = []
        self._index = {model: index for index, model in enumerate(policy.models)}
        heads = policy.quality
        factor = np.broadcast_to(heads.factor, (len(policy.models), *heads.factor.shape[1:])).astype(np.float64)
        cover = np.einsum("mij,mkj->mik", factor, factor) * heads.noise.astype(np.float64)[:, None, None]
        self._common = cover.mean(axis=0) * how.shared
        self._own = cover * (1 - how.shared)
        self._mean = heads.mean.astype(np.float64).copy()
        self._noise = np.maximum(heads.noise.astype(np.float64), 1e-3)
        self._widest = 2 * np.trace(self._own, axis1=1, axis2=2)
        self._drift = DriftWatch(how.watch)
        self._keys: dict[Hashable, _Ledger] = {}
        self._recent = deque[Array](maxlen=how.recent)
        self._spent = np.zeros((len(policy.models), 3))
        """Of each model's calls: US$ that they cost, US$ predicted at the prices of the fit, and how many; all forgotten slowly."""

    def learn(self, seen: Seen) -> Alarm | None:
        """Move the posterior by one outcome; give the drift alarm that it raises, if any.

        Raises `InvalidRequest` for a model that the policy does not know, a reward outside 0..1, a weight outside (0, 1], a
        negative cost, and a `phi` of another length or that is not finite; nothing is learned then.
        """
        model, phi = self._checked(seen)
        how = self.learning
        error = seen.reward - float(self._mean[model] @ phi)
        along_own, along_common = self._own[model] @ phi, self._common @ phi
        doubt = float(phi @ along_own + phi @ along_common)
        room = self._noise[model] / seen.weight + doubt
        several = self._one_of_several(seen.key)
        alarm = self._drift.see(
            seen.model, seen.task, error / math.sqrt(self._noise[model] + doubt), seen.key, several=several
        )
        self._move(model, phi, along_own * (error / room), along_common * (error / room), seen.key, several)
        self._own[model] -= np.outer(along_own, along_own / room)
        self._common -= np.outer(along_common, along_common / room)
        if np.trace(self._own[model]) < self._widest[model]:
            self._own[model] /= how.forget
        if seen.cost:
            self._learn_cost(model, phi, seen.cost)
        self.outcomes += 1
        if alarm is not None:
            self._reopen(model, alarm)
        return alarm

    def policy(self, number: int) -> Policy:
        """Give the policy as it is now, as the snapshot of that number. What was learned since the anchor is in it, and the guard."""
        cover = self._own + self._common
        lift = 1e-9 * np.trace(cover, axis1=1, axis2=2)[:, None, None] * np.eye(cover.shape[1])
        factor = np.linalg.cholesky(cover + lift) / np.sqrt(self._noise)[:, None, None]
        costs = self._costs()
        held = self.anchor.handicap
        if self.learning.pay is not None and self._recent:
            found = self._handicap(costs, self.learning.pay)
            held = max(found, held) if len(self._recent) < FEW else found
        notes = {**self.anchor.notes, "learned": str(self.outcomes)}
        return replace(
            self.anchor,
            number=number,
            quality=Heads(self._mean.astype(np.float32), factor.astype(np.float32), self._noise.astype(np.float32)),
            costs=costs,
            notes=notes,
            handicap=held,
        )

    def _checked(self, seen: Seen) -> tuple[int, Array]:
        model = self._index.get(seen.model)
        if model is None:
            raise InvalidRequest(
                f"the policy does not know the model {seen.model!r}", hint=f"It knows {', '.join(self.anchor.models)}."
            )
        for name, value, good in (
            ("reward", seen.reward, 0 <= seen.reward <= 1),
            ("weight", seen.weight, 0 < seen.weight <= 1),
            ("cost", seen.cost, seen.cost is None or 0 <= seen.cost < math.inf),
        ):
            if not good:
                raise InvalidRequest(
                    f"the outcome's {name} is {value}", hint="It is out of range; nothing was learned."
                )
        phi = np.asarray(seen.phi, dtype=np.float64)
        if phi.shape != self._mean.shape[1:] or not np.isfinite(phi).all():
            raise InvalidRequest(
                f"the outcome's phi has the shape {phi.shape}, or holds what is no number",
                hint=f"Only phi of the trunk {self.anchor.trunk} can be learned from: {self._mean.shape[1]} finite numbers.",
            )
        return model, phi

    def _one_of_several(self, key: Hashable) -> bool:
        mine = self._keys.get(key)
        return self.outcomes - (mine.outcomes if mine else 0) >= self.learning.heard

    def _move(self, model: int, phi: Array, own: Array, common: Array, key: Hashable, several: bool) -> None:
        """Take a step, made shorter where it would take the key's influence on any recent prompt past the bound."""
        self._recent.append(phi)
        ledger = self._keys.get(key)
        if ledger is None:
            if len(self._keys) >= KEYS:
                del self._keys[min(self._keys, key=lambda one: self._keys[one].outcomes)]
            ledger = self._keys[key] = _Ledger(np.zeros_like(self._mean))
        step = np.broadcast_to(common, self._mean.shape).copy()
        step[model] += own
        if several:
            step *= self._share(ledger.moved, step)
        self._mean += step
        ledger.moved += step
        ledger.outcomes += 1

    def _share(self, moved: Array, step: Array) -> float:
        """Give the greatest part of `step`, 0..1, that keeps the key within the bound on all recent prompts."""
        prompts = np.array(self._recent)
        before, change = prompts @ moved.T, prompts @ step.T
        bound = np.maximum(self.learning.influence, np.abs(before))
        ahead = np.where(change > 0, bound - before, bound + before)
        with np.errstate(divide="ignore", invalid="ignore"):
            parts = np.where(np.abs(change) > 1e-12, ahead / np.abs(change), 1.0)
        return float(np.clip(parts.min(), 0.0, 1.0))

    def _reopen(self, model: int, alarm: Alarm) -> None:
        """Doubt the model's mean again, so that the next outcomes move it fast and it is explored."""
        self._own[model, 0, 0] += self.learning.reopened**2
        for ledger in self._keys.values():
            ledger.moved[model] = 0.0
        self.alarms.append(alarm)

    def _learn_cost(self, model: int, phi: Array, cost: float) -> None:
        predicted = float(self.anchor.costs.at(phi.astype(np.float32))[model])
        if predicted > 0:
            self._spent[model] = self._spent[model] * self.learning.forget + (cost, predicted, 1.0)

    def _costs(self) -> Costs:
        """Scale each model's cost by what its calls came to over what was predicted, taken with `CAUTION` calls as predicted."""
        spent, predicted, calls = self._spent.T
        usual = CAUTION * predicted / np.maximum(calls, 1e-9)
        scale = np.where(calls > 0, (spent + usual) / np.maximum(predicted + usual, 1e-30), 1.0)
        return replace(self.anchor.costs, ratio=(self.anchor.costs.ratio * scale).astype(np.float32))

    def _handicap(self, costs: Costs, pay: float) -> float:
        prompts = np.array(self._recent)
        price = np.array([costs.at(row.astype(np.float32)) for row in prompts], np.float64)
        return handicap(
            prompts, self._mean, self._own, price / pay, self._index[self.anchor.reference], self.learning.margin
        )
