"""How a collection stands: the score under its documented name, and beside it shares with intervals, which hold for any size.

Relevance that is unknown is not healthy: it takes nothing off the score, is named, and keeps the verdict from being healthy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from meliora.knowledge.documents import Kept
from meliora.knowledge.upkeep.redundancy import Redundancy
from meliora.knowledge.upkeep.relevance import Relevance
from meliora.knowledge.upkeep.staleness import all_stale
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


def health(
    kept: Sequence[Kept],
    now_us: int,
    *,
    redundancy: Redundancy | None = None,
    relevances: Mapping[str, Relevance] | None = None,
    stale_days: Mapping[str, float] | None = None,
) -> CollectionHealth:
    """Judge the live documents: 100, less 20 above 10 stale ones, 15 above 20 redundant ones, 15 below a relevance of 0.5.

    These counts say little of a large collection; the shares do. Without documents, or with something unknown and nothing wrong, the
    status is unknown.
    """
    live = [one for one in kept if one.state == "live"]
    stale = len(all_stale(live, now_us, stale_days))
    ids = {one.document.id for one in live}
    redundant = None if redundancy is None else sum(pair.archived in ids for pair in redundancy.pairs)
    known = [one.score for name, one in (relevances or {}).items() if name in ids]
    relevance = sum(known) / len(known) if known else None
    lacking = {"documents": not live, "redundant": redundant is None, "relevance": relevance is None}
    score = 100 - 20 * (stale > 10) - 15 * ((redundant or 0) > 20) - 15 * (relevance is not None and relevance < 0.5)
    unknown = tuple(name for name, missing in lacking.items() if missing)
    return CollectionHealth(
        health_score=score,
        status="degraded" if score < HEALTHY else "unknown" if unknown else "healthy",
        total=len(live),
        stale=stale,
        redundant=redundant,
        relevance=relevance,
        stale_share=_share(stale, len(live)),
        redundant_share=None if redundant is None else _share(redundant, len(live)),
        shown_share=_share(len(known), len(live)),
        unknown=unknown,
    )


def _share(hits: int, n: int) -> HealthShare | None:
    if n == 0:
        return None
    low, high = wilson(hits, n)
    return HealthShare(value=hits / n, low=low, high=high, n=n)
