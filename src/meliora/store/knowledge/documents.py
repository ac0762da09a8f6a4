"""Documents by collection, and their history as indexes follow it. Implements `DocumentShelf`, `Feed` and `GenerationShelf`.

Whoever writes holds the collection's row, so that numbers are committed in their order and an index that asks for what came
after one misses nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from meliora.errors import NotFound
from meliora.knowledge.documents import Changed, DocumentState, Kept
from meliora.knowledge.index.base import Outdated
from meliora.knowledge.shelf import Collection, Fenced, Put, ToKeep, unfenced
from meliora.store.engine import reading, writing
from meliora.store.knowledge.collections import (
    FIRST_GENERATION,
    at_one_moment,
    hold_in,
    known_in,
    list_in,
    make_in,
    move_in,
    row_in,
    set_in,
)
from meliora.store.knowledge.datasets import drop_datasets
from meliora.store.knowledge.rows import (
    D,
    chunks,
    delete_in,
    forget_deletions_in,
    forget_pairs_in,
    hashes_in,
    insert_in,
    kept,
    of_collection,
    unique,
    update_in,
)
from meliora.store.knowledge.search_rows import F, S
from meliora.store.rows import page_size
from meliora.store.tables import (
    judgment_sets,
    judgments,
    knowledge_archived,
    knowledge_collections,
    knowledge_comparisons,
    knowledge_deletions,
    knowledge_documents,
    knowledge_doubles,
    knowledge_pairs,
    searches,
)

_REBUILD = "Build it again: `meliora knowledge rebuild`."
_X = knowledge_deletions.c
MOST_CHARACTERS = 30_000_000
"""Of the texts that are told at once; one document is told whatever it has."""
_LAST = 2**63 - 1

_COMPARED = (knowledge_pairs, knowledge_comparisons, knowledge_doubles)
"""What is known of documents that are alike."""


class KnowledgeDocuments:
    """Keep documents."""

    def __init__(self, engine: sa.Engine, clock_us: Callable[[], int]) -> None:
        self._engine = engine
        self._clock_us = clock_us

    def tenants(self) -> tuple[str, ...]:
        """Give every tenant that has a collection, by name: for what works on all of them."""
        query = sa.select(knowledge_collections.c.tenant).distinct().order_by(knowledge_collections.c.tenant)
        with reading(self._engine) as connection:
            return tuple(connection.execute(query).scalars())

    def collections(self, tenant: str) -> Sequence[Collection]:
        """Give the collections, by name."""
        with reading(self._engine) as connection:
            return list_in(connection, tenant)

    def collection(self, tenant: str, name: str) -> Collection:
        """Give one. Raises `NotFound` with the nearest name."""
        with reading(self._engine) as connection:
            known_in(connection, tenant, name)
            return list_in(connection, tenant, name)[0]

    def put(self, tenant: str, collection: str, documents: Sequence[ToKeep]) -> Put:
        """Keep documents, each in the place of the one of its id; makes the collection. Those of an equal hash stay as they are.

        Of several with one id the last is kept.
        """
        given = list(unique(documents))
        with writing(self._engine) as connection:
            now = self._clock_us()
            make_in(connection, tenant, collection, now)
            seq = hold_in(connection, tenant, collection).latest
            there = hashes_in(connection, tenant, collection, [one.document.id for one in given])
            fresh: list[tuple[int, ToKeep]] = []
            changed: list[tuple[int, ToKeep]] = []
            for one in given:
                known = there.get(one.document.id)
                if known != one.hash:
                    seq += 1
                    (fresh if known is None else changed).append((seq, one))
            insert_in(connection, tenant, collection, fresh, now)
            update_in(connection, tenant, collection, changed, now)
            forget_pairs_in(connection, tenant, collection, [one.document.id for _, one in changed], undecided=True)
            forget_deletions_in(connection, tenant, collection, [one.document.id for _, one in fresh])
            move_in(connection, tenant, collection, seq)
        unchanged = len(given) - len(fresh) - len(changed)
        return Put(added=len(fresh), updated=len(changed), unchanged=unchanged, latest=seq)

    def get(self, tenant: str, collection: str, id: str) -> Kept:
        """Give a document. Raises `NotFound`."""
        query = sa.select(knowledge_documents).where(of_collection(tenant, collection), D.id == id)
        with reading(self._engine) as connection:
            row = connection.execute(query).one_or_none()
            if row is None:
                known_in(connection, tenant, collection)
                raise NotFound(f"There is no document {id!r} in {collection!r}.")
        return kept(row)

    def list(
        self, tenant: str, collection: str, *, state: DocumentState | None = "live", after: str = "", limit: int = 100
    ) -> Sequence[Kept]:
        """Give documents by id, those after `after`; at most 500."""
        query = sa.select(knowledge_documents).where(of_collection(tenant, collection), D.id > after)
        if state is not None:
            query = query.where(D.state == state)
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(D.id).limit(page_size(limit))).all()
        return tuple(kept(row) for row in rows)

    def delete(self, tenant: str, collection: str, ids: Sequence[str]) -> int:
        """Delete documents for good, and give how many were there. Raises `NotFound` for an unknown collection."""
        with writing(self._engine) as connection:
            latest = hold_in(connection, tenant, collection).latest
            count, latest = delete_in(connection, tenant, collection, ids, latest, self._clock_us())
            move_in(connection, tenant, collection, latest)
        return count

    def set_state(
        self, tenant: str, collection: str, ids: Sequence[str], state: DocumentState, fenced: Fenced = unfenced
    ) -> int:
        """Let documents be searched (`live`), or no longer; give how many changed. Raises `NotFound` for an unknown collection."""
        with writing(self._engine) as connection:
            fenced(connection)
            return len(set_state_in(connection, tenant, collection, ids, state))

    def note_uses(self, tenant: str, collection: str, since_us: int, good: float) -> int:
        """Note how often and when last documents were used, those of which something good was said since; give how many that were.

        A use is a search of which something of at least `good` was said of the document. What was noted before is never taken back,
        so that a use outlasts its search. Raises `NotFound` for an unknown collection.
        """
        said = sa.and_(F.tenant == tenant, F.document != "", F.value >= good)
        here = sa.and_(S.id == F.search_id, S.tenant == tenant, S.collection == collection)
        lately = sa.select(F.document).join(searches, here).where(said, F.at_us >= since_us).distinct()
        told = sa.select(
            F.document, sa.func.count(F.search_id.distinct()).label("times"), sa.func.max(F.at_us).label("at")
        )
        with writing(self._engine) as connection:
            hold_in(connection, tenant, collection)
            used = connection.execute(lately).scalars().all()
            for some in chunks(used):
                query = told.join(searches, here).where(said, F.document.in_(some)).group_by(F.document)
                for row in connection.execute(query).all():
                    values = {
                        "accesses": _greater(D.accesses, row.times),
                        "accessed_us": _greater(sa.func.coalesce(D.accessed_us, row.at), row.at),
                    }
                    own = sa.and_(of_collection(tenant, collection), D.id == row.document)
                    connection.execute(sa.update(knowledge_documents).where(own).values(**values))
        return len(used)

    def drop(self, tenant: str, collection: str) -> int:
        """Delete a collection with all that is in it, what is judged of it too, and give how many documents that were.

        Its numbers go on, and its index begins a new generation: one that somebody makes under the same name is another. What was
        searched in it stays until its time is over. Raises `NotFound`.
        """
        with writing(self._engine) as connection:
            row = hold_in(connection, tenant, collection)
            own = of_collection(tenant, collection)
            count = connection.execute(sa.delete(knowledge_documents).where(own)).rowcount
            for table in (*_COMPARED, knowledge_deletions, knowledge_archived, judgment_sets, judgments):
                t = table.c
                connection.execute(sa.delete(table).where(t.tenant == tenant, t.collection == collection))
            drop_datasets(connection, tenant, collection)
            last = row.latest + 1
            new: dict[str, Any] = {"latest": last, "pruned": last, "snapshot": None}
            number = row.generation.partition("-")[0]
            generation = f"{int(number) + 1 if number.isdecimal() else 1}-drop{last}"
            set_in(connection, tenant, collection, **new, generation=generation, dropped_us=self._clock_us())
        return count

    # As indexes follow them

    def changes(self, tenant: str, collection: str, after: int, limit: int, *, begun: int = 0) -> Sequence[Changed]:
        """Give the changes with a greater `seq`, in order, fewer than asked for where texts are long; for a document that changed
        twice, the last.

        Who reads everything from 0 names what `latest` was as `begun`. Raises `Conflict` where deletions that the index would have
        to know of are no longer told, or it has changes that there never were: it must be built again.
        """
        with at_one_moment(self._engine) as connection:
            row = row_in(connection, tenant, collection)
            latest = 0 if row is None else row.latest
            if after > latest:
                raise Outdated(
                    f"The index of {collection!r} has change {after}; the last that there was is {latest}.",
                    hint=_REBUILD,
                )
            if row is not None and after > 0 and max(after, begun) < row.pruned:
                raise Outdated(
                    f"The index of {collection!r} stands at change {after}; deletions up to {row.pruned} are forgotten.",
                    hint=_REBUILD,
                )
            own = of_collection(tenant, collection)
            last = _within(connection, own, after, limit)
            query = sa.select(knowledge_documents).where(own, D.seq > after, D.seq <= last)
            rows = connection.execute(query.order_by(D.seq)).all()
            gone = sa.select(_X.seq, _X.id).where(_X.tenant == tenant, _X.collection == collection, _X.seq > after)
            gone = gone.where(_X.seq <= last)
            deleted = connection.execute(gone.order_by(_X.seq).limit(limit)).all()
        found = [Changed(seq=row.seq, id=row.id, kept=kept(row) if row.state == "live" else None) for row in rows]
        found += [Changed(seq=seq, id=id, kept=None) for seq, id in deleted]
        return tuple(sorted(found, key=lambda one: one.seq)[:limit])

    def latest(self, tenant: str, collection: str) -> int:
        """Give the greatest `seq`; 0 for none."""
        with reading(self._engine) as connection:
            row = row_in(connection, tenant, collection)
        return 0 if row is None else row.latest

    def generation(self, tenant: str, collection: str) -> str:
        """Give the one that is to serve."""
        with reading(self._engine) as connection:
            row = row_in(connection, tenant, collection)
        return FIRST_GENERATION if row is None else row.generation

    def exchange_generation(
        self, tenant: str, collection: str, generation: str, *, instead_of: str, fenced: Fenced = unfenced
    ) -> bool:
        """Let another serve; False, and nothing changed, where `instead_of` does not. Raises `NotFound`."""
        with writing(self._engine) as connection:
            fenced(connection)
            if hold_in(connection, tenant, collection).generation != instead_of:
                return False
            set_in(connection, tenant, collection, generation=generation)
        return True


def _within(connection: sa.Connection, own: sa.ColumnElement[bool], after: int, limit: int) -> int:
    """Give the change up to which documents are told at once: so many, and no more text than a process holds with ease."""
    sizes = sa.select(D.seq, sa.func.length(D.text)).where(own, D.seq > after).order_by(D.seq).limit(limit)
    size = 0
    for number, (seq, length) in enumerate(connection.execute(sizes), 1):
        size += length
        if size >= MOST_CHARACTERS or number == limit:
            return seq
    return _LAST


def set_state_in(
    connection: sa.Connection, tenant: str, collection: str, ids: Sequence[str], state: DocumentState
) -> Sequence[str]:
    """Set the state of documents, and give those that had another; for whoever has a transaction of their own."""
    seq = hold_in(connection, tenant, collection).latest
    moved: list[str] = []
    for some in chunks(ids):
        other = sa.and_(of_collection(tenant, collection), D.id.in_(some), D.state != state)
        moved += sorted(connection.execute(sa.select(D.id).where(other)).scalars())
    if moved:
        one = sa.and_(of_collection(tenant, collection), D.id == sa.bindparam("v_id"))
        query = sa.update(knowledge_documents).where(one).values(state=state, seq=sa.bindparam("v_seq"))
        connection.execute(query, [{"v_id": id, "v_seq": seq + at} for at, id in enumerate(moved, 1)])
        move_in(connection, tenant, collection, seq + len(moved))
    return moved


def prune_deletions(connection: sa.Connection, before_us: int, limit: int) -> int:
    """Forget deletions that were noted earlier; an index that has not heard of them must be built again."""
    own = sa.select(_X.tenant, _X.collection).where(_X.at_us < before_us).order_by(_X.at_us).limit(1)
    first = connection.execute(own).first()
    if first is None:
        return 0
    tenant, collection = first
    row = hold_in(connection, tenant, collection)
    of = sa.and_(_X.tenant == tenant, _X.collection == collection)
    query = sa.select(_X.seq).where(of, _X.at_us < before_us).order_by(_X.seq).limit(limit)
    seqs = connection.execute(query).scalars().all()
    if not seqs:
        return 0
    connection.execute(sa.delete(knowledge_deletions).where(of, _X.seq <= seqs[-1]))
    set_in(connection, tenant, collection, pruned=max(row.pruned, seqs[-1]))
    return len(seqs)


def erase_documents(connection: sa.Connection, tenant: str, user: str, now_us: int) -> int:
    """Delete the documents of a person, of all collections."""
    query = sa.select(D.collection).where(D.tenant == tenant, D.user_id == user).distinct()
    count = 0
    for collection in sorted(connection.execute(query).scalars()):
        latest = hold_in(connection, tenant, collection).latest
        mine = sa.select(D.id).where(of_collection(tenant, collection), D.user_id == user)
        ids = list(connection.execute(mine).scalars())
        gone, latest = delete_in(connection, tenant, collection, ids, latest, now_us)
        move_in(connection, tenant, collection, latest)
        count += gone
    return count


def _greater(one: sa.ColumnElement[int], other: int) -> sa.ColumnElement[int]:
    return sa.case((one > other, one), else_=other)
