"""Whether a rate moved because the calls did: more of those that always did worse, none of them worse than before. Pure.

The part of a difference that is due to the mixture is Kitagawa's (Journal of the American Statistical Association 50, 1955).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meliora.diagnosis.cube import BEFORE, NOW, Problem, sums
from meliora.diagnosis.rates import PRIOR, rise


@dataclass(frozen=True)
class Shift:
    """The value of an attribute whose share of the calls grew, and what that adds to the hits."""

    at: int
    value: int
    excess: float
    score: float
    """The least of three log likelihood ratios: that hits grew in all, that these calls grew, that they always did worse."""


def moved(problem: Problem, unchanged: float, expected: float) -> Shift | None:
    """Give the shift that adds most, or None where none does. `unchanged` are the hits to expect with the mixture of before,
    `expected` with that of now."""
    calls = problem.exposure.sum(axis=1)
    before = float(problem.hits[BEFORE].sum())
    if problem.per_time or expected <= unchanged or not calls.all() or before <= 0:
        return None
    overall = before / calls[BEFORE]
    best: tuple[float, int, int] | None = None
    for at, (codes, values) in enumerate(zip(problem.codes, problem.values, strict=True)):
        if problem.attributes[at] in problem.marks:
            continue
        then, now = (sums(codes, problem.exposure[when], len(values)) for when in (BEFORE, NOW))
        hits = sums(codes, problem.hits[BEFORE], len(values))
        rates = (hits + PRIOR) / (then + PRIOR / overall)
        shares = now / calls[NOW] - then / calls[BEFORE]
        adds = shares * (rates - overall) * calls[NOW]
        grown = np.where(shares > 0, adds, -np.inf)
        if grown.max() > 0 and adds.sum() > (best[0] * (1 + 1e-9) if best else 0.0):
            best = (float(adds.sum()), at, int(grown.argmax()))
    if best is None:
        return None
    excess, at, value = best
    here = problem.codes[at] == value
    hits, (then, now) = float(problem.hits[BEFORE, here].sum()), problem.exposure[:, here].sum(axis=1)
    scores = (
        _score(float(problem.hits[NOW].sum()), before, unchanged, before),
        _score(float(now), float(then), float(then * calls[NOW] / calls[BEFORE]), float(then)),
        _score(hits, before - hits, float(then * overall), before - float(then * overall)),
    )
    return Shift(at, value, excess, min(scores))


def _score(now: float, before: float, exposed_now: float, exposed_before: float) -> float:
    return float(rise(*(np.array([each]) for each in (now, before, exposed_now, max(exposed_before, 0.0))))[0])
