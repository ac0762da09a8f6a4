"""What the reranker saw in the results that people used, before and now, and what each feature added to their scores (SHAP).

Searches of both windows are answered again over the index that serves, so a move is one of the searches, not of the index.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from meliora.diagnosis.search.seen import FeatureSeen
from meliora.knowledge.config import SearchConfig
from meliora.knowledge.index.base import View
from meliora.knowledge.search.parts import Parts
from meliora.runtime.knowledge.evidence import GOOD
from meliora.store.knowledge.searches import Search

LOOKED_AT = 100
"""Searches of a window that are answered again, spread evenly over those whose answer was used."""
LEAST = 20
"""Searches of a window without which nothing is said."""
BINS = 10

Scored = tuple[Mapping[str, float], Mapping[str, float]]
"""Features of a result, and what each added to its score."""


def features_seen(
    sides: tuple[Sequence[Search], Sequence[Search]], view: View, config: SearchConfig, load: Callable[[], Parts]
) -> tuple[FeatureSeen, ...]:
    """Give each feature before and now; none where no reranker serves, or too few searches of a side tell."""
    rules = config.reranking
    if rules is None:
        return ()
    parts = load()
    ranker = parts.ranker
    if ranker is None:
        return ()
    from meliora.knowledge.ranking.examples import pool

    def scored(text: str, document: str) -> Scored | None:
        found = pool(text, view, config, parts, rules.depth)
        at = next((at for at, stored in enumerate(found.stored) if stored.document == document), None)
        if at is None:
            return None
        ranked = ranker(found, explain=True)
        return (ranked.features[at], ranked.contributions[at]) if ranked.contributions else None

    before, now = (_looked(side, scored) for side in sides)
    if min(len(before), len(now)) < LEAST:
        return ()
    return tuple(_seen(name, before, now) for name in sorted(before[0][0]))


def _looked(searches: Sequence[Search], scored: Callable[[str, str], Scored | None]) -> list[Scored]:
    used = [(one.query, document) for one in searches if one.query and (document := _used(one)) is not None]
    step = max(1, len(used) // LOOKED_AT)
    found = (scored(query, document) for query, document in used[::step][:LOOKED_AT])
    return [one for one in found if one is not None]


def _used(search: Search) -> str | None:
    return next((said.document for said in reversed(search.feedback) if said.document and said.value >= GOOD), None)


def _seen(name: str, before: Sequence[Scored], now: Sequence[Scored]) -> FeatureSeen:
    old, new = (np.array([one[0][name] for one in side]) for side in (before, now))
    added = [float(np.mean([one[1][name] for one in side])) for side in (before, now)]
    bins = _bins(old, new)
    return FeatureSeen(
        name=name,
        mean_before=float(old.mean()),
        mean_now=float(new.mean()),
        deviation=float(old.std(ddof=1)),
        n_before=len(old),
        n_now=len(new),
        contribution_before=added[0],
        contribution_now=added[1],
        bins_before=bins[0],
        bins_now=bins[1],
    )


def _bins(old: NDArray[np.float64], new: NDArray[np.float64]) -> list[tuple[float, ...]]:
    """Count both in the deciles of before."""
    edges = np.unique(np.quantile(old, np.arange(1, BINS) / BINS))
    return [
        tuple(map(float, np.bincount(np.searchsorted(edges, side), minlength=len(edges) + 1))) for side in (old, new)
    ]
