"""A state as it is searched: never changing, safe to use from several threads. It holds no transaction between two questions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

import sqlalchemy as sa

from meliora.knowledge.config import Leg
from meliora.knowledge.filters import Filter
from meliora.knowledge.index.base import Asked, Hit, Stored
from meliora.knowledge.index.embedded import lsa
from meliora.knowledge.index.embedded.columns import Columns
from meliora.knowledge.index.embedded.counts import CountsOf
from meliora.knowledge.index.embedded.entries import Record, safe
from meliora.knowledge.index.embedded.vectors import Embed
from meliora.knowledge.index.embedded.view import refuse_unknown
from meliora.knowledge.index.embedded.view_base import BaseView, best_first, document_hashes, embedded_query
from meliora.store.engine import once_more
from meliora.store.knowledge.index.catalog import State, check_kept, lengths
from meliora.store.knowledge.index.driver import Cursor, asking
from meliora.store.knowledge.index.files import Files, outlived
from meliora.store.knowledge.index.making import hashed, unpacked
from meliora.store.knowledge.index.models import Nearest, decode
from meliora.store.knowledge.index.postings import Scored, TextLeg

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Rank: TypeAlias = Callable[[Cursor], tuple[list[int], list[float]]]
"""Finds rows and their scores."""
PAGE = 5000
"""Rows that are read at once where all are."""


class PostgresView(BaseView):
    """What serves at one moment. It stands for an hour after another state came in its place; then it raises `StoreError`.

    Every question raises `StoreUnavailable` where the database is away.
    """

    def __init__(
        self, engine: sa.Engine, state: State, alive: bytes, embed: Embed | None, before: PostgresView | None
    ) -> None:
        """Open a state; of `before`, an earlier one of the same generation, is used what is the same."""
        self.generation, self.watermark = state.generation, state.watermark
        self.passages, self.documents = state.passages, state.documents
        self.average_length = state.words / state.passages if state.passages else 0.0
        self.fitted = embed is None
        self._engine, self._state, self._embed = engine, state, embed
        self._alive: NDArray[np.bool_] = unpacked(alive, state.rows)
        if before is not None and before._state.id != state.id:
            before = None
        self._files = Files(engine, state.id, before._files if before else None, state.files())
        self._columns = Columns([self._files.file(name) for name in state.columns], state.rows)
        tables = {name: self._files.file(name) for name in state.counts}
        self._counts = CountsOf(tables, before._counts if before else None)
        if before is not None and before._state.model == state.model and "_lsa" in vars(before):
            self._lsa = before._lsa

    def stands_at(self, generation: int, state: int) -> bool:
        """Tell whether it is a view of this state."""
        return (self._state.id, self._state.state) == (generation, state)

    def retrieve(self, leg: Leg, asked: Asked, limit: int, where: Filter | None = None) -> Sequence[Hit]:
        """Give the best passages, best first; equal ones by id. Of a query of more than 64 terms, the weightiest and rarest count.

        Raises `InvalidRequest` for a filter on a field that no document has.
        """
        if where is not None:
            refuse_unknown(where, self._state.fields)
        if limit < 1 or not self.passages:
            return ()
        allowed = self._alive if where is None else self._columns.passing(where) & self._alive
        return self._best(self._ranking(leg, asked, limit, allowed))

    def stored(self, passages: Sequence[str]) -> Sequence[Stored | None]:
        """Give what is kept of passages, in the order asked for; None for one that is not here."""
        found = {f"{one.document}#{one.number}": one for _, one in self._find(passages)}
        return [found[name].stored() if name in found else None for name in passages]

    def similarity(self, terms: Mapping[str, float], passages: Sequence[str]) -> Sequence[float]:
        """Give the cosine of the query's and each passage's vector; 0 where there is none."""
        vector = self._vector(terms)
        if vector is None or not passages:
            return [0.0] * len(passages)
        rows = {f"{one.document}#{one.number}": row for row, one in self._find(passages)}
        return [self._nearest.cosine(vector, rows[name]) if name in rows else 0.0 for name in passages]

    def hashes(self) -> Iterator[tuple[str, str]]:
        """Give the id and hash of every document that it holds."""
        return document_hashes(record for _, record in self._all())

    @once_more
    def _best(self, rank: Rank) -> Sequence[Hit]:
        with asking(self._engine) as cursor:
            rows, scores = rank(cursor)
            names = self._names(cursor, rows)
            check_kept(cursor, self._state)
        return best_first((names[row] for row in rows), scores)

    def _ranking(self, leg: Leg, asked: Asked, limit: int, allowed: NDArray[np.bool_]) -> Rank:
        """Give what finds rows and scores. What it takes besides is read before: nobody waits for a second connection."""
        if leg == "dense":
            vector = self._vector(asked.terms, asked.text)
            ranked = ([], []) if vector is None else self._nearest.nearest(vector, limit, allowed)
            return lambda cursor: ranked
        scored, terms = (self._words, asked.terms) if leg == "words" else (self._grams, asked.grams)
        return lambda cursor: scored.search(cursor, self._state.id, self._state.parts, terms, limit, allowed)

    def _vector(self, terms: Mapping[str, float], text: str = "") -> NDArray[np.float32] | None:
        model = self._state.model
        if model is None or not terms:
            return None
        if model.own:
            return self._lsa.vector({safe(term): weight for term, weight in terms.items()})
        return embedded_query(self._embed, terms, text, model.dimension)

    @cached_property
    def _lsa(self) -> lsa.Lsa:
        assert self._state.model is not None
        return lsa.decoded(self._files.read(self._state.model.file))

    @cached_property
    def _nearest(self) -> Nearest:
        model, parts = self._state.model, self._state.parts
        assert model is not None
        return Nearest([self._files.read(model.vectors(part)) for part in parts], parts, model.dimension)

    @cached_property
    def _words(self) -> Scored:
        return self._scored("w")

    @cached_property
    def _grams(self) -> Scored:
        return self._scored("g")

    def _scored(self, leg: TextLeg) -> Scored:
        import numpy as np

        found = [np.frombuffer(self._files.read(lengths(part)), "<u4") for part in self._state.parts]
        halves = [one[: len(one) // 2] if leg == "w" else one[len(one) // 2 :] for one in found]
        return Scored(leg, np.concatenate(halves), self._alive, self.passages)

    def _names(self, cursor: Cursor, rows: Sequence[int]) -> dict[int, str]:
        if not rows:
            return {}
        query = "SELECT row, name FROM index_passages WHERE generation = %s AND row = ANY(%s)"
        found = cursor.execute(query, (self._state.id, list(rows))).fetchall()
        if len(found) < len(rows):
            raise outlived()
        return {row: name.decode() for row, name in found}

    @once_more
    def _find(self, names: Sequence[str]) -> list[tuple[int, Record]]:
        """Give the living rows of passages, in whatever order."""
        if not names:
            return []
        query = "SELECT row, record FROM index_passages WHERE generation = %s AND key = ANY(%s)"
        with asking(self._engine) as cursor:
            found = cursor.execute(query, (self._state.id, list(map(hashed, names)))).fetchall()
            check_kept(cursor, self._state)
        return [(row, decode(body)) for row, body in found if row < self._state.rows and self._alive[row]]

    def _all(self) -> Iterator[tuple[int, Record]]:
        """Give the living rows, in their order."""
        for at in range(0, self._state.rows, PAGE):
            yield from ((row, decode(body)) for row, body in self._page(at) if self._alive[row])

    @once_more
    def _page(self, at: int) -> list[tuple[int, bytes]]:
        query = "SELECT row, record FROM index_passages WHERE generation = %s AND row >= %s AND row < %s ORDER BY row"
        with asking(self._engine) as cursor:
            end = min(at + PAGE, self._state.rows)
            found = cursor.execute(query, (self._state.id, at, end)).fetchall()
            check_kept(cursor, self._state)
        return found
