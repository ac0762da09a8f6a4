"""What upkeep leaves behind: near-duplicates that wait for a person, and which change archived which document, to be restored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
import sqlalchemy as sa

from meliora.errors import Conflict, InvalidRequest, NotFound
from meliora.knowledge.shelf import Fenced, unfenced
from meliora.knowledge.upkeep.shelf import Archived, ArchiveNote, KeptPair, LikePair, PairState, Standing
from meliora.store.engine import reading, writing
from meliora.store.knowledge.collections import hold_in
from meliora.store.knowledge.documents import set_state_in
from meliora.store.knowledge.rows import BATCH, chunks
from meliora.store.rows import AnyRow, insert_into, page_size
from meliora.store.tables import knowledge_archived, knowledge_documents, knowledge_pairs

__all__ = ["ArchiveNote", "Archived", "KeptPair", "KnowledgeUpkeep", "LikePair", "PairState", "Standing"]
_P = knowledge_pairs.c
_N = knowledge_archived.c
_D = knowledge_documents.c


class KnowledgeUpkeep:
    """Keep what upkeep did and asks."""

    def __init__(self, engine: sa.Engine, clock_us: Callable[[], int]) -> None:
        self._engine = engine
        self._clock_us = clock_us

    # Pairs for a person

    def ask(self, tenant: str, collection: str, pairs: Sequence[LikePair]) -> int:
        """Let pairs wait for a person, and give how many are new: one that was decided is not asked about again.

        One of a document that cannot be found (any more) is passed over: nothing of it is to be kept here. Raises `InvalidRequest` for
        a pair that is none, `NotFound` for an unknown collection.
        """
        now = self._clock_us()
        rows = [{**msgspec.structs.asdict(_ordered(one)), "state": "open", "at_us": now} for one in pairs]
        with writing(self._engine) as connection:
            hold_in(connection, tenant, collection)
        unlike = list({(row["a"], row["b"]): row for row in rows}.values())
        # Not all in one transaction: who puts a document waits for it, and a collection may have a hundred thousand pairs.
        return sum(self._asked(tenant, collection, unlike[at : at + BATCH]) for at in range(0, len(unlike), BATCH))

    def _asked(self, tenant: str, collection: str, rows: Sequence[Mapping[str, object]]) -> int:
        with writing(self._engine) as connection:
            hold_in(connection, tenant, collection)
            live = _live(connection, tenant, collection, (str(id) for row in rows for id in (row["a"], row["b"])))
            kept = [
                {"tenant": tenant, "collection": collection, **row}
                for row in rows
                if row["a"] in live and row["b"] in live
            ]
            if not kept:
                return 0
            insert = insert_into(connection, knowledge_pairs).values(kept)
            return len(connection.execute(insert.on_conflict_do_nothing().returning(_P.a)).all())

    def pairs(
        self, tenant: str, collection: str, *, state: PairState | None = "open", limit: int = 100
    ) -> tuple[KeptPair, ...]:
        """Give pairs, those that wait longest first; at most 500. An open one waits only while both documents can be found."""
        query = sa.select(knowledge_pairs).where(_of(tenant, collection, state))
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(_P.at_us, _P.a, _P.b).limit(page_size(limit)))
            return tuple(_pair(row) for row in rows)

    def waiting(self, tenant: str, collection: str) -> int:
        """Count the pairs that wait for a person."""
        query = sa.select(sa.func.count()).select_from(knowledge_pairs).where(_of(tenant, collection, "open"))
        with reading(self._engine) as connection:
            return connection.execute(query).scalar_one()

    def decide(
        self,
        tenant: str,
        collection: str,
        a: str,
        b: str,
        state: PairState,
        by: str,
        change: str = "",
        archived: ArchiveNote | None = None,
    ) -> KeptPair:
        """Note what a person decided of a pair, and archive the one that is not kept; the last word stands.

        `change` names all decisions of this pair: what an earlier one archived is found again where this one does not archive it.
        Raises `NotFound`, and `Conflict` with nothing done where what is kept instead cannot be found.
        """
        first, second = sorted((a, b))
        own = sa.and_(_P.tenant == tenant, _P.collection == collection, _P.a == first, _P.b == second)
        decided = {"decided_by": None, "decided_us": None}
        if state != "open":
            decided = {"decided_by": by, "decided_us": self._clock_us()}
        with writing(self._engine) as connection:
            hold_in(connection, tenant, collection)
            update = sa.update(knowledge_pairs).where(own).values(state=state, **decided)
            if not connection.execute(update).rowcount:
                raise NotFound(f"No pair {first!r} and {second!r} waits in {collection!r}.")
            stay = [one for one in (first, second) if archived is None or one != archived.document]
            if change:
                self._restored(connection, tenant, collection, change, stay)
            if archived is not None:
                _refuse_gone(connection, tenant, collection, archived)
                ready = _ready(connection, tenant, collection, {archived.document: archived})
                self._archived(connection, tenant, collection, change, [archived], ready)
            return _pair(connection.execute(sa.select(knowledge_pairs).where(own)).one())

    # What was archived

    def archive(
        self,
        tenant: str,
        collection: str,
        change: str,
        notes: Sequence[ArchiveNote],
        fenced: Fenced = unfenced,
        *,
        whole: bool = False,
    ) -> int:
        """Archive documents with the reason of each, all or none; give how many were live. Once, however often it is called.

        What is not live (any more) is passed over and not noted, and so is one that is not as its note's hash has it. With `whole`,
        one that is passed over and not held by this change already is a `Conflict`, and nothing is archived. Raises `NotFound` for
        an unknown collection.
        """
        noted = {one.document: one for one in notes}
        with writing(self._engine) as connection:
            fenced(connection)
            hold_in(connection, tenant, collection)
            live = _ready(connection, tenant, collection, noted)
            if whole and len(live) < len(noted):
                held = _held(connection, tenant, collection, change)
                left = sorted(set(noted) - set(live) - held)
                if left:
                    raise Conflict(
                        f"{len(left)} documents changed since it was planned to archive them, {left[0]!r} among them.",
                        hint="Nothing was archived. A new plan is made of what is there now.",
                    )
            return self._archived(connection, tenant, collection, change, notes, live)

    def _archived(
        self,
        connection: sa.Connection,
        tenant: str,
        collection: str,
        change: str,
        notes: Sequence[ArchiveNote],
        ready: Sequence[str],
    ) -> int:
        noted = {one.document: one for one in notes}
        moved = set_state_in(connection, tenant, collection, ready, "archived")
        now = self._clock_us()
        for id in moved:
            keys = {"tenant": tenant, "collection": collection, "change": change, "document": id}
            said = {"why": noted[id].why, "kept_instead": noted[id].kept_instead, "at_us": now, "restored_us": None}
            insert = insert_into(connection, knowledge_archived).values(**keys, **said)
            connection.execute(insert.on_conflict_do_update(index_elements=list(keys), set_=said))
        return len(moved)

    def standing(self, tenant: str, collection: str, change: str, notes: Sequence[ArchiveNote]) -> Standing:
        """Tell how documents stand that a change is to archive."""
        noted = {one.document: one for one in notes}
        own = (_N.tenant == tenant, _N.collection == collection, _N.change == change)
        with reading(self._engine) as connection:
            back = sa.select(sa.func.count()).select_from(knowledge_archived).where(*own, _N.restored_us.is_not(None))
            return Standing(
                ready=len(_ready(connection, tenant, collection, noted)),
                held=len(_held(connection, tenant, collection, change) & set(noted)),
                returned=connection.execute(back).scalar_one(),
            )

    def restore(
        self,
        tenant: str,
        collection: str,
        change: str,
        documents: Sequence[str] | None = None,
        fenced: Fenced = unfenced,
    ) -> int:
        """Let what a change archived be searched again, all of it or some; give how many.

        Left as it is: what was deleted or put anew since, and what another change archived later. Raises `NotFound` where the change
        archived nothing here.
        """
        with writing(self._engine) as connection:
            fenced(connection)
            hold_in(connection, tenant, collection)
            back = self._restored(connection, tenant, collection, change, documents)
        if back is None:
            raise NotFound(f"Change {change} archived nothing in {collection!r}.")
        return back

    def _restored(
        self, connection: sa.Connection, tenant: str, collection: str, change: str, documents: Sequence[str] | None
    ) -> int | None:
        """Let documents be found again; give how many, None where the change never archived any."""
        own = sa.and_(_N.tenant == tenant, _N.collection == collection)
        query = sa.select(_N.document, _N.at_us).where(own, _N.change == change, _N.restored_us.is_(None))
        mine = {row.document: row.at_us for row in connection.execute(query)}
        if not mine and not connection.execute(sa.select(_N.why).where(own, _N.change == change).limit(1)).first():
            return None
        wanted = [id for id in (mine if documents is None else dict.fromkeys(documents)) if id in mine]
        for some in chunks(wanted):
            later = sa.select(_N.document, sa.func.max(_N.at_us)).where(own, _N.document.in_(some))
            for id, at in connection.execute(later.group_by(_N.document)).all():
                if at > mine[id]:
                    del mine[id]
        back: list[str] = []
        for some in chunks(id for id in wanted if id in mine):
            there = (_D.tenant == tenant, _D.collection == collection, _D.id.in_(some), _D.state == "archived")
            back += connection.execute(sa.select(_D.id).where(*there)).scalars()
        set_state_in(connection, tenant, collection, back, "live")
        for some in chunks(back):
            done = sa.update(knowledge_archived).where(own, _N.change == change, _N.document.in_(some))
            connection.execute(done.values(restored_us=self._clock_us()))
        return len(back)

    def archived(
        self, tenant: str, collection: str, *, change: str | None = None, document: str | None = None, limit: int = 100
    ) -> tuple[Archived, ...]:
        """Give what was archived, the latest first; at most 500."""
        query = sa.select(knowledge_archived).where(_N.tenant == tenant, _N.collection == collection)
        if change is not None:
            query = query.where(_N.change == change)
        if document is not None:
            query = query.where(_N.document == document)
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(_N.at_us.desc(), _N.document).limit(page_size(limit)))
            return tuple(
                Archived(
                    change=row.change,
                    note=ArchiveNote(document=row.document, why=row.why, kept_instead=row.kept_instead),
                    at_us=row.at_us,
                    restored_us=row.restored_us,
                )
                for row in rows
            )

    def returned(self, tenant: str, collection: str) -> dict[str, int]:
        """Give the documents that were restored, each with when that was last."""
        own = (_N.tenant == tenant, _N.collection == collection, _N.restored_us.is_not(None))
        query = sa.select(_N.document, sa.func.max(_N.restored_us)).where(*own).group_by(_N.document)
        with reading(self._engine) as connection:
            return {row[0]: row[1] for row in connection.execute(query)}


def _ready(connection: sa.Connection, tenant: str, collection: str, noted: Mapping[str, ArchiveNote]) -> list[str]:
    """Give the ids of the documents that can be archived as noted."""
    instead = (one.kept_instead for one in noted.values() if one.kept_instead)
    live = _live(connection, tenant, collection, (*noted, *instead))
    return [
        id
        for id, note in noted.items()
        if id in live
        and (note.hash is None or (note.hash == live[id] and (not note.kept_instead or note.kept_instead in live)))
    ]


def _refuse_gone(connection: sa.Connection, tenant: str, collection: str, note: ArchiveNote) -> None:
    """Raise `Conflict` where what is kept cannot be found: archiving the other would leave none of the two."""
    keep = note.kept_instead
    if keep is not None and keep not in _live(connection, tenant, collection, [keep]):
        raise Conflict(
            f"{keep!r} cannot be found in {collection!r}: it was archived or deleted. Nothing was done.",
            hint=f"Restore it first, or keep {note.document!r}.",
        )


def _live(connection: sa.Connection, tenant: str, collection: str, ids: Iterable[str]) -> dict[str, str]:
    """Give the hashes of those of these documents that can be found."""
    found: dict[str, str] = {}
    for some in chunks(ids):
        own = (_D.tenant == tenant, _D.collection == collection, _D.id.in_(some), _D.state == "live")
        found |= {row.id: row.hash for row in connection.execute(sa.select(_D.id, _D.hash).where(*own))}
    return found


def _of(tenant: str, collection: str, state: PairState | None) -> sa.ColumnElement[bool]:
    """Keep the pairs of a collection in a state."""
    own = sa.and_(_P.tenant == tenant, _P.collection == collection)
    own = own if state is None else sa.and_(own, _P.state == state)
    return sa.and_(own, _can_be_found(_P.a), _can_be_found(_P.b)) if state == "open" else own


def _can_be_found(id: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Keep pairs of which a document is live."""
    one = knowledge_documents.alias().c
    return sa.exists().where(
        one.tenant == _P.tenant, one.collection == _P.collection, one.id == id, one.state == "live"
    )


