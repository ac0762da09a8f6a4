"""The row of a collection: the lock that its writers take turns by, its numbers, and what serves its searches."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import sqlalchemy as sa

from meliora.errors import NotFound
from meliora.knowledge.shelf import Collection
from meliora.store.engine import reading
from meliora.store.rows import AnyRow, insert_into
from meliora.store.tables import knowledge_collections, knowledge_documents

FIRST_GENERATION = "1"
K = knowledge_collections.c
_D = knowledge_documents.c


@contextmanager
def at_one_moment(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Hold a transaction that reads, all of it as of one moment."""
    with reading(engine) as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield connection


def make_in(connection: sa.Connection, tenant: str, name: str, now_us: int) -> None:
    """Let there be a collection. One that was dropped begins again, with its numbers going on."""
    values = {"tenant": tenant, "name": name, "generation": FIRST_GENERATION, "created_us": now_us}
    again = {"created_us": now_us, "dropped_us": None}
    insert = insert_into(connection, knowledge_collections).values(**values)
    keys = ["tenant", "name"]
    connection.execute(insert.on_conflict_do_update(index_elements=keys, set_=again, where=K.dropped_us.is_not(None)))


def hold_in(connection: sa.Connection, tenant: str, name: str) -> AnyRow:
    """Take a collection's lock until the transaction ends. Raises `NotFound` with the nearest name."""
    query = sa.select(knowledge_collections).where(_is(tenant, name), K.dropped_us.is_(None)).with_for_update()
    row = connection.execute(query).one_or_none()
    if row is None:
        raise _unknown(connection, tenant, name)
    return row


def move_in(connection: sa.Connection, tenant: str, name: str, latest: int) -> None:
    """Set the number of the last change; whoever calls holds the lock."""
    connection.execute(sa.update(knowledge_collections).where(_is(tenant, name)).values(latest=latest))


def set_in(connection: sa.Connection, tenant: str, name: str, **values: object) -> None:
    """Set columns of the row; whoever calls holds the lock."""
    connection.execute(sa.update(knowledge_collections).where(_is(tenant, name)).values(**values))


def row_in(connection: sa.Connection, tenant: str, name: str) -> AnyRow | None:
    """Give the row, also that of a dropped one; None where there never was one."""
    return connection.execute(sa.select(knowledge_collections).where(_is(tenant, name))).one_or_none()


def known_in(connection: sa.Connection, tenant: str, name: str) -> AnyRow:
    """Give the row of a collection that there is. Raises `NotFound` with the nearest name."""
    row = row_in(connection, tenant, name)
    if row is None or row.dropped_us is not None:
        raise _unknown(connection, tenant, name)
    return row


def list_in(connection: sa.Connection, tenant: str, name: str | None = None) -> Sequence[Collection]:
    """Give the collections of a tenant, by name; or one of them."""
    live = sa.and_(_D.tenant == K.tenant, _D.collection == K.name, _D.state == "live")
    count = sa.select(sa.func.count()).select_from(knowledge_documents).where(live).scalar_subquery()
    query = sa.select(knowledge_collections, count.label("documents"))
    query = query.where(K.tenant == tenant, K.dropped_us.is_(None)).order_by(K.name)
    rows = connection.execute(query if name is None else query.where(K.name == name))
    return tuple(
        Collection(
            name=row.name,
            documents=row.documents,
            latest=row.latest,
            snapshot=row.snapshot,
            generation=row.generation,
            created_us=row.created_us,
        )
        for row in rows
    )


def _is(tenant: str, name: str) -> sa.ColumnElement[bool]:
    return sa.and_(K.tenant == tenant, K.name == name)


def _unknown(connection: sa.Connection, tenant: str, name: str) -> NotFound:
    names = connection.execute(sa.select(K.name).where(K.tenant == tenant, K.dropped_us.is_(None))).scalars().all()
    close = difflib.get_close_matches(name, names, 1, 0.5)
    hint = f"Did you mean {close[0]!r}?" if close else "Documents that are put into it make it."
    return NotFound(f"There is no collection {name!r}.", hint=hint)
