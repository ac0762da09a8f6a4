"""What every view of an index answers in the same way, wherever its rows lie: from the counts of terms, and of a query's vector."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from meliora.errors import Conflict
from meliora.knowledge.index.base import Hit
from meliora.knowledge.index.embedded.counts import CountsOf
from meliora.knowledge.index.embedded.entries import Record, safe
from meliora.knowledge.index.embedded.vectors import Embed, normalised

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class BaseView:
    """Answers for words and vectors. A subclass opens the counts, and says how a query becomes a vector."""

    _counts: CountsOf

    def _vector(self, terms: Mapping[str, float], text: str = "") -> NDArray[np.float32] | None:
        """Give a query's vector, of length 1; None where none of the terms is known, or there are no vectors."""
        raise NotImplementedError

    def frequency(self, term: str) -> int:
        """Give in how many passages an analysed word stands."""
        return self._counts.frequency(safe(term))

    def written(self) -> Mapping[str, int]:
        """Give every word as it is written with the passages that have it."""
        return self._counts.written()

    def vocabulary(self) -> Mapping[str, int]:
        """Give every analysed word with its frequency."""
        return self._counts.vocabulary()

    def vector(self, terms: Mapping[str, float]) -> Sequence[float] | None:
        """Give the vector of analysed words, of length 1; None where none of them is known, or there are no vectors."""
        vector = self._vector(terms)
        return None if vector is None else vector.tolist()


def embedded_query(embed: Embed | None, terms: Mapping[str, float], text: str, dimension: int) -> NDArray[np.float32]:
    """Give a provider's vector of a query, of length 1; of its terms where it has no text. Raises `Conflict` without a provider."""
    if embed is None:
        raise Conflict("The index has a provider's embeddings, and none is configured.", hint="Build a new generation.")
    return normalised(embed([text or " ".join(terms)]), 1, dimension)[0]


def best_first(names: Iterable[str], scores: Iterable[float]) -> list[Hit]:
    """Give passages with their scores as hits, best first; equal ones by id. Raises `ValueError` for unequal lengths."""
    hits = [Hit(name, score) for name, score in zip(names, scores, strict=True)]
    return sorted(hits, key=lambda one: (-one.score, one.passage))


def document_hashes(records: Iterable[Record]) -> Iterator[tuple[str, str]]:
    """Give the id and hash of each document once, of the records of its passages in a row."""
    last = None
    for record in records:
        if record.document != last:
            last = record.document
            yield record.document, record.hash
