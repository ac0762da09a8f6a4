"""Small helpers that every repository shares: pages, upserts, ids."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from meliora.errors import InvalidRequest
from meliora.store.tables import deployment

AnyRow: TypeAlias = "sa.Row[*tuple[Any, ...]]"
"""A row of whatever columns."""

MOST = 500
"""Rows that one page may hold."""


def insert_into(connection: sa.Connection, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
    """Begin an insert that can name what to do on a conflict, in the dialect of the connection."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)


def hold(connection: sa.Connection, name: str) -> None:
    """Let one transaction at a time pass here, until it ends."""
    insert = insert_into(connection, deployment).values(name=name, value="")
    connection.execute(insert.on_conflict_do_nothing())
    connection.execute(sa.select(deployment.c.value).where(deployment.c.name == name).with_for_update())


def page_size(limit: int) -> int:
    """Hold a wished page size to 1..500. Raises `InvalidRequest` for one below."""
    if limit < 1:
        raise InvalidRequest(f"limit is {limit}.", hint=f"Write a number from 1 to {MOST}.", field="limit")
    return min(limit, MOST)


def before(first: sa.ColumnElement[Any], second: sa.ColumnElement[Any], at: tuple[Any, Any]) -> sa.ColumnElement[bool]:
    """Keep the rows that stand behind `at` in descending order of both columns."""
    return sa.or_(first < at[0], sa.and_(first == at[0], second < at[1]))


def new_id(prefix: str, randbytes: Callable[[int], bytes]) -> str:
    """Give a short unguessable id, e.g. `key_3f9c...`."""
    return f"{prefix}_{randbytes(8).hex()}"


def ratio(part: float, whole: float) -> float | None:
    """Divide; None where nothing stands behind it."""
    return part / whole if whole else None
