"""When a series changed: the split that makes it most likely, and how often chance alone does as well.

Likelihood ratio over all splits (Hinkley, Biometrika 57, 1970) for shares, counts a time or means, its p-value by permuting the
bins (Antoch & Huskova, 2001), further changes by binary segmentation (Vostrikova 1981). Bins are taken as exchangeable where
nothing changed: take out a daily shape before, or daylight becomes a change. A missing bin is left out; it is not zero.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Shape = Literal["share", "count", "mean"]

LEAST_BINS = 3
"""Known bins that must lie on each side of a change."""


@dataclass(frozen=True, slots=True)
class ChangePoint:
    """The first bin of the new regime, by its index in the series as it was given, missing bins counted."""

    index: int
    before: float
    """Value up to the change, since the change before it."""
    after: float
    p: float
    """Chance that a series without a change in this part looks as much changed as this at its best split."""

    @property
    def effect(self) -> float:
        """Give how much the value rose."""
        return self.after - self.before


def change_points(
    totals: Sequence[float | None],
    weights: Sequence[float | None] | None = None,
    *,
    shape: Shape,
    alpha: float = 0.01,
    least: int = LEAST_BINS,
    rounds: int = 999,
    seed: int = 7,
) -> list[ChangePoint]:
    """Give all changes with a p-value up to `alpha`, in order of time; none where too few bins are known.

    For "share" `totals` are hits and `weights` trials; for "count" events and time (or calls) at risk; for "mean" the bins' means and
    how many values each is of. A bin is missing where either is None or nan, or its weight is 0. Raises `ValueError` for unequal
    lengths, negative numbers where they make no sense, and hits above trials.
    """
    index, y, n = _known(totals, weights, shape)
    rng = np.random.default_rng(seed)
    found: list[ChangePoint] = []
    waiting = [(0, len(index))]
    splits: list[tuple[int, float]] = []
    while waiting:
        start, end = waiting.pop()
        best = _best(y[start:end], n[start:end], shape, least, rounds, rng)
        if best is not None and best[1] <= alpha:
            cut = start + best[0]
            splits.append((cut, best[1]))
            waiting += [(cut, end), (start, cut)]
    splits.sort()
    edges = [0, *(cut for cut, _ in splits), len(index)]
    for place, (cut, p) in enumerate(splits, 1):
        before, after = (slice(edges[place - 1], cut), slice(cut, edges[place + 1]))
        found.append(ChangePoint(int(index[cut]), _level(y, n, before), _level(y, n, after), p))
    return found


def strongest(
    totals: Sequence[float | None],
    weights: Sequence[float | None] | None = None,
    *,
    shape: Shape,
    least: int = LEAST_BINS,
    rounds: int = 999,
    seed: int = 7,
) -> ChangePoint | None:
    """Give the best single split with its p-value, however large; None where too few bins are known, or nothing varies."""
    index, y, n = _known(totals, weights, shape)
    best = _best(y, n, shape, least, rounds, np.random.default_rng(seed))
    if best is None:
        return None
    cut, p = best
    return ChangePoint(int(index[cut]), _level(y, n, slice(0, cut)), _level(y, n, slice(cut, None)), p)


def _known(
    totals: Sequence[float | None], weights: Sequence[float | None] | None, shape: Shape
) -> tuple[NDArray[np.int64], Array, Array]:
    """Give index, total and weight of the bins that are known; a mean becomes its sum."""
    y = np.array([math.nan if value is None else value for value in totals], dtype=float)
    n = np.ones_like(y) if weights is None else np.array([math.nan if w is None else w for w in weights], dtype=float)
    if y.shape != n.shape or (weights is None and shape == "share"):
        raise ValueError(f"{y.size} bins and {n.size} weights: give one a bin, and trials for shares")
    there = np.isfinite(y) & np.isfinite(n)
    if (n[there] < 0).any() or (shape != "mean" and (y[there] < 0).any()):
        raise ValueError("counts and weights are not negative")
    if shape == "share" and (y[there] > n[there]).any():
        raise ValueError("more hits than trials in a bin")
    there &= n > 0
    return np.flatnonzero(there), np.where(shape == "mean", y * n, y)[there], n[there]


def _best(
    y: Array, n: Array, shape: Shape, least: int, rounds: int, rng: np.random.Generator
) -> tuple[int, float] | None:
    least = max(least, 1)
    if len(y) < 2 * least or np.ptp(y / n) == 0:
        return None
    ratios = _ratios(y[None], n[None], shape)[0, least - 1 : len(y) - least]
    cut, top = int(ratios.argmax()) + least, float(ratios.max())
    beyond = 0
    step = max(1, 1_000_000 // len(y))
    for start in range(0, rounds, step):
        order = rng.permuted(np.tile(np.arange(len(y)), (min(step, rounds - start), 1)), axis=1)
        drawn = _ratios(y[order], n[order], shape)[:, least - 1 : len(y) - least].max(axis=1)
        beyond += int((drawn >= top - 1e-9 * abs(top)).sum())
    return cut, (beyond + 1) / (rounds + 1)


def _ratios(y: Array, n: Array, shape: Shape) -> Array:
    """Give, for each row and each split after bin 0, 1, ..., how much more likely two levels are than one (a log, up to a factor)."""
    left_y, left_n = y.cumsum(axis=1)[:, :-1], n.cumsum(axis=1)[:, :-1]
    all_y, all_n = y.sum(axis=1, keepdims=True), n.sum(axis=1, keepdims=True)
    right_y, right_n = all_y - left_y, all_n - left_n
    if shape == "mean":
        within = (y * y / n).sum(axis=1, keepdims=True) - all_y**2 / all_n
        between = left_y**2 / left_n + right_y**2 / right_n - all_y**2 / all_n
        return between / np.maximum(within, 1e-300)
    found = _fit(left_y, left_n) + _fit(right_y, right_n) - _fit(all_y, all_n)
    if shape == "share":
        found += _fit(left_n - left_y, left_n) + _fit(right_n - right_y, right_n) - _fit(all_n - all_y, all_n)
    return found


def _fit(y: Array, n: Array) -> Array:
    """Give y log(y / n), 0 for no y."""
    return np.where(y > 0, y * np.log(np.maximum(y, 1e-300) / n), 0.0)


def _level(y: Array, n: Array, part: slice) -> float:
    return float(y[part].sum() / n[part].sum())
