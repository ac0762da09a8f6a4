"""One store a test, on SQLite and on PostgreSQL."""

from __future__ import annotations

import os
import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from meliora.store import Store
from meliora.store.engine import connect
from meliora.store.loop.audit import allow_replacing
from meliora.store.migrate import upgrade
from meliora.store.tables import metadata
from meliora.telemetry.ingest import Batch, Taken
from meliora.telemetry.records import FORMAT, CallBegun, CallFinished, SearchDone, Usage

DEFAULT_DSN = "postgresql+psycopg://postgres@127.0.0.1:5432/test"
START_US = 1_795_219_200_000_000
"""2026-11-21 00:00:00 UTC."""


@dataclass
class Ticking:
    """A clock that moves by one microsecond a look, and by hand."""

    now: int = START_US

    def __call__(self) -> int:
        self.now += 1
        return self.now


@dataclass
class Randomness:
    """Bytes from a seed."""

    source: random.Random = field(default_factory=lambda: random.Random(7))

    def __call__(self, count: int) -> bytes:
        return self.source.randbytes(count)


@pytest.fixture(scope="session")
def postgres() -> Iterator[sa.Engine]:
    """An engine whose schema lives as long as the run."""
    dsn = os.environ.get("MELIORA_TEST_POSTGRES", DEFAULT_DSN)
    admin = sa.create_engine(dsn, connect_args={"connect_timeout": 3})
    schema = f"meliora_{uuid.uuid4().hex[:12]}"
    try:
        with admin.begin() as connection:
            connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
    except sa.exc.OperationalError as error:
        reason = f"no PostgreSQL at MELIORA_TEST_POSTGRES: {str(error.orig).splitlines()[0]}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    engine = connect(sa.make_url(dsn).update_query_dict({"options": f"-csearch_path={schema}"}))
    upgrade(engine)
    yield engine
    engine.dispose()
    with admin.begin() as connection:
        connection.exec_driver_sql(f"DROP SCHEMA {schema} CASCADE")
    admin.dispose()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database with the schema, to be copied."""
    path = tmp_path_factory.mktemp("template") / "meliora.db"
    engine = connect(f"sqlite:///{path}")
    upgrade(engine)
    engine.dispose()
    return path


def fresh_sqlite(template: Path, directory: Path) -> sa.Engine:
    """Copy the template: quicker than a migration a test."""
    path = directory / "meliora.db"
    path.write_bytes(template.read_bytes())
    return connect(f"sqlite:///{path}")


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    """An empty database with the schema."""
    if request.param == "sqlite":
        engine = fresh_sqlite(request.getfixturevalue("template"), tmp_path)
        yield engine
        engine.dispose()
        return
    engine = request.getfixturevalue("postgres")
    with engine.begin() as connection:
        allow_replacing(connection)
        for table in metadata.sorted_tables:
            connection.execute(sa.delete(table))
    yield engine


def plans_of(engine: sa.Engine, table: sa.Table, *queries: sa.Select[Any]) -> list[str]:
    """Give the plan of each query, by statistics of the rows that are there now.

    Whether PostgreSQL has looked at a table by itself is a matter of luck, and it plans otherwise after.
    """
    explain = "EXPLAIN QUERY PLAN" if engine.dialect.name == "sqlite" else "EXPLAIN"
    with engine.begin() as connection:
        connection.exec_driver_sql(f"ANALYZE {table.name}")
        if engine.dialect.name != "sqlite":
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        plans = []
        for query in queries:
            made = query.compile(engine, compile_kwargs={"render_postcompile": True})
            # As parameters, as the product asks: of a literal a planner knows more.
            given = tuple(made.params[name] for name in made.positiontup) if made.positiontup else made.params
            plans.append(connection.exec_driver_sql(f"{explain} {made}", given).all())
    return ["\n".join(str(row[-1]) for row in plan) for plan in plans]


@pytest.fixture
def clock() -> Ticking:
    return Ticking()


class Feed:
    """Makes records and hands them to the store as the ingester would."""

    def __init__(self, store: Store, clock: Ticking) -> None:
        self.store = store
        self._clock = clock
        self._at = 0

    def finished(self, **over: Any) -> CallFinished:
        """Make a finish record: one call of a user in the chat dialect, answered after 100 ms for 500 micro-dollars."""
        started = over.pop("started_us", self._clock())
        values: dict[str, Any] = {
            "id": self.store.call_ids.new(),
            "tenant": "default",
            "key_id": "key_1",
            "gateway": "g1",
            "started_us": started,
            "ended_us": started + 100_000,
            "dialect": "chat",
            "model_asked": "auto",
            "outcome": "ok",
            "status": 200,
            "model": "small",
            "endpoint": "sim/small",
            "task": "chat",
            "usage": Usage(input=10, output=5),
            "usage_source": "provider",
            "cost_micros": 500,
            "user": "ann",
            "content": "redacted",
            "request_text": "{}",
            "response_text": "hello",
        }
        return CallFinished(**values | over)

    def begun(self, **over: Any) -> CallBegun:
        """Make a begin record."""
        values: dict[str, Any] = {
            "id": self.store.call_ids.new(),
            "tenant": "default",
            "key_id": "key_1",
            "gateway": "g1",
            "started_us": self._clock(),
            "dialect": "chat",
            "model_asked": "auto",
            "user": "ann",
        }
        return CallBegun(**values | over)

    def search(self, **over: Any) -> SearchDone:
        """Make one search of a user that gave three documents in 20 ms, and ingest it."""
        record = self.searched(**over)
        self.take(record)
        return record

    def searched(self, **over: Any) -> SearchDone:
        """Make a search's record."""
        started = over.pop("started_us", self._clock())
        values: dict[str, Any] = {
            "id": self.store.search_ids.new(),
            "tenant": "default",
            "key_id": "key_1",
            "gateway": "c1",
            "collection": "c",
            "started_us": started,
            "ended_us": started + 20_000,
            "outcome": "ok",
            "user": "ann",
            "session": "s1",
            "snapshot": 2,
            "generation": "1",
            "query_hash": "h",
            "content": "redacted",
            "query": "where is it",
            "terms": ("where", "it"),
            "written": ("where", "is", "it"),
            "unknown": ("it",),
            "shown": ("a", "b", "c"),
            "stages_us": {"words": 900},
            "v": FORMAT,
        }
        return SearchDone(**values | over)

    def take(self, *records: CallFinished | CallBegun | SearchDone) -> Taken:
        """Ingest records as one batch."""
        start, self._at = self._at, self._at + 1
        finished = [one for one in records if isinstance(one, CallFinished)]
        begun = [one for one in records if isinstance(one, CallBegun)]
        searches = [one for one in records if isinstance(one, SearchDone)]
        return self.store.sink.take(Batch("feed.spool", start, self._at, begun, finished, [], searches))

    def call(self, **over: Any) -> CallFinished:
        """Make one finished call and ingest it."""
        record = self.finished(**over)
        self.take(record)
        return record


@pytest.fixture
def feed(store: Store, clock: Ticking) -> Feed:
    return Feed(store, clock)


@pytest.fixture
def store(engine: sa.Engine, clock: Ticking) -> Store:
    return Store(engine, clock_us=clock, randbytes=Randomness())
