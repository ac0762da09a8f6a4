"""Features of the query's words in each candidate: how many, how rare, how often, how near each other."""

from __future__ import annotations

import numpy as np

from meliora.knowledge.ranking.batch import Array, Batch

K1, B = 1.2, 0.75
_PRIOR = 3.0
"""Average lengths of made words that a passage's language model is smoothed by."""


def lexical(it: Batch, average: float, passages: int) -> dict[str, Array]:
    """Give the features by name; all 0 for a query without terms. `average` is the words, `passages` the number, of the index."""
    strength, total = it.strength, max(float(it.strength.sum()), 1e-9)
    has = it.asked > 0
    found = {
        "bm25": _bm25(it.asked, it.lengths, average, strength, B),
        "likelihood": _likelihood(it, average, passages),
        "tfidf_cosine": _tfidf_cosine(it),
        "coverage": (has * strength).sum(1) / total,
        "missed_idf": (~has * it.idf[: len(strength)]).max(1, initial=0.0),
        "matched_idf": (has * it.idf[: len(strength)]).max(1, initial=0.0),
        "title_bm25": _bm25(it.titles, it.title_lengths, float(it.title_lengths.mean()), strength, 0.5),
        "title_coverage": ((it.titles > 0) * strength).sum(1) / total,
        "length": np.log1p(it.lengths),
    }
    return found | _near(it)


def unit(rows: Array) -> Array:
    """Scale rows to length 1; a row of zeros stays."""
    return rows / np.maximum(np.sqrt((rows * rows).sum(-1, keepdims=True)), 1e-12)


def _bm25(counts: Array, lengths: Array, average: float, strength: Array, b: float) -> Array:
    """Robertson and Zaragoza, The Probabilistic Relevance Framework, 2009."""
    norm = K1 * (1 - b + b * lengths / max(average, 1e-9))
    return (counts * (K1 + 1) / (counts + np.maximum(norm, 1e-9)[:, None]) * strength).sum(1)


def _likelihood(it: Batch, average: float, passages: int) -> Array:
    """Query likelihood, smoothed by Dirichlet's prior (Zhai and Lafferty, TOIS 22(2), 2004); of the index by passages with the term."""
    held = (passages + 0.5) / np.exp(it.idf[: len(it.weights)])
    share = np.maximum(held, 0.5) / max(passages * average, 1.0)
    made = _PRIOR * max(average, 1.0)
    seen = np.log((it.asked + made * share) / (made * share))
    return (seen * it.weights).sum(1) + it.weights.sum() * np.log(made / (it.lengths + made))


def _tfidf_cosine(it: Batch) -> Array:
    query = np.zeros(len(it.idf))
    query[: len(it.weights)] = it.strength
    return unit(np.log1p(it.counts) * it.idf) @ unit(query)


def _near(it: Batch) -> dict[str, Array]:
    """Pairs of the query's words that follow each other in a passage with no third between (after Büttcher et al., SIGIR 2006)."""
    count = len(it.lengths)
    hits = np.flatnonzero(it.column < len(it.weights))
    row, term = it.row[hits], it.column[hits]
    pair = (row[1:] == row[:-1]) & (term[1:] != term[:-1])
    apart = np.diff(hits)
    weaker = np.minimum(it.strength[term[1:]], it.strength[term[:-1]])
    phrase = pair & (apart == 1) & (term[1:] == term[:-1] + 1)
    start = np.concatenate([[0], np.cumsum(it.lengths)[:-1]])
    first = np.ones(count)
    rows, where = np.unique(row, return_index=True)
    first[rows] = (hits[where] - start[rows]) / it.lengths[rows]
    return {
        "proximity": np.bincount(row[1:][pair], weaker[pair] / apart[pair] ** 2.0, count).astype(float),
        "phrases": np.bincount(row[1:][phrase], weaker[phrase], count).astype(float),
        "first_match": first,
    }
