"""Words and character n-grams with the passages that have them. Scored exactly, by BM25 (k1 1.2, b 0.75; Robertson and Zaragoza, 2009).

A part holds the postings of a stretch of rows: what a term has is one value of rows and one of counts, which the database hands over
as they are. Parts of like size are joined in the database, end to end, since rows only grow.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any, Literal

from meliora.knowledge.index.embedded.entries import safe
from meliora.knowledge.index.embedded.words import COMMON_GRAM, MOST_GRAMS, MOST_WORDS, SMALL
from meliora.store.knowledge.index.catalog import Part
from meliora.store.knowledge.index.driver import Cursor, copy

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TextLeg = Literal["w", "g"]
K1, B = 1.2, 0.75
TIERS = 4
"""Parts are joined where the earlier one is at most so many times the size of the later."""
COLUMNS = (
    *(("generation", "int8"), ("leg", "text"), ("term", "bytea"), ("part", "int8")),
    *(("count", "int8"), ("rows", "bytea"), ("times", "bytea")),
)


class Posted:
    """Gathers the terms of new rows, one leg."""

    def __init__(self, leg: TextLeg) -> None:
        self.leg: TextLeg = leg
        self._places: defaultdict[str, int] = defaultdict(count().__next__)
        self._terms: list[int] = []
        self._lengths: list[int] = []

    def add(self, terms: Sequence[str]) -> None:
        """Take the terms of the next row."""
        self._terms.extend(map(self._places.__getitem__, terms))
        self._lengths.append(len(terms))

    def lengths(self) -> bytes:
        """Give the terms of each row, 4 bytes a row."""
        import numpy as np

        return np.array(self._lengths, "<u4").tobytes()

    def rows(self, generation: int, part: Part) -> Iterator[tuple[Any, ...]]:
        """Give the rows of the table, those of a term being what they are in the index from `part.first` on."""
        import numpy as np

        if not self._terms:
            return
        where = np.repeat(np.arange(len(self._lengths), dtype=np.int64), self._lengths)
        pairs, times = np.unique((np.array(self._terms, dtype=np.int64) << 32) | where, return_counts=True)
        places, where = pairs >> 32, ((pairs & 0xFFFFFFFF) + part.first).astype("<u4")
        small = np.minimum(times, 255).astype(np.uint8)
        ends = np.searchsorted(places, np.arange(len(self._places)), "right").tolist()
        begin = 0
        for term, end in zip(self._places, ends, strict=True):
            found = where[begin:end].tobytes(), small[begin:end].tobytes()
            yield generation, self.leg, term.encode(), part.number, end - begin, *found
            begin = end


def write(cursor: Cursor, generation: int, part: Part, legs: Iterable[Posted]) -> None:
    """Write a part."""
    copy(cursor, "index_postings", COLUMNS, (row for leg in legs for row in leg.rows(generation, part)))


def groups(parts: Sequence[Part], most_rows: int) -> list[list[Part]]:
    """Say which neighbours are to be one part: from the end, where sizes are alike, none of more than `most_rows`."""
    grouped: list[list[Part]] = []
    size = 0
    for part in reversed(parts):
        if grouped and part.rows <= TIERS * size and part.rows + size <= most_rows:
            grouped[-1].insert(0, part)
            size += part.rows
        else:
            grouped.append([part])
            size = part.rows
    return grouped[::-1]


def join(cursor: Cursor, generation: int, parts: Sequence[Part], into: Part) -> None:
    """Write the postings of neighbouring parts once more, as one part; those that there were stay."""
    query = """INSERT INTO index_postings (generation, leg, term, part, count, rows, times)
               SELECT generation, leg, term, %s, sum(count), string_agg(rows, ''::bytea ORDER BY rank),
                      string_agg(times, ''::bytea ORDER BY rank)
               FROM index_postings JOIN unnest(%s::int8[]) WITH ORDINALITY AS listed (number, rank) ON part = number
               WHERE generation = %s GROUP BY generation, leg, term"""
    cursor.execute(query, (into.number, [part.number for part in parts], generation))


class Scored:
    """What a leg's scores are made with, of one state: lengths by row, how many there are, which live."""

    def __init__(self, leg: TextLeg, lengths: NDArray[np.uint32], alive: NDArray[np.bool_], passages: int) -> None:
        self.leg: TextLeg = leg
        self._alive, self._passages = alive, passages
        total = int(lengths.sum(where=alive, dtype="int64"))
        average = max(total / passages, 1e-9) if passages else 1.0
        self._norms = (K1 * (1 - B + B / average * lengths)).astype("f4")

    def search(
        self,
        cursor: Cursor,
        generation: int,
        parts: Sequence[Part],
        asked: Mapping[str, float],
        limit: int,
        allowed: NDArray[np.bool_],
    ) -> tuple[list[int], list[float]]:
        """Give the allowed rows of the greatest scores above 0, best first."""
        import numpy as np

        weights = _usable(asked)
        at = (generation, self.leg, [part.number for part in parts])
        if self.leg == "g" or len(weights) > MOST_WORDS:
            weights = self._chosen(cursor, at, weights)
        if not weights:
            return [], []
        scores = np.zeros(len(self._norms), "f4")
        for weight, rows, times in _read(cursor, at, weights):
            living = int(np.count_nonzero(self._alive[rows]))
            rarity = math.log(1 + (self._passages - living + 0.5) / (living + 0.5))
            scores[rows] += (weight * rarity * (K1 + 1)) * times / (times + self._norms[rows])
        scores[~allowed] = 0
        return best(scores, limit)

    def _chosen(self, cursor: Cursor, at: tuple[Any, ...], weights: Mapping[bytes, float]) -> dict[bytes, float]:
        """Give the terms that are asked where there are many: the weightiest and rarest; n-grams that not everything has."""
        query = """SELECT term, sum(count)::int8 FROM index_postings
                   WHERE generation = %s AND leg = %s AND part = ANY(%s) AND term = ANY(%s) GROUP BY term"""
        common = max(COMMON_GRAM * self._passages, SMALL) if self.leg == "g" else math.inf
        worth: list[tuple[float, bytes]] = []
        for term, passages in cursor.execute(query, (*at, list(weights))).fetchall():
            if passages < common:
                rarity = math.log1p(self._passages / passages)
                worth.append((weights[term] * rarity if self.leg == "w" else rarity, term))
        worth.sort(key=lambda one: (-one[0], one[1]))
        return {term: weights[term] for _, term in worth[: MOST_WORDS if self.leg == "w" else MOST_GRAMS]}


