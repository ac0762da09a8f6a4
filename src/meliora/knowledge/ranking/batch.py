"""The candidates of one query as arrays: counts, lengths, inverse frequencies. What the features are worked out of."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count

import msgspec
import numpy as np
from numpy.typing import NDArray

from meliora.knowledge.answers import Place
from meliora.knowledge.index.base import Asked, Stored, View

Array = NDArray[np.float64]
LONGEST = 2000
"""Words of a passage that are looked at; a passage is far shorter, unless another engine made it."""


class Candidate(msgspec.Struct, frozen=True):
    """A passage that the fusion gave, with how it came there."""

    stored: Stored
    places: tuple[Place, ...]
    fused: float

    @property
    def passage(self) -> str:
        """Give its name in the index."""
        return f"{self.stored.document}#{self.stored.number}"


class Statistics:
    """A view's inverse frequencies, each asked for once. Keep one a view: terms come again. Safe to use from several threads."""

    def __init__(self, view: View) -> None:
        """Take a view."""
        self.view = view
        self._idf: dict[str, float] = {}

    def idf(self, term: str) -> float:
        """Give log(1 + (N - n + .5) / (n + .5)) (Robertson and Zaragoza, 2009), as it was at the first question."""
        found = self._idf.get(term)
        if found is None:
            n = min(self.view.frequency(term), self.view.passages)
            found = self._idf[term] = math.log(1 + (self.view.passages - n + 0.5) / (n + 0.5))
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


def batch(asked: Asked, candidates: Sequence[Candidate], statistics: Statistics) -> Batch:
    """Count the words of the candidates. Terms whose weight is no positive finite number are left out."""
    query = {term: weight for term, weight in asked.terms.items() if 0 < weight < math.inf}
    numbers = count()
    words: dict[str, int] = {term: next(numbers) for term in query}
    titles = [one.stored.title_terms[:LONGEST] for one in candidates]
    texts = [(*title, *one.stored.terms[:LONGEST]) for title, one in zip(titles, candidates, strict=True)]
    for term in dict.fromkeys(chain.from_iterable(texts)):
        if term not in words:
            words[term] = next(numbers)
    lengths = np.fromiter(map(len, texts), dtype=np.intp, count=len(texts))
    column = np.fromiter(map(words.__getitem__, chain.from_iterable(texts)), dtype=np.intp, count=int(lengths.sum()))
    row = np.repeat(np.arange(len(texts)), lengths)
    return Batch(
        passages=tuple(one.passage for one in candidates),
        words=words,
        weights=np.array(list(query.values()), dtype=float),
        counts=_counted(row, column, len(texts), len(words)),
        titles=_in_titles(titles, words, len(query)),
        lengths=lengths.astype(float),
        title_lengths=np.array([len(title) for title in titles], dtype=float),
        idf=np.fromiter(map(statistics.idf, words), dtype=float, count=len(words)),
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
