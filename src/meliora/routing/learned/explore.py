"""How often each candidate is tried: a closed-form propensity for every model, with a floor, a cap and a guard.

Never draws by itself: the uniform number is passed in, so that a decision can be taken again from its record.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.floating]

_ROOT = math.sqrt(2)


@dataclass(frozen=True)
class Exploration:
    """The rule by which candidates other than the best are tried.

    `floor`: least probability of every candidate, so that each keeps support in the log; 0 to leave hopeless ones out.
    `cap`: greatest share of calls that goes to others than the one preferred; 0 switches exploration off. Where there are
    so many candidates that their floors add up to more than the cap, the cap holds.
    `caution`: how many standard errors by which another model has to be better than the reference before it is preferred.
    `loss`: the most expected utility a call that is given up in order to learn; what the floor takes is not counted.
    """

    floor: float = 0.002
    cap: float = 0.05
    caution: float = 0.0
    loss: float = 0.0005

    def __post_init__(self) -> None:
        if not 0 <= self.floor <= self.cap < 1:
            raise ValueError(
                f"exploration needs 0 <= floor <= cap < 1, not floor {self.floor} and cap {self.cap}: lower the floor"
            )
        if not 0 <= self.caution < math.inf:
            raise ValueError(f"caution is a number of standard errors from 0 up, not {self.caution}")
        if not 0 <= self.loss < math.inf:
            raise ValueError(f"the loss that exploration may bring is a utility from 0 up, not {self.loss}")


OFF = Exploration(floor=0.0, cap=0.0)
"""Always the preferred candidate."""


def preferred(
    utility: Numbers | Sequence[float],
    spread: Numbers | Sequence[float],
    reference: int | None,
    caution: float,
    handicap: float = 0.0,
) -> int:
    """Give the index of the greatest utility; one that is not the reference has to beat it by `caution` standard errors and by
    `handicap` (a policy's guard, without a reference among the candidates of no effect).

    `spread` is the standard error of each utility, in the same unit. A utility of nan (nothing known) is never preferred.
    Without a reference among the candidates (None), caution takes each one's own standard error off. Raises `ValueError`
    where no utility is a number.
    """
    # Plain numbers: for a dozen candidates they take a fifth of the time that arrays do.
    values, errors = _plain(utility), _plain(spread)
    if caution:
        beside = 0.0 if reference is None else errors[reference]
        values = [
            value if index == reference else value - caution * math.hypot(error, beside)
            for index, (value, error) in enumerate(zip(values, errors, strict=True))
        ]
    if handicap and reference is not None:
        values = [value if index == reference else value - handicap for index, value in enumerate(values)]
    best, most = -1, -math.inf
    for index, value in enumerate(values):
        if value > most:
            best, most = index, value
    if best < 0:
        raise ValueError("no candidate has a utility: at least one needs a predicted quality and a known price")
    return best


def propensities(
    utility: Numbers | Sequence[float], spread: Numbers | Sequence[float], best: int, rule: Exploration
) -> list[float]:
    """Give the probability of each candidate, adding up to 1.

    Another candidate is tried as often as it may be the better one: the normal probability that its utility exceeds that of
    `best`, given both standard errors (probability matching of Thompson, Biometrika 25, 1933, taken pair by pair so that the
    propensity is exact). All are scaled down together where they exceed the cap, or would give up more expected utility than
    `loss`: what is nearly as good is tried freely, what is far behind hardly. One with a utility of nan gets the floor.
    """
    count = len(utility)
    if count == 1 or rule.cap == 0:
        alone = [0.0] * count
        alone[best] = 1.0
        return alone
    floor = min(rule.floor, rule.cap / (count - 1))
    values, errors = _plain(utility), _plain(spread)
    top, beside = values[best], errors[best]
    hopes, given_up = [0.0] * count, 0.0
    for index, value in enumerate(values):
        behind = top - value
        if index != best and behind == behind:
            hopes[index] = hope = _chance(behind, math.hypot(errors[index], beside))
            if behind > 0:
                given_up += hope * behind
    room = max(0.0, rule.cap - floor * (count - 1))
    total = sum(hopes)
    part = min(room / total if total > room else 1.0, rule.loss / given_up if given_up > rule.loss else 1.0)
    found = [hope * part + floor for hope in hopes]
    found[best] = 0.0
    found[best] = 1.0 - sum(found)
    return found


def draw(probabilities: Numbers | Sequence[float], uniform: float) -> int:
    """Give the index at which `uniform` (0 <= u < 1) falls in the cumulated probabilities; never one of probability 0."""
    passed = 0.0
    last = 0
    for index, probability in enumerate(probabilities):
        if probability > 0:
            passed += probability
            last = index
            if uniform < passed:
                break
    return last


def _plain(values: Numbers | Sequence[float]) -> list[float]:
    return values if isinstance(values, list) else np.asarray(values).tolist()


def _chance(behind: float, spread: float) -> float:
    if spread >= 1e-12:
        return 0.5 * math.erfc(behind / (spread * _ROOT))
    if spread != spread:
        return 0.0
    return 0.5 if behind == 0 else float(behind < 0)
