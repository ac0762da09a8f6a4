"""How good a search is by a judgment set, and which of two is better. Queries without a relevant document are counted apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from meliora.knowledge.quality.judgments import JudgmentSet
from meliora.stats.paired import PairedResult
from meliora.stats.ranking import (
    MeanFigure,
    answerable,
    average_precision,
    difference,
    mean,
    ndcg,
    precision,
    recall,
    reciprocal_rank,
)

Search = Callable[[str], Sequence[str]]
"""From the text of a query to ids of documents, best first."""


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Means over the queries that have a relevant document, each with its interval and their number."""

    k: int
    judgments: str
    """SHA-256 of the set."""
    ndcg: MeanFigure
    recall: MeanFigure
    precision: MeanFigure
    reciprocal_rank: MeanFigure
    average_precision: MeanFigure
    by_query: dict[str, float]
    """NDCG@k by id."""
    unanswerable: int
    """Queries left out, since nothing is relevant to them."""
    unjudged: float | None
    """Share of the first k results that nobody judged: they count as not relevant, so that much may be better than it looks."""


def evaluate(search: Search, judgments: JudgmentSet, k: int = 10) -> Figures:
    """Ask each query. What the search raises is raised: a query that failed is no 0. A document given twice counts at its first place.

    Raises `ValueError` for a `k` below 1.
    """
    if k < 1:
        raise ValueError(f"k is {k}: a ranking has at least one place")
    grades = {query: own for query, own in judgments.grades().items() if answerable(own)}
    skipped = len(judgments.queries) - len(grades)
    found = {query: list(dict.fromkeys(search(judgments.queries[query])))[:k] for query in grades}
    pairs = [(ranked, grades[query]) for query, ranked in found.items()]
    by_query = {query: ndcg(ranked, grades[query], k) for query, ranked in found.items()}
    given = sum(len(ranked) for ranked, _ in pairs)
    strange = sum(document not in own for ranked, own in pairs for document in ranked)
    return Figures(
        k=k,
        judgments=judgments.sha256,
        ndcg=mean(list(by_query.values()), skipped=skipped),
        recall=mean([recall(ranked, own, k) for ranked, own in pairs], skipped=skipped),
        precision=mean([precision(ranked, own, k) for ranked, own in pairs], skipped=skipped),
        reciprocal_rank=mean([reciprocal_rank(ranked, own, k) for ranked, own in pairs], skipped=skipped),
        average_precision=mean([average_precision(ranked, own, k) for ranked, own in pairs], skipped=skipped),
        by_query=by_query,
        unanswerable=skipped,
        unjudged=strange / given if given else None,
    )


def compare(before: Search, after: Search, judgments: JudgmentSet, k: int = 10, seed: int = 7) -> PairedResult:
    """Compare NDCG@k of two searches query by query; fewer than 10 queries tell nothing (all None but their number)."""
    return difference(evaluate(before, judgments, k).by_query, evaluate(after, judgments, k).by_query, seed=seed)
