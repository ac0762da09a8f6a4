"""The candidates of one query as arrays: counts, lengths, inverse frequencies. What the features are worked out of."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count

import numpy as np
from numpy.typing import NDArray

from meliora.knowledge.index.base import View
from meliora.knowledge.search.parts import Pool

Array = NDArray[np.float64]
LONGEST = 2000
"""Words of a passage that are looked at; a passage is far shorter, unless another engine made it."""
HEAVIEST = 1e6
"""Of the weight of a term of the query."""
MOST_KNOWN = 500_000
"""Terms whose rarity is remembered."""


class Rarity:
    """Inverse frequencies of terms, each asked for once a state of the index: they come again. Safe to use from several threads."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._known: tuple[object, dict[str, float]] = (None, {})

    def of(self, terms: Iterable[str], view: View) -> list[float]:
        """Give log(1 + (N - n + .5) / (n + .5)) of each term (Robertson and Zaragoza, 2009)."""
        state, known = self._known
        now = (view.generation, view.watermark, view.passages)
        if state != now or len(known) > MOST_KNOWN:
            known = {}
            self._known = (now, known)
        found: list[float] = []
        for term in terms:
            idf = known.get(term)
            if idf is None:
                n = min(view.frequency(term), view.passages)
                idf = known[term] = math.log(1 + (view.passages - n + 0.5) / (n + 0.5))
            found.append(idf)
        return found


@dataclass(frozen=True, slots=True)
class Batch:
    """All of a query's candidates, best of the fusion first; rows are candidates, columns terms, those of the query first."""

    passages: tuple[str, ...]
    words: Mapping[str, int]
    """Column of each term; the first `len(weights)` are the query's, in its order."""
    weights: Array
    """Of the query's terms."""
    counts: Array
    """[candidates, terms]: how often each term stands in title and text."""
    titles: Array
    """[candidates, query terms]: how often in the title alone."""
    lengths: Array
    title_lengths: Array
    idf: Array
    row: NDArray[np.intp]
    column: NDArray[np.intp]
    """Candidate and term of each word, passage after passage, title before text."""

    @property
    def asked(self) -> Array:
        """Give [candidates, query terms] of `counts`."""
        return self.counts[:, : len(self.weights)]

    @property
    def strength(self) -> Array:
        """Give weight times inverse frequency of the query's terms."""
        return self.weights * self.idf[: len(self.weights)]


def batch(pool: Pool, rarity: Rarity) -> Batch:
    """Count the words of the candidates. Terms whose weight is no positive finite number are left out."""
    query = {term: min(weight, HEAVIEST) for term, weight in pool.asked.terms.items() if 0 < weight < math.inf}
    numbers = count()
    words: dict[str, int] = {term: next(numbers) for term in query}
    titles = [one.title_terms[:LONGEST] for one in pool.stored]
    texts = [(*title, *one.terms[:LONGEST]) for title, one in zip(titles, pool.stored, strict=True)]
    for term in dict.fromkeys(chain.from_iterable(texts)):
        if term not in words:
            words[term] = next(numbers)
    lengths = np.fromiter(map(len, texts), dtype=np.intp, count=len(texts))
    column = np.fromiter(map(words.__getitem__, chain.from_iterable(texts)), dtype=np.intp, count=int(lengths.sum()))
    row = np.repeat(np.arange(len(texts)), lengths)
    return Batch(
        passages=tuple(one.passage for one in pool.candidates),
        words=words,
        weights=np.array(list(query.values()), dtype=float),
        counts=_counted(row, column, len(texts), len(words)),
        titles=_in_titles(titles, words, len(query)),
        lengths=lengths.astype(float),
        title_lengths=np.array([len(title) for title in titles], dtype=float),
        idf=np.array(rarity.of(words, pool.view), dtype=float),
        row=row,
        column=column,
    )


def _counted(row: NDArray[np.intp], column: NDArray[np.intp], rows: int, columns: int) -> Array:
    flat = np.bincount(row * columns + column, minlength=rows * columns) if columns else np.zeros(0)
    return flat.reshape(rows, columns).astype(float)


def _in_titles(titles: Sequence[Sequence[str]], words: Mapping[str, int], asked: int) -> Array:
    found = np.zeros((len(titles), asked))
    for at, title in enumerate(titles):
        for term in title:
            if words[term] < asked:
                found[at, words[term]] += 1
    return found
