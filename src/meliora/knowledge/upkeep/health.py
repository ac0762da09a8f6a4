"""How a collection stands: the score under its documented name, and beside it shares with intervals, which hold for any size.

Relevance that is unknown is not healthy: it takes nothing off the score, is named, and keeps the verdict from being healthy.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

import msgspec

from meliora.stats.proportion import wilson

HEALTHY = 70
Status = Literal["healthy", "degraded", "unknown"]


class HealthShare(msgspec.Struct, frozen=True, kw_only=True):
    """A share of the documents, with its 95% interval as of a sample of what they might have been."""

    value: float
    low: float
    high: float
    n: int


class CollectionHealth(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of a collection."""

    health_score: int
    status: Status
    total: int
    stale: int
    redundant: int | None
    relevance: float | None
    """Mean over documents that were shown."""
    stale_share: HealthShare | None
    redundant_share: HealthShare | None
    shown_share: HealthShare | None
    """Documents of which relevance is known."""
    unknown: tuple[str, ...]
    """What the verdict stands without."""


def health(*, total: int, stale: int, redundant: int | None, relevances: Collection[float]) -> CollectionHealth:
    """Judge the live documents: 100, less 20 above 10 stale ones, 15 above 20 redundant ones, 15 below a relevance of 0.5.

    `relevances` has one for each document that was shown. These counts say little of a large collection; the shares do. Without
    documents, or with something unknown and nothing wrong, the status is unknown.
    """
    relevance = sum(relevances) / len(relevances) if relevances else None
    lacking = {"documents": not total, "redundant": redundant is None, "relevance": relevance is None}
    score = 100 - 20 * (stale > 10) - 15 * ((redundant or 0) > 20) - 15 * (relevance is not None and relevance < 0.5)
    unknown = tuple(name for name, missing in lacking.items() if missing)
    return CollectionHealth(
        health_score=score,
        status="degraded" if score < HEALTHY else "unknown" if unknown else "healthy",
        total=total,
        stale=stale,
        redundant=redundant,
        relevance=relevance,
        stale_share=_share(stale, total),
        redundant_share=None if redundant is None else _share(redundant, total),
        shown_share=_share(len(relevances), total),
        unknown=unknown,
    )


def _share(hits: int, n: int) -> HealthShare | None:
    if n == 0:
        return None
    low, high = wilson(hits, n)
    return HealthShare(value=hits / n, low=low, high=high, n=n)
