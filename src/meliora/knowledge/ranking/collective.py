"""Features of a candidate beside the other candidates: documents that are relevant are like each other (van Rijsbergen, 1979, ch. 3).

No candidate counts for itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from meliora.knowledge.index.base import View
from meliora.knowledge.ranking.batch import Array, Batch
from meliora.knowledge.ranking.lexical import K1, B, unit

_TERMS = 30
"""Terms of the feedback model."""
_NEIGHBOURS = 5


def collective(it: Batch, fused: Array, fit: Array, view: View) -> dict[str, Array]:
    """Give the features by name. `fit` is a score of each candidate by itself, which its neighbours lend it."""
    rows = unit(np.log1p(it.counts) * it.idf)
    alike = rows @ rows.T
    np.fill_diagonal(alike, 0.0)
    return {
        "like_top3": _like_top(alike, 3),
        "like_top10": _like_top(alike, 10),
        "dense_like_top3": _like_top(_dense_alike(it, view, 3), 3),
        "feedback": _feedback(it, fused, view.average_length, 5),
        "neighbours": _neighbours(alike, fit),
    }


def _like_top(alike: Array, first: int) -> Array:
    """Give the mean likeness to the first of the fusion, each weighted by 1 / sqrt(place)."""
    count = alike.shape[1]
    weights = 1 / np.sqrt(np.arange(1, count + 1)) * (np.arange(count) < first)
    mine = np.tile(weights, (count, 1))
    np.fill_diagonal(mine, 0.0)
    return (mine * alike).sum(1) / np.maximum(mine.sum(1), 1e-12)


def _dense_alike(it: Batch, view: View, first: int) -> Array:
    """Give [candidates, candidates] cosines by the index's vectors, of the columns of the first only."""
    count = len(it.passages)
    found = np.zeros((count, count))
    terms: Sequence[str] = tuple(it.words)
    for at in range(min(first, count)):
        held = np.flatnonzero(it.counts[at])
        own = dict(zip([terms[i] for i in held], (1 + np.log(it.counts[at, held])).tolist(), strict=True))
        found[:, at] = view.similarity(own, it.passages)
        found[at, at] = 0.0
    return found


def _feedback(it: Batch, fused: Array, average: float, first: int) -> Array:
    """Score by BM25 under a relevance model of the first (Lavrenko and Croft, SIGIR 2001), its terms weighted by rarity."""
    count = len(fused)
    shares = it.counts / np.maximum(it.lengths, 1.0)[:, None]
    voice = np.where(np.arange(count) < first, fused, 0.0)
    everyone = voice @ shares
    norm = K1 * (1 - B + B * it.lengths / max(average, 1e-9))
    saturated = it.counts * (K1 + 1) / (it.counts + np.maximum(norm, 1e-9)[:, None])
    found = saturated @ _strongest(everyone, it.idf)
    for at in range(min(first, count)):
        found[at] = saturated[at] @ _strongest(everyone - voice[at] * shares[at], it.idf)
    return found


def _strongest(model: Array, idf: Array) -> Array:
    """Keep the terms that say most, as weights for BM25."""
    said = np.maximum(model * idf, 0.0)
    if len(said) > _TERMS:
        said = np.where(said >= np.partition(said, -_TERMS)[-_TERMS], said, 0.0)
    return said / max(float(said.sum()), 1e-12) * idf


def _neighbours(alike: Array, fit: Array) -> Array:
    """Give the mean score of the candidates most alike, weighted by likeness (Diaz, CIKM 2005: score regularisation)."""
    count = len(fit)
    near = np.argsort(-alike, axis=1, kind="stable")[:, : min(_NEIGHBOURS, count - 1)]
    weights = np.take_along_axis(alike, near, axis=1)
    return (weights * fit[near]).sum(1) / np.maximum(weights.sum(1), 1e-12)
