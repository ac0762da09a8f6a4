"""One store a test, on SQLite and on PostgreSQL."""

from __future__ import annotations

import os
import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import sqlalchemy as sa

from meliora.store import Store
from meliora.store.engine import connect
from meliora.store.migrate import upgrade
from meliora.store.tables import metadata

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
        for table in metadata.sorted_tables:
            connection.execute(sa.delete(table))
    yield engine


@pytest.fixture
def clock() -> Ticking:
    return Ticking()


@pytest.fixture
def store(engine: sa.Engine, clock: Ticking) -> Store:
    return Store(engine, clock_us=clock, randbytes=Randomness())
