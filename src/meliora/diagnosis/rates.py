"""What is to be expected of calls, from what such calls did before, and how far two counts may lie apart by chance. Pure.

Rates are shrunk: a row has hardly any past of its own, so its rate is a product of factors of its attributes, each drawn towards 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from meliora.diagnosis.cube import BEFORE, Array, Problem, sums

PRIOR = 4.0
"""Hits that a slice's own past has to outweigh before it is believed against what its attributes say."""
_ROUNDS = 3
_TOLD_BY_OUTCOME = 0.2
"""Part of the hits that lack an attribute from which its other values only tell that a call did well, and nothing of its rate."""


def rise(now: Array, before: Array, exposed_now: Array, exposed_before: Array) -> Array:
    """Give the log likelihood ratio of a rate that rose against one that did not; 0 where it did not rise.

    Exposures are the hits that are expected from the calls alone. To the past are added `PRIOR` hits of what was expected of it.
    """
    past, exposed = before + PRIOR, exposed_before + PRIOR
    total = now + past
    even = total * (exposed_now + 1e-9) / (exposed_now + exposed)
    with np.errstate(divide="ignore", invalid="ignore"):
        score = now * np.log(now / even) + past * np.log(past / (total - even))
    return np.where(now > even, score, 0.0)


def fit(now: Array, expected: Array) -> Array:
    """Give how much better a raised rate fits the hits now than what is expected: a log likelihood ratio, 0 where they are fewer."""
    with np.errstate(divide="ignore", invalid="ignore"):
        score = now * np.log(now / expected) - (now - expected)
    return np.where(now > expected, score, 0.0)


def expected(before: Array, exposed_now: Array, exposed_before: Array) -> Array:
    """Give the hits to expect now: by the hits before, shrunk to what the attributes say."""
    return (exposed_now + 1e-9) * (before + PRIOR) / (exposed_before + PRIOR)


def fitted(problem: Problem, marked: Sequence[NDArray[np.bool_]]) -> Array:
    """Give each row's rate before, [rows], by iterative proportional fitting (Deming & Stephan, Annals of Mathematical Statistics
    11, 1940). `marked` tells a list of values each attribute, those that only hits have: they say nothing of the calls."""
    hits, exposure = problem.hits[BEFORE], problem.exposure[BEFORE]
    calls = exposure.sum()
    rates = np.full(hits.shape, hits.sum() / calls if calls > 0 else 0.0)
    for _ in range(_ROUNDS):
        for codes, marks in zip(problem.codes, marked, strict=True):
            if hits[marks[codes]].sum() > _TOLD_BY_OUTCOME * hits.sum():
                continue
            size = len(marks)
            meant = sums(codes, rates * exposure, size)
            factors = (sums(codes, hits, size) + PRIOR) / (meant + PRIOR)
            rates *= np.where(marks, 1.0, factors)[codes]
    return rates


def overdispersion(hits: Sequence[float], exposure: Sequence[float]) -> float:
    """Give how many times more counts of spans of time vary than independent events would, at least 1: Pearson's statistic over its
    freedom (McCullagh & Nelder, Generalized Linear Models, 1989, 4.5). Spans without calls tell nothing; below three spans it is 1.
    """
    counts, calls = np.asarray(hits, dtype=float), np.asarray(exposure, dtype=float)
    known = calls > 0
    counts, calls = counts[known], calls[known]
    if len(counts) < 3 or counts.sum() <= 0:
        return 1.0
    meant = calls * (counts.sum() / calls.sum())
    return max(1.0, float(((counts - meant) ** 2 / meant).sum()) / (len(counts) - 1))
