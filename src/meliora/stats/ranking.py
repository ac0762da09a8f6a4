"""How good a ranking is, from graded judgments: NDCG, recall, precision, reciprocal rank, average precision, and means of them.

The definitions are those of trec_eval (Järvelin and Kekäläinen, TOIS 20(4), 2002, for NDCG, with the grade itself as gain): an
unjudged document and a negative grade count as 0, one above 0 is relevant. Pure: seeded.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from meliora.stats.paired import PairedResult, compare
from meliora.stats.special import student_quantile

Grades = Mapping[str, float]
"""Grade by document, of one query."""


@dataclass(frozen=True, slots=True)
class MeanFigure:
    """A mean over queries with its 95% interval. None where no query could be scored, and no interval of only one."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    """Queries behind it."""
    skipped: int = 0
    """Queries that have no relevant document: they tell nothing, and are left out."""


def answerable(grades: Grades) -> bool:
    """Tell whether any document is relevant: without one, no ranking is better than another."""
    return any(grade > 0 for grade in grades.values())


def ndcg(ranked: Sequence[str], grades: Grades, k: int | None = None) -> float:
    """Give the discounted gain of the first `k` (None: all) over the best possible one; 0 where nothing is relevant.

    Raises `ValueError` for a `k` below 1 or a document that is ranked twice; so do all below.
    """
    gains = _gains(ranked, grades, k)
    ideal = sorted((grade for grade in grades.values() if grade > 0), reverse=True)
    best = _discounted(ideal if k is None else ideal[:k])
    return _discounted(gains) / best if best else 0.0


def recall(ranked: Sequence[str], grades: Grades, k: int | None = None) -> float:
    """Give the share of the relevant documents that are among the first `k`; 0 where nothing is relevant."""
    relevant = sum(grade > 0 for grade in grades.values())
    found = sum(gain > 0 for gain in _gains(ranked, grades, k))
    return found / relevant if relevant else 0.0


def precision(ranked: Sequence[str], grades: Grades, k: int) -> float:
    """Give the share of the first `k` places that hold a relevant document; a place beyond the list's end holds none."""
    return sum(gain > 0 for gain in _gains(ranked, grades, k)) / k


def reciprocal_rank(ranked: Sequence[str], grades: Grades, k: int | None = None) -> float:
    """Give 1 / the place of the first relevant document; 0 where there is none among the first `k`."""
    return next((1 / place for place, gain in enumerate(_gains(ranked, grades, k), start=1) if gain > 0), 0.0)


def average_precision(ranked: Sequence[str], grades: Grades, k: int | None = None) -> float:
    """Give the mean, over all relevant documents, of the precision at the place of each; 0 for one that is not found."""
    relevant = sum(grade > 0 for grade in grades.values())
    found, total = 0, 0.0
    for place, gain in enumerate(_gains(ranked, grades, k), start=1):
        if gain > 0:
            found += 1
            total += found / place
    return total / relevant if relevant else 0.0


def mean(scores: Sequence[float], *, skipped: int = 0, confidence: float = 0.95) -> MeanFigure:
    """Give the mean over queries with Student's interval, cut to 0..1, where all that is scored here lies.

    Raises `ValueError` for a score that is not finite.
    """
    values = np.asarray(scores, dtype=float)
    if not np.isfinite(values).all():
        raise ValueError("a score is not finite: a query that could not be scored is left out")
    n = len(values)
    if not n:
        return MeanFigure(None, None, None, 0, skipped)
    centre = float(values.mean())
    if n == 1:
        return MeanFigure(centre, None, None, 1, skipped)
    reach = student_quantile((1 + confidence) / 2, n - 1) * float(values.std(ddof=1)) / math.sqrt(n)
    return MeanFigure(centre, max(0.0, centre - reach), min(1.0, centre + reach), n, skipped)


def difference(before: Mapping[str, float], after: Mapping[str, float], *, seed: int = 7) -> PairedResult:
    """Compare two systems over the queries that both have a score of, by a sign-flip permutation test (`paired.compare`)."""
    both = sorted(before.keys() & after.keys())
    return compare([before[query] for query in both], [after[query] for query in both], seed=seed)


def _gains(ranked: Sequence[str], grades: Grades, k: int | None) -> list[float]:
    if k is not None and k < 1:
        raise ValueError(f"k is {k}: a ranking has at least one place")
    if len(set(ranked)) != len(ranked):
        raise ValueError("a document is ranked twice: its gain would count twice")
    return [max(grades.get(document, 0.0), 0.0) for document in (ranked if k is None else ranked[:k])]


def _discounted(gains: Sequence[float]) -> float:
    return math.fsum(gain / math.log2(place + 1) for place, gain in enumerate(gains, start=1))
