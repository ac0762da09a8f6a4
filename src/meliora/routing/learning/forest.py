"""Grows a forest of trees that ask one question a level (oblivious: Kohavi, ECML 1994), bagged, with random thresholds."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from meliora.routing.learned.policy import Forest

Floats = NDArray[np.floating]

_BESIDE = np.float32(1e-4)
"""Added to a value that becomes a threshold, so that rounding decides nothing."""


@dataclass(frozen=True)
class Growing:
    """How a forest is grown."""

    trees: int = 60
    depth: int = 0
    """Questions on the way to a leaf; 0: by the number of rows, so that some 25 of them end in a leaf, from 4 to 8."""
    tried: int = 80
    """Questions tried at each level: a random element of the input, and as threshold its value at a random row (extremely
    randomised trees: Geurts, Ernst & Wehenkel, Machine Learning 63, 2006)."""
    share: float = 0.6
    """Of the rows that each tree sees; the others tell what it is worth (out of bag)."""
    shrinkage: float = 5.0
    """Rows' worth of the mean that is mixed into each leaf."""


def grow(inputs: Floats, targets: Floats, growing: Growing, rng: np.random.Generator) -> tuple[Forest, Floats]:
    """Grow a forest on `inputs` [n, p] for centred `targets` [n, m]; also give its outputs out of bag, [n, m].

    Each level takes the question that lowers the variance of all targets together the most.
    """
    if not growing.depth:
        growing = replace(growing, depth=max(4, min(8, round(math.log2(max(len(inputs), 1) / 25)))))
    values = inputs.astype(np.float32)
    wanted = targets.astype(np.float32)
    count, outputs = wanted.shape
    features = np.zeros((growing.trees, growing.depth), np.int32)
    thresholds = np.zeros((growing.trees, growing.depth), np.float32)
    leaves = np.zeros((growing.trees, 1 << growing.depth, outputs), np.float32)
    outside, times = np.zeros((count, outputs)), np.zeros(count)
    for tree in range(growing.trees):
        bag = rng.random(count) < growing.share
        inside = np.flatnonzero(bag)
        if not len(inside):
            continue
        leaf = _split(values[inside], wanted[inside], features[tree], thresholds[tree], growing, rng)
        sums, sizes = _sums(leaf, wanted[inside], 1 << growing.depth)
        leaves[tree] = sums / (sizes[:, None] + growing.shrinkage)
        rest = np.flatnonzero(~bag)
        outside[rest] += leaves[tree][_leaf(values[rest], features[tree], thresholds[tree])]
        times[rest] += 1
    forest = Forest(features, thresholds, leaves / np.float32(growing.trees))
    return forest, outside / np.maximum(times, 1)[:, None]


def outputs(forest: Forest, inputs: Floats) -> Floats:
    """Give [n, m]: as `Forest.at`, for many inputs."""
    total = np.zeros((len(inputs), forest.leaves.shape[2]), np.float32)
    for feature, threshold, leaves in zip(forest.feature, forest.threshold, forest.leaves, strict=True):
        total += leaves[_leaf(inputs, feature, threshold)]
    return total


def _split(
    values: Floats,
    targets: Floats,
    features: NDArray[np.int32],
    thresholds: Floats,
    growing: Growing,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Fill in a tree's questions; give the leaf of each row."""
    leaf = np.zeros(len(values), np.int64)
    for level in range(growing.depth):
        asked = rng.integers(0, values.shape[1], growing.tried)
        limits = values[rng.integers(0, len(values), growing.tried), asked] + _BESIDE
        answers = values[:, asked] > limits
        best = int(_gains(leaf, answers, targets, 1 << level, growing.shrinkage).argmax())
        features[level], thresholds[level] = asked[best], limits[best]
        leaf = leaf * 2 + answers[:, best]
    return leaf


def _gains(
    leaf: NDArray[np.int64], answers: NDArray[np.bool_], targets: Floats, leaves: int, shrinkage: float
) -> Floats:
    order = np.argsort(leaf, kind="stable")
    bounds = np.searchsorted(leaf[order], np.arange(leaves + 1))
    gains = np.zeros(answers.shape[1])
    for start, end in pairwise(bounds):
        rows = order[start:end]
        if len(rows) < 2:
            continue
        said, here = answers[rows].astype(np.float32), targets[rows]
        yes = said.T @ here
        yeses = said.sum(axis=0)[:, None]
        no = here.sum(axis=0) - yes
        gains += (yes**2 / (yeses + shrinkage) + no**2 / (len(rows) - yeses + shrinkage)).sum(axis=1)
    return gains


def _sums(leaf: NDArray[np.int64], targets: Floats, leaves: int) -> tuple[Floats, NDArray[np.int64]]:
    sums = np.stack([np.bincount(leaf, column, leaves) for column in targets.T], axis=1).astype(np.float32)
    return sums, np.bincount(leaf, minlength=leaves)


def _leaf(values: Floats, features: NDArray[np.integer], thresholds: Floats) -> NDArray[np.int64]:
    return (values[:, features] > thresholds) @ (1 << np.arange(len(features))[::-1])
