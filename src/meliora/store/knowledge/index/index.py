"""The index of a collection in PostgreSQL: what serves, changes taken up, generations built and switched. One writer at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby

import sqlalchemy as sa

from meliora.clock import Clock
from meliora.errors import NotFound
from meliora.knowledge.documents import Changed
from meliora.knowledge.index.base import View
from meliora.knowledge.index.embedded.entries import Chunk, again
from meliora.knowledge.index.embedded.index import FIRST
from meliora.knowledge.index.embedded.layout import Step, check_generation, is_later
from meliora.knowledge.index.embedded.making import Settings
from meliora.knowledge.index.embedded.vectors import Embed
from meliora.knowledge.index.embedded.view import EmptyView
from meliora.store.engine import once_more
from meliora.store.knowledge.index import catalog
from meliora.store.knowledge.index.catalog import State
from meliora.store.knowledge.index.driver import Cursor, asking, holding
from meliora.store.knowledge.index.making import Making, Means, unpacked
from meliora.store.knowledge.index.models import BLOCK, decode
from meliora.store.knowledge.index.view import PostgresView


def _no_step(name: str) -> None:
    pass


@once_more
def indexed(engine: sa.Engine) -> list[tuple[str, str]]:
    """Give every collection that has an index in the database, by tenant and name, be it deleted or not."""
    with asking(engine) as cursor:
        return cursor.execute("SELECT DISTINCT tenant, collection FROM index_generations").fetchall()


class PostgresIndex:
    """The index of one collection, the same for all processes. Safe to share between threads.

    Everything raises `StoreUnavailable` where the database is away.
    """

    def __init__(
        self,
        engine: sa.Engine,
        tenant: str,
        collection: str,
        *,
        chunk: Chunk,
        clock: Clock,
        settings: Settings | None = None,
        embed: Embed | None = None,
        step: Step = _no_step,
    ) -> None:
        """`chunk` cuts a document into passages; `embed` gives vectors in the place of the index's own.

        `step` is called with its name before each step of a write; what it raises is as if the step had failed.
        """
        self._engine, self._of = engine, (tenant, collection)
        self._means = Means(chunk, settings or Settings(), embed, clock.now_us, step)
        self._lock = threading.Lock()
        self._opened: PostgresView | None = None

    @once_more
    def view(self) -> View:
        """Give what serves now: a look at one row, and the view that is open where it is the same.

        An index of another version gives what an empty one does: it has to be built again.
        """
        opened = self._opened
        with asking(self._engine) as cursor:
            serving = catalog.serving(cursor, *self._of)
            if serving is None:
                return EmptyView()
            if opened is not None and opened.stands_at(*serving):
                return opened
            state, alive = catalog.load(cursor, *serving)
        with self._lock:
            # Another thread may have been here: what it opened is used, so that a state is read once.
            if self._opened is None or not self._opened.stands_at(*serving):
                self._opened = PostgresView(self._engine, state, alive, self._means.embed, self._opened)
            return self._opened

    def apply(self, changes: Sequence[Changed], generation: str = "") -> int:
        """Take changes up, all or none of them, and give the new watermark. Those that it has already change nothing.

        With `generation` a built one takes them, which goes on not to serve. Raises `NotFound` where there is no whole one of that
        name, `IndexHeld` where another writer has it, `OSError` for a full disk: what served goes on to serve.
        """
        with self._writing() as cursor:
            serving = catalog.serving(cursor, *self._of)
            found = self._whole(cursor, generation) if generation else serving
            if found is None:
                state = self._build(cursor, changes, FIRST)
                self._point(cursor, state)
                return state.watermark
            before, alive = catalog.load(cursor, *found)
            new = [one for one in changes if one.seq > before.watermark]
            if not new:
                return before.watermark
            if self._is_wasteful(before):
                making = self._numbered_anew(cursor, before)
            else:
                making = Making(self._means, cursor, before, unpacked(alive, before.rows))
            making.take(new)
            state = making.finish()
            if found == serving:
                self._point(cursor, state)
            return max(before.watermark, *(one.seq for one in new))

    def build(self, documents: Iterable[Changed], generation: str, upto: int = 0) -> None:
        """Build a whole new generation beside the one that serves; it serves nothing yet. A whole one of that name is left as it is.

        `upto` is the change to which the documents are complete, which may be a deletion that is told no more. It is one
        transaction, however long. Raises `IndexHeld` where another writer has it, `OSError` for a full disk.
        """
        check_generation(generation)
        with self._writing() as cursor:
            if catalog.whole(cursor, *self._of, generation) is None:
                self._build(cursor, documents, generation, upto)

    @once_more
    def built(self, generation: str) -> View:
        """Give a built generation, whether it serves or not. Raises `NotFound` where there is no whole one of that name."""
        with asking(self._engine) as cursor:
            state, alive = catalog.load(cursor, *self._whole(cursor, generation))
        return PostgresView(self._engine, state, alive, self._means.embed, None)

    def switch(self, generation: str) -> None:
        """Let a built generation serve, at once and whole. Older ones but the last that served are removed.

        Raises `NotFound` where there is no whole one of that name.
        """
        check_generation(generation)
        with self._writing() as cursor:
            found = self._whole(cursor, generation)
            last = catalog.serving(cursor, *self._of)
            self._means.step("point")
            catalog.point(cursor, *self._of, found[0])
            if last is not None and last[0] != found[0]:
                catalog.retire(cursor, *self._of, [found[0], last[0]])

    def retire(self) -> None:
        """Remove every generation but the one that serves and those after it: nothing of a person who was erased is to remain."""
        with self._writing() as cursor:
            found, serving = catalog.named(cursor, *self._of), catalog.serving(cursor, *self._of)
            if serving is not None:
                name = found[serving[0]]
                catalog.remove(
                    cursor, [id for id, own in found.items() if id != serving[0] and not is_later(own, name)]
                )

    def sweep(self) -> None:
        """Remove what was replaced an hour ago, as each write does: of a collection that rests, nobody else would."""
        with asking(self._engine) as cursor:
            due = catalog.can_be_swept(cursor, *self._of, self._means.now_us())
        if due:
            with self._writing():
                pass

    def drop(self) -> None:
        """Remove all of it: its collection is gone."""
        with self._writing() as cursor:
            catalog.remove(cursor, list(catalog.named(cursor, *self._of)))

    @contextmanager
    def _writing(self) -> Iterator[Cursor]:
        with holding(self._engine, catalog.lock_of(*self._of), self._of[1]) as cursor:
            catalog.sweep(cursor, *self._of, self._means.now_us())
            yield cursor
            self._means.step("commit")

    def _whole(self, cursor: Cursor, generation: str) -> tuple[int, int]:
        check_generation(generation)
        found = catalog.whole(cursor, *self._of, generation)
        if found is None:
            raise NotFound(
                f"There is no whole generation {generation!r} of this index.",
                hint=f"There are: {', '.join(catalog.names(cursor, *self._of)) or 'none'}.",
            )
        return found

    def _build(self, cursor: Cursor, documents: Iterable[Changed], generation: str, upto: int = 0) -> State:
        catalog.remove(cursor, catalog.unusable(cursor, *self._of, generation))
        id = catalog.begin(cursor, *self._of, generation)
        making = Making(self._means, cursor, State(id=id, generation=generation, state=0), unpacked(b"", 0))
        making.take(documents)
        making.reach(upto)
        return making.finish()

    def _point(self, cursor: Cursor, state: State) -> None:
        self._means.step("point")
        catalog.point(cursor, *self._of, state.id)

    def _is_wasteful(self, state: State) -> bool:
        """Tell whether the living rows are to be numbered anew; not where a provider would be paid for their vectors again."""
        paid = self._means.embed is not None or (state.model is not None and not state.model.own)
        return not paid and state.rows > max(2 * state.passages, self._means.settings.dead_rows)

    def _numbered_anew(self, cursor: Cursor, old: State) -> Making:
        """Begin with the living rows of a state alone, which removes the others; views of the old ones stand for their hour."""
        catalog.replace(cursor, old.id, self._means.now_us())
        id = catalog.begin(cursor, *self._of, old.generation)
        blank = State(id=id, generation=old.generation, state=0, watermark=old.watermark)
        making = Making(self._means, cursor, blank, unpacked(b"", 0))
        query = """SELECT record FROM index_passages
                   WHERE generation = %s AND row >= %s AND row < %s AND died IS NULL ORDER BY row"""
        found = (
            decode(body)
            for at in range(0, old.rows, BLOCK)
            for (body,) in cursor.execute(query, (old.id, at, at + BLOCK)).fetchall()
        )
        for document, records in groupby(found, key=lambda one: one.document):
            making.add(document, map(again, records))
        return making
