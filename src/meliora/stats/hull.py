"""The concave hull of points of cost and quality: what can be had by mixing single models, without looking at the prompt. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Mix:
    """A share of calls to `right`, the rest to `left`: indices of the two points that are mixed."""

    left: int
    right: int
    share: float

    def of(self, values: Sequence[float]) -> float:
        """Give the mixed value of what each point has."""
        return (1 - self.share) * values[self.left] + self.share * values[self.right]


def hull(costs: Sequence[float], qualities: Sequence[float]) -> list[int]:
    """Give the indices on the upper left hull, from the cheapest to the best: each costs more and is better than the one before.

    A monotone chain (Andrew, Information Processing Letters 9, 1979). Raises `ValueError` for no points, or numbers that are
    not finite.
    """
    if not costs or len(costs) != len(qualities):
        raise ValueError(f"{len(costs)} costs and {len(qualities)} qualities: a hull needs one of each, and a point")
    if not all(map(math.isfinite, (*costs, *qualities))):
        raise ValueError("a cost or a quality is not a finite number: leave that point out")
    chain: list[int] = []
    for point in sorted(range(len(costs)), key=lambda index: (costs[index], -qualities[index], index)):
        if chain and qualities[point] <= qualities[chain[-1]]:
            continue
        while len(chain) > 1 and _under(costs, qualities, chain[-2], chain[-1], point):
            chain.pop()
        chain.append(point)
    return chain


def cheapest(costs: Sequence[float], qualities: Sequence[float], quality: float) -> Mix:
    """Give the cheapest mix that has this quality; where none has, the best point alone."""
    chain = hull(costs, qualities)
    if quality <= qualities[chain[0]]:
        return Mix(chain[0], chain[0], 0.0)
    for left, right in pairwise(chain):
        if quality <= qualities[right]:
            return Mix(left, right, (quality - qualities[left]) / (qualities[right] - qualities[left]))
    return Mix(chain[-1], chain[-1], 0.0)


def at_cost(chain: Sequence[int], costs: Sequence[float], qualities: Sequence[float], cost: float) -> float:
    """Give the quality of the mix of neighbours in `chain` that costs just so; beyond either end, that end's.

    The chain may have been made on other data, so that on this one its points need not lie on a hull, nor in order; of several
    mixes at this cost the best counts.
    """
    cheap, dear = min(chain, key=costs.__getitem__), max(chain, key=costs.__getitem__)
    if cost <= costs[cheap]:
        return qualities[cheap]
    if cost >= costs[dear]:
        return qualities[dear]
    found = []
    for left, right in pairwise(chain):
        low, high = sorted((left, right), key=costs.__getitem__)
        if costs[low] <= cost <= costs[high] and costs[low] < costs[high]:
            found.append(Mix(low, high, (cost - costs[low]) / (costs[high] - costs[low])).of(qualities))
    return max(found)


def _under(costs: Sequence[float], qualities: Sequence[float], left: int, middle: int, right: int) -> bool:
    """Whether `middle` is not above the line from `left` to `right`."""
    rise = (qualities[middle] - qualities[left]) * (costs[right] - costs[left])
    return rise <= (qualities[right] - qualities[left]) * (costs[middle] - costs[left])
