"""The immutable policy on the request path: text to `phi` by a trunk, `phi` to quality and cost of each model by linear heads.

Refuses to learn: a policy is made by `meliora.routing.learning` and swapped whole.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from meliora.routing.learned.features import NOTHING, Context, Features, read
from meliora.routing.learned.ladder import Ladders

Floats = NDArray[np.floating]

_Z = 1.959964
DEEPEST = 12
"""Levels of a tree at most."""
MOST_TREES = 1024
_POWERS = (1 << np.arange(DEEPEST)[::-1]).astype(np.int32)

REACH = 4.0
"""Standard deviations at which a hand feature is cut, so that a prompt unlike all others cannot throw a prediction far off."""


@dataclass(frozen=True, slots=True)
class Forest:
    """Bagged trees that ask the same question at each node of a level, so that a leaf is found by one comparison a level."""

    feature: NDArray[np.integer]
    """[T, D] which element of the input each level of each tree asks about."""
    threshold: Floats
    """[T, D] above which the answer is yes."""
    leaves: Floats
    """[T, 2^D, m] what each leaf adds; already divided by the number of trees."""
    _asked: NDArray[np.intp] = field(init=False, repr=False, compare=False)
    _flat: Floats = field(init=False, repr=False, compare=False)
    """[T * 2^D, m] the leaves of all trees in one row."""
    _first: NDArray[np.integer] = field(init=False, repr=False, compare=False)
    """[T] where in it each tree's begin."""

    def __post_init__(self) -> None:
        trees, depth = self.feature.shape
        object.__setattr__(self, "_asked", self.feature.astype(np.intp))
        object.__setattr__(self, "_flat", self.leaves.reshape(trees << depth, self.leaves.shape[2]))
        object.__setattr__(self, "_first", np.arange(trees, dtype=np.int32) << depth)

    def at(self, values: Floats) -> Floats:
        """Give the m outputs for one input."""
        leaf = (values.take(self._asked) > self.threshold) @ _POWERS[DEEPEST - self.feature.shape[1] :]
        leaf += self._first
        return np.add.reduce(self._flat.take(leaf, axis=0), axis=0)


NO_FOREST = Forest(np.zeros((0, 0), np.int32), np.zeros((0, 0), np.float32), np.zeros((0, 1, 0), np.float32))

LEFT = 0.2
"""Of `phi`, at least, for a prompt that is unlike all others: so much that outcomes on its kind can still be learned from."""


@dataclass(frozen=True, slots=True)
class Trunk:
    """Features to `phi`: 1, the standardised hand features, the prompt's place in a space of words, what a forest makes of both."""

    id: str
    """`phi` of another trunk cannot be compared with this one's."""
    centre: Floats
    scale: Floats
    """[HAND] each; a scale of 0 leaves a feature out."""
    idf: Floats
    """[IDS] weight of each hashed n-gram; 0 where it was not seen."""
    table: Floats
    """[IDS, k] direction of each hashed n-gram, weighted."""
    forest: Forest = NO_FOREST
    usual: Floats = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    """[p, p] so scaled that `|place @ usual| <= 1` for nine of ten training prompts, had each been left out; p = 0: no limit.
    What lies beyond is unlike the rest in some direction, and its `phi` is shortened, so that predictions shrink to each model's
    mean where the fit can only guess."""

    @property
    def size(self) -> int:
        """Length of `phi`."""
        return 1 + len(self.centre) + self.table.shape[1] + self.forest.leaves.shape[2]

    def phi(self, features: Features) -> Floats:
        """Give `phi`, float32[size]; its first element is 1."""
        hands = len(self.centre)
        phi = np.empty(self.size, np.float32)
        phi[0] = 1
        place = phi[1 : 1 + hands + self.table.shape[1]]
        hand, space = place[:hands], place[hands:]
        np.subtract(features.hand, self.centre, out=hand)
        hand *= self.scale
        np.minimum(np.maximum(hand, -REACH, out=hand), REACH, out=hand)
        weighted = features.weights * self.idf.take(features.ids)
        length = math.sqrt(weighted @ weighted)
        np.matmul(features.weights, self.table.take(features.ids, axis=0), out=space)
        if length > 0:
            space /= length
        phi[1 + len(place) :] = self.forest.at(place)
        if len(self.usual):
            odd = place @ self.usual
            far = float(odd @ odd)
            if far > 1:
                phi[1:] *= max(1 / far, LEFT)
        return phi


