"""Sums over the documents of a collection, made by the database: nobody reads texts to count. Implements `FigureShelf`."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec
import sqlalchemy as sa

from meliora.knowledge.documents import Document, DocumentState, Kept
from meliora.knowledge.upkeep.figures import Ageing, CategoryFigures, Figures
from meliora.knowledge.upkeep.staleness import DAY_US
from meliora.store.engine import reading
from meliora.store.knowledge.rows import D, chunks, of_collection
from meliora.store.rows import AnyRow
from meliora.store.tables import knowledge_archived, knowledge_deletions, knowledge_documents

_LIGHT = (D.id, D.seq, D.hash, D.category, D.added_us, D.updated_us, D.accessed_us, D.accesses)
_MOST_READ = 4
"""Rows that are read for one that counts, before an index does better."""
_USED = D.accessed_us.is_not(None)


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where a document comes from, and how it stands."""

    source: str
    category: str
    state: DocumentState
    owned: bool
    """It belongs to a person."""


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """How many documents came and went in a stretch of time."""

    added: int
    """That are there, and were not before."""
    deleted: int
    """That were, and are deleted or archived now."""


class KnowledgeFigures:
    """Sum up collections."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def figures(self, tenant: str, collection: str, ageing: Ageing) -> Figures:
        """Sum up the live documents, by category."""
        old = sa.case((_stale(ageing), 1), else_=0)
        query = sa.select(
            D.category,
            sa.func.count().label("documents"),
            sa.func.sum(D.accesses).label("accesses"),
            sa.func.sum(sa.case((_USED, 0), else_=1)).label("never"),
            sa.func.sum(old).label("stale"),
        )
        query = query.group_by(D.category).order_by(sa.func.min(D.id))
        with reading(self._engine) as connection:
            rows = connection.execute(query.where(_scanned(connection, tenant, collection))).all()
        return Figures(
            tuple(
                CategoryFigures(
                    category=row.category,
                    documents=row.documents,
                    accesses=int(row.accesses),
                    never_accessed=int(row.never),
                    stale=int(row.stale),
                )
                for row in rows
            )
        )

    def sources(self, tenant: str, collection: str, known: Collection[str], more: int, nameless: str) -> dict[str, int]:
        """Count live documents by source: of those known, and of so many others, those of the least ids first."""
        source = sa.case(
            (D.source == "", sa.literal_column("'" + nameless.replace("'", "''") + "'", sa.Text)), else_=D.source
        )
        query = sa.select(source, sa.func.count()).group_by(source)
        with reading(self._engine) as connection:
            query = query.where(_scanned(connection, tenant, collection))
            found = {row[0]: row[1] for row in connection.execute(query.where(source.in_(known)))} if known else {}
            if more > 0:
                first = query.where(source.not_in(known)).order_by(sa.func.min(D.id)).limit(more)
                found |= {row[0]: row[1] for row in connection.execute(first)}
        return found

    def stalest(
        self,
        tenant: str,
        collection: str,
        ageing: Ageing,
        *,
        least: float = 0.0,
        without: Collection[str] = (),
        oldest: bool = True,
        limit: int | None = None,
    ) -> tuple[Kept, ...]:
        """Give stale documents without their texts: the surest first, then the `oldest`, then by id."""
        sure = _confidence(ageing)
        query = sa.select(*_LIGHT).where(_stale(ageing), sure >= least)
        if without:
            query = query.where(D.category.not_in(without))
        with reading(self._engine) as connection:
            by_id = sa.collate(D.id, "C" if connection.dialect.name == "postgresql" else "BINARY")
            older = (_since(),) if oldest else ()
            query = query.where(_scanned(connection, tenant, collection)).order_by(sure.desc(), *older, by_id)
            rows = connection.execute(query.limit(limit)).all()
        return tuple(map(_without_text, rows))

    def characters(self, tenant: str, collection: str) -> int:
        """Count the characters of the texts of live documents. It reads them all: ask where they are few."""
        query = sa.select(sa.func.coalesce(sa.func.sum(sa.func.length(D.text)), 0))
        with reading(self._engine) as connection:
            return int(connection.execute(query.where(_live(tenant, collection))).scalar_one())

    def count_stale(self, tenant: str, collection: str, ageing: Ageing, least: float, within: Collection[str]) -> int:
        """Count stale documents of a confidence of at least so much, of some categories."""
        query = sa.select(sa.func.count()).where(_stale(ageing), _confidence(ageing) >= least, D.category.in_(within))
        with reading(self._engine) as connection:
            return connection.execute(query.where(_scanned(connection, tenant, collection))).scalar_one()

    def light(self, tenant: str, collection: str, ids: Collection[str]) -> dict[str, Kept]:
        """Give those of these documents that are live, without their texts."""
        found: dict[str, Kept] = {}
        with reading(self._engine) as connection:
            for some in chunks(ids):
                query = sa.select(*_LIGHT).where(_live(tenant, collection), D.id.in_(some))
                found |= {row.id: _without_text(row) for row in connection.execute(query)}
        return found

    def origins(self, tenant: str, collection: str, ids: Collection[str]) -> dict[str, Origin]:
        """Give where those of these documents come from that are there, in any state."""
        found: dict[str, Origin] = {}
        columns = (D.id, D.source, D.category, D.state, D.user_id.is_not(None).label("owned"))
        with reading(self._engine) as connection:
            for some in chunks(ids):
                query = sa.select(*columns).where(of_collection(tenant, collection), D.id.in_(some))
                for row in connection.execute(query):
                    found[row.id] = Origin(
                        source=row.source, category=row.category, state=row.state, owned=bool(row.owned)
                    )
        return found

    def moved(self, tenant: str, collection: str, since_us: int, until_us: int) -> Moved:
        """Count what came and went, `until_us` not included. A document that was deleted and came again was added."""
        gone, shelved = knowledge_deletions.c, knowledge_archived.c
        own = of_collection(tenant, collection)
        added = sa.select(sa.func.count()).select_from(knowledge_documents)
        added = added.where(own, D.state == "live", D.added_us >= since_us, D.added_us < until_us)
        deleted = sa.select(sa.func.count()).select_from(knowledge_deletions)
        deleted = deleted.where(gone.tenant == tenant, gone.collection == collection)
        deleted = deleted.where(gone.at_us >= since_us, gone.at_us < until_us)
        lately = sa.select(shelved.document).where(shelved.tenant == tenant, shelved.collection == collection)
        lately = lately.where(shelved.at_us >= since_us, shelved.at_us < until_us, shelved.restored_us.is_(None))
        archived = sa.select(sa.func.count()).select_from(knowledge_documents)
        archived = archived.where(own, D.state == "archived", D.id.in_(lately))
        with reading(self._engine) as connection:
            came, went, put_by = (connection.execute(one).scalar_one() for one in (added, deleted, archived))
        return Moved(added=came, deleted=went + put_by)


def _live(tenant: str, collection: str) -> sa.ColumnElement[bool]:
    return sa.and_(of_collection(tenant, collection), D.state == "live")


def _scanned(connection: sa.Connection, tenant: str, collection: str) -> sa.ColumnElement[bool]:
    """Keep the live documents of a collection: without an index where they are most of all, which is five times as fast on SQLite."""
    own = _live(tenant, collection)
    if connection.dialect.name != "sqlite":
        return own
    mine = connection.execute(sa.select(sa.func.count()).select_from(knowledge_documents).where(own)).scalar_one()
    every = connection.execute(sa.select(sa.func.count()).select_from(knowledge_documents)).scalar_one()
    if mine * _MOST_READ < every:
        return own
    # an expression over the first column of every index: SQLite has no other portable way to be told to read the table
    return sa.and_(D.tenant + "" == tenant, D.collection == collection, D.state == "live")


def _later(a: sa.ColumnElement[int], b: sa.ColumnElement[int]) -> sa.ColumnElement[int]:
    return sa.case((a > b, a), else_=b)


def _since() -> sa.ColumnElement[int]:
    """Give from when on a document grows old: `staleness.stale` says the same of one that was read."""
    changed = _later(D.updated_us, D.added_us)
    return sa.case((_USED, _later(changed, D.accessed_us)), else_=changed)


def _days(ageing: Ageing) -> tuple[sa.ColumnElement[Any], sa.ColumnElement[Any]]:
    """Give the days that a document has, and those that it may have."""
    has = sa.cast(ageing.now_us - _since(), sa.Double) / sa.literal(float(DAY_US), sa.Double)
    of = [(D.category == name, _number(days)) for name, days in ageing.days.items()]
    may = sa.case(*of, else_=_number(ageing.others)) if of else _number(ageing.others)
    return has, sa.case((_USED, may), else_=may * _number(2.0))


def _stale(ageing: Ageing) -> sa.ColumnElement[bool]:
    has, may = _days(ageing)
    return sa.and_(_since() > 0, has > may)


def _confidence(ageing: Ageing) -> sa.ColumnElement[float]:
    has, may = _days(ageing)
    sure = _number(0.5) + _number(0.5) * (has - may) / may
    return sa.case((_USED, sa.case((sure > 1.0, _number(1.0)), else_=sure)), else_=_number(ageing.never_used))


def _number(value: float) -> sa.ColumnElement[Any]:
    return sa.literal(float(value), sa.Double)


def _without_text(row: AnyRow) -> Kept:
    return Kept(
        document=Document(id=row.id, text="", category=row.category),
        seq=row.seq,
        hash=row.hash,
        added_us=row.added_us,
        updated_us=row.updated_us,
        accessed_us=row.accessed_us,
        accesses=row.accesses,
    )
