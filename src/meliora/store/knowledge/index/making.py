"""A new state of a generation, made in one transaction: what fails before its end was never there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

import msgspec

from meliora.knowledge.documents import Changed
from meliora.knowledge.index.embedded import counts
from meliora.knowledge.index.embedded.columns import MOST_PARTS, Columns, ColumnsWriter
from meliora.knowledge.index.embedded.entries import Chunk, Entry, again, entries, grams_of
from meliora.knowledge.index.embedded.layout import Step
from meliora.knowledge.index.embedded.making import Settings
from meliora.knowledge.index.embedded.vectors import Embed
from meliora.store.knowledge.index import catalog, files, postings
from meliora.store.knowledge.index.catalog import Part, State
from meliora.store.knowledge.index.driver import Cursor, copy
from meliora.store.knowledge.index.models import Vectors, decode

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FLUSHED = 4000
"""Passages of which a part is written, at most."""
COLUMNS = (
    *(("generation", "int8"), ("row", "int8"), ("document", "bytea")),
    *(("key", "bytea"), ("name", "bytea"), ("record", "bytea")),
)


@dataclass(frozen=True, slots=True)
class Means:
    """What it is made with."""

    chunk: Chunk
    settings: Settings
    embed: Embed | None
    now_us: Callable[[], int]
    step: Step


class Making:
    """Takes changes to the state `before`, which may have nothing, and makes the next."""

    def __init__(self, means: Means, cursor: Cursor, before: State, alive: NDArray[np.bool_]) -> None:
        """`alive` tells of each of its rows whether it lives."""
        means.step("begin")
        self._means, self._cursor, self._before, self._was_alive = means, cursor, before, alive
        self._vectors = Vectors(cursor, means.settings, means.embed)
        self._state = msgspec.structs.replace(before, state=before.state + 1)
        self._rows, self._flushed = before.rows, before.rows
        self._pending: list[Entry] = []
        self._legs = (postings.Posted("w"), postings.Posted("g"))
        self._parts = list(before.parts)
        self._added: dict[str, range] = {}
        self._dead: set[int] = set()
        self._columns, self._tally, self._fields = ColumnsWriter(), counts.Tally(), dict(before.fields)
        self._passages, self._documents, self._total = before.passages, before.documents, before.words
        self._watermark = before.watermark
        self._next_part = before.next_part
        self._encode = msgspec.msgpack.Encoder().encode

    def take(self, changes: Iterable[Changed]) -> None:
        """Take changes up, a later one of a document in the place of an earlier one."""
        for change in changes:
            self._watermark = max(self._watermark, change.seq)
            self._remove(change.id)
            if change.kept is not None:
                self.add(change.id, entries(change.kept, self._means.chunk))

    def reach(self, seq: int) -> None:
        """Say that it has every change up to one: the last of them may be told no more."""
        self._watermark = max(self._watermark, seq)

    def add(self, document: str, found: Iterable[Entry]) -> None:
        """Take the passages of a document that it does not have."""
        first = self._rows
        for entry in found:
            record, terms = entry.record, entry.terms
            self._pending.append(entry)
            self._legs[0].add(terms)
            self._legs[1].add(grams_of(entry.written).split())
            self._columns.add(self._rows, record.fields())
            self._tally.add(terms, entry.written)
            self._count(record.metadata, terms, 1)
            self._rows += 1
        self._added[document] = range(first, self._rows)
        self._documents += 1
        if len(self._pending) >= FLUSHED:
            self._flush()

    def finish(self) -> State:
        """Have it whole. It serves once its generation does."""
        self._flush()
        alive = self._alive()
        state = msgspec.structs.replace(
            self._state,
            watermark=self._watermark,
            rows=self._rows,
            passages=self._passages,
            documents=self._documents,
            words=self._total,
            parts=tuple(self._parts),
            fields={name: count for name, count in self._fields.items() if count},
        )
        self._means.step("tables")
        state = self._with_tables(state)
        self._means.step("vectors")
        state = self._vectors.finish(state, self._before, alive)
        self._means.step("join")
        state = self._joined(state)
        self._means.step("state")
        catalog.finish(self._cursor, state, packed(alive), self._means.now_us())
        return state

    def _flush(self) -> None:
        """Write the pending passages as a part."""
        if not self._pending:
            return
        self._means.step("part")
        part = self._part(self._flushed, len(self._pending))
        id = self._state.id
        copy(
            self._cursor,
            "index_passages",
            COLUMNS,
            (
                (id, row, hashed(one.record.document), hashed(one.name), one.name.encode(), self._encode(one.record))
                for row, one in enumerate(self._pending, start=self._flushed)
                if row not in self._dead
            ),
        )
        postings.write(self._cursor, id, part, self._legs)
        files.write(self._cursor, id, catalog.lengths(part), b"".join(leg.lengths() for leg in self._legs))
        self._parts.append(part)
        self._pending, self._flushed = [], self._rows
        self._legs = (postings.Posted("w"), postings.Posted("g"))

    def _part(self, first: int, rows: int) -> Part:
        self._next_part += 1
        return Part(self._next_part, first, rows)

    def _remove(self, document: str) -> None:
        gone = self._rows_of(document)
        for row, entry in gone:
            self._dead.add(row)
            self._tally.remove(entry.terms, entry.written)
            self._count(entry.record.metadata, entry.terms, -1)
        self._documents -= bool(gone)

    def _rows_of(self, document: str) -> list[tuple[int, Entry]]:
        """Give the living rows of a document with what they have, and mark those that are written as dead."""
        new = self._added.pop(document, None)
        if new is not None and new.start >= self._flushed:
            return [(row, self._pending[row - self._flushed]) for row in new]
        if new is None and not self._before.documents:
            return []
        query = """UPDATE index_passages SET died = %s
                   WHERE generation = %s AND document = %s AND died IS NULL RETURNING row, record"""
        found = self._cursor.execute(query, (self._state.state, self._state.id, hashed(document))).fetchall()
        return [(row, again(decode(body))) for row, body in sorted(found)]

    def _count(self, metadata: Iterable[str], terms: Sequence[str], by: int) -> None:
        self._passages += by
        self._total += by * len(terms)
        for field in metadata:
            self._fields[field] = self._fields.get(field, 0) + by

    def _alive(self) -> NDArray[np.bool_]:
        import numpy as np

        alive = np.ones(self._rows, dtype=bool)
        alive[: self._before.rows] = self._was_alive
        alive[list(self._dead)] = False
        return alive

    def _with_tables(self, state: State) -> State:
        """Write the fields and the counts of what is new; with those before where they come to be many."""
        at = state.state
        columns, tables = (*state.columns, f"columns-{at}"), (*state.counts, f"counts-{at}")
        all_columns = Columns([*self._held(state.columns).values()], state.rows) if len(columns) > MOST_PARTS else None
        all_counts = counts.CountsOf(self._held(state.counts)) if len(tables) > counts.MOST_CHANGES else None
        files.write(self._cursor, state.id, columns[-1], self._columns.encoded(all_columns))
        files.write(self._cursor, state.id, tables[-1], self._tally.encoded(all_counts))
        return msgspec.structs.replace(
            state,
            columns=columns[-1:] if all_columns else columns,
            counts=tables[-1:] if all_counts else tables,
        )

    def _held(self, names: Sequence[str]) -> dict[str, files.Held]:
        found = files.read(self._cursor, self._state.id, names)
        return {name: files.Held(found[name]) for name in names}

    def _joined(self, state: State) -> State:
        """Make one part of neighbours of like size, so that a query reads few."""
        parts: list[Part] = []
        for group in postings.groups(state.parts, self._vectors.most_rows(state)):
            if len(group) == 1:
                parts += group
                continue
            into = self._part(group[0].first, sum(part.rows for part in group))
            postings.join(self._cursor, state.id, group, into)
            self._join_lengths(group, into)
            self._vectors.join(state, group, into)
            self._forget(state, [part for part in group if part not in self._before.parts])
            parts.append(into)
        return msgspec.structs.replace(state, parts=tuple(parts), next_part=self._next_part)

    def _join_lengths(self, parts: Sequence[Part], into: Part) -> None:
        found = files.read(self._cursor, self._state.id, list(map(catalog.lengths, parts)))
        bodies = [(found[catalog.lengths(part)], 4 * part.rows) for part in parts]
        words, grams = [body[:half] for body, half in bodies], [body[half:] for body, half in bodies]
        files.write(self._cursor, self._state.id, catalog.lengths(into), b"".join(words + grams))

    def _forget(self, state: State, parts: Sequence[Part]) -> None:
        """Remove parts that no state ever named."""
        names = [*map(catalog.lengths, parts), *(map(state.model.vectors, parts) if state.model else ())]
        at = (state.id, [part.number for part in parts])
        self._cursor.execute("DELETE FROM index_postings WHERE generation = %s AND part = ANY(%s)", at)
        self._cursor.execute("DELETE FROM index_files WHERE generation = %s AND name = ANY(%s)", (state.id, names))


def hashed(name: str) -> bytes:
    """Give 16 bytes that stand for a name, whatever is in it."""
    return blake2b(name.encode("utf-8", "replace"), digest_size=16).digest()


def packed(alive: NDArray[np.bool_]) -> bytes:
    """Give a bit a row."""
    import numpy as np

    return np.packbits(alive).tobytes()


def unpacked(bits: bytes, rows: int) -> NDArray[np.bool_]:
    """Tell of each row whether its bit is set."""
    import numpy as np

    return np.unpackbits(np.frombuffer(bits, np.uint8), count=rows).astype(bool)