@dataclass(frozen=True, slots=True)
class Heads:
    """Gaussian posteriors of one linear model a candidate, all over the same `phi`."""

    mean: Floats
    """[M, d]"""
    factor: Floats
    """[1 or M, d, d]: the variance of candidate m's mean at `phi` is `noise[m] * |phi @ factor[m]|^2`."""
    noise: Floats
    """[M] variance of one outcome about its mean."""

    def at(self, phi: Floats) -> tuple[Floats, Floats]:
        """Give each candidate's expected value, and the standard error of that expectation."""
        if len(self.factor) == 1:
            spread = phi @ self.factor[0]
            return self.mean @ phi, np.sqrt(self.noise * (spread @ spread))
        spreads = phi @ self.factor
        return self.mean @ phi, np.sqrt(self.noise * (spreads * spreads).sum(axis=1))


@dataclass(frozen=True, slots=True)
class Costs:
    """US$ a call of each candidate: `exp` of a linear model, scaled by how the price has moved since it was fitted."""

    mean: Floats
    """[M, d] of the natural logarithm; the correction for its spread is in the first column."""
    price: Floats
    """[M] US$ per million tokens (three of input to one of output) in the outcomes that it was fitted on; nan: not known."""
    ratio: Floats
    """[M] today's price to `price`; nan where today's price is not known."""

    def at(self, phi: Floats) -> Floats:
        """Give US$ a call, nan where it is not known."""
        return np.exp(_cut(self.mean @ phi, -25.0, 10.0)) * self.ratio


@dataclass(frozen=True, slots=True)
class Curve:
    """What each willingness to pay brought on training prompts that the fit had not seen (out of fold)."""

    pay: NDArray[np.float64]
    """[G] US$ for one point of quality 1.0, ascending."""
    quality: NDArray[np.float64]
    """[G] as a share of the reference model's."""
    cost: NDArray[np.float64]
    """[G] as a share of the reference model's."""


class Prediction(msgspec.Struct, frozen=True):
    """What the policy expects of each model on one prompt."""

    models: tuple[str, ...]
    expected: Floats
    """[M] quality as the heads give it, which may lie beyond 0..1."""
    quality: Floats
    """[M] the same, cut to 0..1."""
    spread: Floats
    """[M] standard error of `expected`."""
    cost: Floats
    """[M] US$ a call; nan where it is not known."""
    phi: Floats
    curve: Curve
    reference: int
    """Index of the reference model."""
    handicap: float = 0.0
    """See `Policy.handicap`."""

    @property
    def low(self) -> Floats:
        """[M] lower end of the 95% interval of the expected quality, not of a single outcome; in 0..1."""
        return _cut(self.expected - _Z * self.spread)

    @property
    def high(self) -> Floats:
        """[M] upper end of it."""
        return _cut(self.expected + _Z * self.spread)


@dataclass(frozen=True, slots=True)
class Policy:
    """A numbered snapshot of what was learned about the models of one tenant."""

    number: int
    models: tuple[str, ...]
    reference: str
    """The model that quality floors are a share of: declared, or the best single one."""
    embedding: Trunk
    quality: Heads
    costs: Costs
    curve: Curve
    notes: Mapping[str, str] = field(default_factory=dict)
    """What it was fitted on and how well it did out of fold, for people to read."""
    handicap: float = 0.0
    """By how much of quality another model has to be better than the reference before it is preferred: the guard of a policy that
    is still learning. It holds no model back from being explored."""
    ladders: Ladders | None = None
    """Cascades that were measured; None where no answers were compared."""

    @property
    def trunk(self) -> str:
        """Id of the trunk that `phi` is of."""
        return self.embedding.id

    def predict(self, text: str, context: Context = NOTHING) -> Prediction:
        """Predict quality and cost of every model on a prompt."""
        return self.predicted(self.embedding.phi(read(text, context)))

    def predicted(self, phi: Floats) -> Prediction:
        """Predict from a `phi` of this policy's trunk."""
        expected, spread = self.quality.at(phi)
        return Prediction(
            models=self.models,
            expected=expected,
            quality=_cut(expected),
            spread=spread,
            cost=self.costs.at(phi),
            phi=phi,
            curve=self.curve,
            reference=self.models.index(self.reference),
            handicap=self.handicap,
        )

    def repriced(self, prices: Mapping[str, float | None]) -> Policy:
        """Give the policy at today's prices (US$ per million tokens, three of input to one of output); None: not known.

        A model that `prices` does not name keeps its cost; one without a known price has the cost nan. Where the price that
        the outcomes were paid at is not known, a known price of today changes nothing.
        """
        ratio = self.costs.ratio.copy()
        for index, model in enumerate(self.models):
            if model not in prices:
                continue
            today, then = prices[model], float(self.costs.price[index])
            ratio[index] = np.nan if today is None else today / then if then > 0 else 1.0
        return replace(self, costs=replace(self.costs, ratio=ratio))


def _cut(values: Floats, low: float = 0.0, high: float = 1.0) -> Floats:
    return np.minimum(np.maximum(values, low), high)
