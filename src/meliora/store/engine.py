"""Connections and transactions. Knows the two databases' manners; turns their errors into ours."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from random import random
from time import monotonic, sleep
from typing import Any, ParamSpec, TypeVar

import msgspec
import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.engine import URL, make_url

from meliora.errors import ConnectionLost, MissingExtra, SchemaMismatch, StoreError, StoreUnavailable

BUSY_MS = 15_000
"""How long a SQLite writer waits for another one."""

_POSTGRES = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
}
"""How libpq notices a server that is gone without a word: after half a minute. Without it a process waits for hours."""

IDLE_MS = 60_000
"""How long PostgreSQL bears a transaction in which nothing is asked: a process that stands still must not keep its locks for ever."""

_UPGRADE = "Run `meliora db upgrade`."
_LATER = "It was lost twice, or while something was written: nothing is known to be kept of that. Try again."
_ROOM = "Make room on its disk: nothing of this was kept, and what was kept before is."


def database_url(url: str, state_dir: Path) -> URL:
    """Give the URL to connect to: the one set, or SQLite's in the state directory."""
    return make_url(url) if url else URL.create("sqlite", database=str(state_dir / "meliora.db"))


def connect(url: str | URL, *, pool_size: int = 5) -> sa.Engine:
    """Make an engine; nothing is connected before its first use. Raises `MissingExtra` without PostgreSQL's driver."""
    url = make_url(url)
    options: dict[str, Any] = {
        "json_serializer": lambda value: msgspec.json.encode(value).decode(),
        "json_deserializer": msgspec.json.decode,
        "pool_size": pool_size,
        "max_overflow": 10,
        "pool_timeout": 10,
    }
    if url.get_backend_name() == "sqlite":
        engine = sa.create_engine(url, **options, connect_args={"timeout": BUSY_MS / 1000})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    asked = {name: value for name, value in _POSTGRES.items() if name not in url.query}
    try:
        engine = sa.create_engine(url, **options, pool_pre_ping=True, connect_args=asked)
    except ImportError as error:  # also psycopg without libpq
        raise MissingExtra("PostgreSQL needs its driver.", hint="pip install 'meliora[postgres]'") from error
    event.listen(engine, "connect", _prepare_postgres)
    return engine


def _prepare_postgres(connection: Any, record: object) -> None:
    connection.execute(f"SET SESSION idle_in_transaction_session_timeout = {IDLE_MS}")
    connection.commit()


def _prepare_sqlite(connection: sqlite3.Connection, record: object) -> None:
    # The module must not begin transactions by itself: it would not do so before DDL, nor ever with IMMEDIATE.
    connection.isolation_level = None
    _write_ahead(connection)
    for pragma in (
        "synchronous=NORMAL",
        "foreign_keys=ON",
        "cache_size=-65536",
        "temp_store=MEMORY",
        "secure_delete=ON",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _write_ahead(connection: sqlite3.Connection) -> None:
    # SQLite does not wait where a wait could be a deadlock: of several that open a new file at once all but one are told it is locked.
    end = monotonic() + BUSY_MS / 1000
    while True:
        try:
            return connection.execute("PRAGMA journal_mode=WAL").close()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) or monotonic() > end:
                raise
        sleep(0.005 + 0.02 * random())


def _begin_sqlite(connection: sa.Connection) -> None:
    # A write transaction takes the lock at once; one that reads first and writes later can fail without waiting.
    options = connection.get_execution_options()
    if options.get("meliora_bare"):
        return
    immediate = options.get("meliora_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Hold a transaction that only reads."""
    with _ours(), engine.connect() as connection:
        yield connection


@contextmanager
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Hold a transaction that writes; commit at the end, roll back on an error."""
    with _ours(), engine.connect().execution_options(meliora_write=True) as connection, connection.begin():
        yield connection


@contextmanager
def alone(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Hold a connection without a transaction, for statements that bear none. It is closed behind it, with all that was set on it."""
    bare = {"meliora_bare": True} if engine.dialect.name == "sqlite" else {"isolation_level": "AUTOCOMMIT"}
    with _ours(), engine.connect().execution_options(**bare) as connection:
        connection.detach()
        yield connection


def lost(why: str) -> ConnectionLost:
    """Make the error of a connection that broke."""
    return ConnectionLost(f"The connection to the database was lost: {why}.", retry_after=1, hint=_LATER)


Given = ParamSpec("Given")
Told = TypeVar("Told")


def once_more(read: Callable[Given, Told]) -> Callable[Given, Told]:
    """Let what only reads be done a second time, on another connection, where its own was lost.

    A connection that broke while it lay in the pool is found when it is taken out; this is for one that breaks in use.
    """

    @wraps(read)
    def done(*args: Given.args, **kwargs: Given.kwargs) -> Told:
        try:
            return read(*args, **kwargs)
        except ConnectionLost:
            return read(*args, **kwargs)

    return done


@contextmanager
def _ours() -> Iterator[None]:
    try:
        yield
    except exc.DBAPIError as error:
        text = str(error.orig).strip().split("\n")[0]
        if "no such table" in text or "no such column" in text or "UndefinedTable" in type(error.orig).__name__:
            raise SchemaMismatch(f"The database lacks a table or column: {text}.", hint=_UPGRADE) from error
        if error.connection_invalidated:
            raise lost(text) from error
        if isinstance(error, (exc.OperationalError, exc.InterfaceError)):
            hint = _ROOM if "is full" in text or "No space left" in text else ""
            raise StoreUnavailable(f"The database cannot be used: {text}.", retry_after=1, hint=hint) from error
        raise StoreError(f"The database refused: {text}.") from error
    except exc.TimeoutError as error:
        raise StoreUnavailable("All connections to the database are busy.", retry_after=1) from error
