"""What each willingness to pay brings: the curve from which a dial is read. Refuses nothing; what it is given is out of fold."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from meliora.routing.learned.policy import Curve

Array = NDArray[np.floating]
Picks = NDArray[np.int64]


def curve_of(choose: Callable[[float], Picks], seen: tuple[Array, Array], reference: int, steps: int = 81) -> Curve:
    """Give quality and cost, as shares of those of the place `reference`, of what is chosen at each willingness to pay.

    `choose` gives the place that is taken on each prompt, `seen` are reward and cost [n, M] of every place. Paying more cannot make
    it worse but by chance, so quality is smoothed to a rising curve (isotonic regression by pooling adjacent violators: Barlow et
    al., Statistical Inference under Order Restrictions, 1972).
    """
    rewards, costs = seen
    scale = float(np.nanmean(costs[:, reference])) or float(np.nanmean(costs)) or 1.0
    pays = np.append(scale * np.geomspace(0.02, 2000, steps - 1), scale * 1e6)
    reached = max(float(rewards[:, reference].mean()), 1e-9)
    shares, prices = [], []
    index = np.arange(len(rewards))
    for pay in pays.tolist():
        chosen = choose(pay)
        shares.append(float(rewards[index, chosen].mean()) / reached)
        prices.append(float(costs[index, chosen].mean()) / scale)
    return Curve(pays, _rising(shares), np.array(prices))


def best_at(pay: float, quality: Array, cost: Array) -> Picks:
    """Give the place of the greatest quality less cost / pay on each prompt; one whose worth is not known is not taken."""
    found: Picks = np.nan_to_num(quality - cost / pay, nan=-np.inf).argmax(axis=1)
    return found


def _rising(values: list[float]) -> NDArray[np.float64]:
    blocks: list[tuple[float, int]] = []
    for value in values:
        blocks.append((value, 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (one, few), (other, more) = blocks[-2:]
            blocks[-2:] = [((one * few + other * more) / (few + more), few + more)]
    return np.concatenate([np.full(size, mean) for mean, size in blocks])