def best(scores: NDArray[np.float32], limit: int) -> tuple[list[int], list[float]]:
    """Give the places of the greatest scores above 0, best first."""
    import numpy as np

    cut = max(len(scores) - limit, 0)
    found = np.argpartition(scores, cut)[cut:] if cut else np.arange(len(scores))
    found = found[scores[found] > 0]
    found = found[np.argsort(-scores[found], kind="stable")]
    return found.tolist(), scores[found].tolist()


def _usable(asked: Mapping[str, float]) -> dict[bytes, float]:
    weights: dict[bytes, float] = {}
    for said, weight in asked.items():
        if weight > 0 and math.isfinite(weight):
            term = safe(said).encode()
            weights[term] = weights.get(term, 0.0) + weight
    return weights


def _read(
    cursor: Cursor, at: tuple[Any, ...], weights: Mapping[bytes, float]
) -> Iterator[tuple[float, NDArray[np.uint32], NDArray[np.float32]]]:
    """Give each term's weight, rows and counts."""
    import numpy as np

    query = """SELECT term, rows, times FROM index_postings
               WHERE generation = %s AND leg = %s AND part = ANY(%s) AND term = ANY(%s)"""
    found: dict[bytes, list[tuple[bytes, bytes]]] = {}
    for term, rows, times in cursor.execute(query, (*at, list(weights))).fetchall():
        found.setdefault(term, []).append((rows, times))
    for term in sorted(found):
        rows, times = (b"".join(parts) for parts in zip(*found[term], strict=True))
        yield weights[term], np.frombuffer(rows, "<u4"), np.frombuffer(times, np.uint8).astype("f4")
