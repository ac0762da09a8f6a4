"""From predictions to a choice: the dial that a person sets, turned into a price for quality, and the candidate it picks.

Refuses to choose a model whose cost is not known for being cheap, and to draw: the uniform number is passed in.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from meliora.errors import InvalidRequest
from meliora.routing.learned.explore import OFF, Exploration, draw, preferred, propensities
from meliora.routing.learned.policy import Curve, Prediction


@dataclass(frozen=True, slots=True)
class Dial:
    """How much quality is worth: hold a share of the reference model's quality, or pay so much for a better answer.

    Where both are given, the floor decides and `willingness_to_pay` is the most that is paid for it; where neither is, 0.98
    of the reference model's quality is held.
    """

    quality_floor: float | None = None
    """Share of the reference model's quality, over 0 to 1.5."""
    willingness_to_pay: float | None = None
    """US$ for one answer of quality 1 instead of 0."""

    def __post_init__(self) -> None:
        floor, pay = self.quality_floor, self.willingness_to_pay
        if floor is not None and not 0 < floor <= 1.5:
            raise InvalidRequest(
                f"the quality floor is {floor}", hint="Give a share of the reference model's quality, such as 0.98."
            )
        if pay is not None and not 0 <= pay < math.inf:
            raise InvalidRequest(
                f"the willingness to pay is {pay}", hint="Give US$ from 0 up for one answer of quality 1 instead of 0."
            )

    def pay(self, curve: Curve) -> float:
        """Give the US$ to pay for quality 1 instead of 0.

        For a floor it is the least that held the floor out of fold; infinite where no choice held it but the reference model.
        """
        if self.quality_floor is None and self.willingness_to_pay is not None:
            return self.willingness_to_pay
        floor = 0.98 if self.quality_floor is None else self.quality_floor
        held = np.flatnonzero(curve.quality >= floor)
        pay = float(curve.pay[held[0]]) if len(held) else math.inf
        return pay if self.willingness_to_pay is None else min(pay, self.willingness_to_pay)


class Choice(msgspec.Struct, frozen=True):
    """The chosen model (`index` into the prediction's models), and how likely each one was."""

    index: int
    chances: list[float]
    """[M] intended propensities; 0 for what was not allowed."""
    explored: bool
    why: str
    """`best`, `explored`, `reference` where nothing else holds the floor, `only` where a single candidate was allowed."""
    pay: float
    """US$ for quality 1 instead of 0 that decided."""

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """`chances` as an array."""
        return np.array(self.chances)


def choose(
    prediction: Prediction,
    allowed: Collection[str],
    dial: Dial,
    explore: Exploration = OFF,
    uniform: float = 0.0,
    offsets: Sequence[float] | None = None,
) -> Choice:
    """Choose among the `allowed` models at a dial, as `choose_at`."""
    return choose_at(prediction, allowed, dial.pay(prediction.curve), explore, uniform, offsets)


def choose_at(
    prediction: Prediction,
    allowed: Collection[str],
    pay: float,
    explore: Exploration = OFF,
    uniform: float = 0.0,
    offsets: Sequence[float] | None = None,
) -> Choice:
    """Choose among the `allowed` models: the greatest quality less cost / `pay`; of equal ones the cheaper.

    `pay` is US$ for quality 1 instead of 0; where it is infinite, the reference model is taken if it is allowed. `offsets` [M]
    are added to the qualities (a user's preferences). Raises `InvalidRequest` where none of the allowed models is known to the
    policy.
    """
    here = [index for index, model in enumerate(prediction.models) if model in allowed]
    if not here:
        raise InvalidRequest(
            "none of the allowed models is known to the routing policy",
            hint=f"It knows {', '.join(prediction.models)}; allow one of them, or calibrate with yours.",
        )
    chances = [0.0] * len(prediction.models)
    if len(here) == 1:
        chances[here[0]] = 1.0
        return Choice(here[0], chances, False, "only", pay)
    # Plain numbers from here on: for a dozen candidates they take a fifth of the time that arrays do.
    costs, qualities, errors = prediction.cost.tolist(), prediction.quality.tolist(), prediction.spread.tolist()
    here.sort(key=[cost if cost == cost else math.inf for cost in costs].__getitem__)
    if offsets is not None:
        qualities = [value + offset for value, offset in zip(qualities, offsets, strict=True)]
    utility = (
        [qualities[index] - costs[index] / pay for index in here] if pay > 0 else [-costs[index] for index in here]
    )
    if utility[0] != utility[0] and all(value != value for value in utility):
        utility = [qualities[index] for index in here]  # no price is known: quality alone can decide
    spread = [errors[index] for index in here]
    reference = here.index(prediction.reference) if prediction.reference in here else None
    held = reference if math.isinf(pay) else None
    best = preferred(utility, spread, reference, explore.caution, prediction.handicap) if held is None else held
    shares = propensities(utility, spread, best, explore)
    drawn = draw(shares, uniform)
    for index, share in zip(here, shares, strict=True):
        chances[index] = share
    explored = drawn != best
    why = "explored" if explored else "best" if held is None else "reference"
    return Choice(here[drawn], chances, explored, why, pay)