def _held(connection: sa.Connection, tenant: str, collection: str, change: str) -> set[str]:
    """Give the ids of what is in the archive by a change: not restored, not put anew, not archived again by a later one."""
    there = (_D.tenant == tenant, _D.collection == collection, _D.state == "archived")
    own = (_N.tenant == tenant, _N.collection == collection)
    mine = sa.select(_N.document, _N.at_us).where(*own, _N.change == change, _N.restored_us.is_(None)).subquery()
    other = knowledge_archived.alias()
    later = sa.exists().where(
        other.c.tenant == tenant,
        other.c.collection == collection,
        other.c.document == mine.c.document,
        other.c.at_us > mine.c.at_us,
    )
    query = sa.select(mine.c.document).join(knowledge_documents, _D.id == mine.c.document).where(*there, ~later)
    return set(connection.execute(query).scalars())


def _ordered(pair: LikePair) -> LikePair:
    if pair.a == pair.b or not (0 <= pair.containment <= 1 and 0 <= pair.ratio <= 1):
        raise InvalidRequest(f"{pair.a!r} and {pair.b!r} are no pair.", field="pairs")
    a, b = sorted((pair.a, pair.b))
    return msgspec.structs.replace(pair, a=a, b=b)


def _pair(row: AnyRow) -> KeptPair:
    return KeptPair(
        pair=LikePair(a=row.a, b=row.b, containment=row.containment, ratio=row.ratio, why=row.why, said=row.said),
        state=row.state,
        at_us=row.at_us,
        decided_by=row.decided_by,
        decided_us=row.decided_us,
    )
