"""PostgreSQL's driver, spoken to directly: bytes come as they are, rows go in by COPY. Turns its errors into ours."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import sqlalchemy as sa

from meliora.errors import MissingExtra, SchemaMismatch, StoreError, StoreUnavailable
from meliora.knowledge.index.base import IndexHeld
from meliora.store.engine import lost, reading, writing

Cursor: TypeAlias = Any
"""A cursor of psycopg that gets and gives binary values."""

PATIENCE_MS = 600_000
"""How long a writer may think between two statements, or wait for a provider's vectors."""


@contextmanager
def asking(engine: sa.Engine) -> Iterator[Cursor]:
    """Hold a connection to read by; each statement sees what is committed then. Raises `StoreUnavailable` where the database is away."""
    # Without a transaction there is no word to and fro for its beginning and its end: a search asks several times.
    with _ours(), reading(engine.execution_options(isolation_level="AUTOCOMMIT")) as connection, _noticed(connection):
        yield connection.connection.cursor(binary=True)  # pyright: ignore[reportCallIssue]


@contextmanager
def holding(engine: sa.Engine, key: int, name: str) -> Iterator[Cursor]:
    """Hold a transaction that writes, alone under this key in its schema.

    Raises `IndexHeld` where another has it, `OSError` for a full disk.
    """
    with _ours(), writing(engine) as connection, _noticed(connection):
        cursor: Cursor = connection.connection.cursor(binary=True)  # pyright: ignore[reportCallIssue]
        # Locks are the database's: another deployment may stand beside this one, in a schema of its own.
        query = "SELECT pg_try_advisory_xact_lock(%s::bigint # hashtextextended(current_schema(), 0))"
        if not cursor.execute(query, (key,)).fetchone()[0]:
            raise IndexHeld(f"The index of {name!r} is held by another writer.", hint="Wait until it is done.")
        cursor.execute(f"SET LOCAL idle_in_transaction_session_timeout = {PATIENCE_MS}")
        yield cursor


def copy(cursor: Cursor, table: str, columns: Sequence[tuple[str, str]], rows: Iterable[Sequence[Any]]) -> None:
    """Write rows; `columns` are names and types."""
    names = ", ".join(f'"{name}"' for name, _ in columns)
    with cursor.copy(f"COPY {table} ({names}) FROM STDIN (FORMAT BINARY)") as into:
        into.set_types([kind for _, kind in columns])
        for row in rows:
            into.write_row(row)


@contextmanager
def _noticed(connection: sa.Connection) -> Iterator[None]:
    """Tell the pool of a connection that broke under the driver: it sees only what goes through it. Raises `ConnectionLost`."""
    import psycopg

    driver: Any = connection.connection.driver_connection
    try:
        yield
    except psycopg.Error as error:
        if not driver.closed:
            raise
        connection.invalidate(error)
        raise lost(_first(error)) from error


@contextmanager
def _ours() -> Iterator[None]:
    try:
        import psycopg
    except ImportError as error:
        raise MissingExtra("PostgreSQL needs its driver.", hint="pip install 'meliora[postgres]'") from error
    try:
        yield
    except psycopg.errors.DiskFull as error:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
    except psycopg.errors.UndefinedTable as error:
        raise SchemaMismatch(
            f"The database lacks a table: {_first(error)}.", hint="Run `meliora db upgrade`."
        ) from error
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise StoreUnavailable(f"The database cannot be used: {_first(error)}.", retry_after=1) from error
    except psycopg.Error as error:
        raise StoreError(f"The database refused: {_first(error)}.") from error


def _first(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
