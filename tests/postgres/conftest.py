"""A schema of its own for each test, in a real PostgreSQL, and a provider for all machines of the test."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from meliora.testing import FakeProvider

DEFAULT_DSN = "postgresql+psycopg://postgres@127.0.0.1:5432/test"


@dataclass(frozen=True)
class Schema:
    """An empty schema: `url` is a URL into it, `admin` an engine that sees all of the server."""

    name: str
    dsn: sa.URL
    admin: sa.Engine

    @property
    def url(self) -> str:
        """The URL as `store.url` takes it."""
        return self.through(self.dsn.host or "127.0.0.1", self.dsn.port or 5432)

    def through(self, host: str, port: int) -> str:
        """The same URL by another way."""
        options = {"options": f"-csearch_path={self.name}", "application_name": self.name}
        return self.dsn.set(host=host, port=port).update_query_dict(options).render_as_string(hide_password=False)

    def end_connections(self) -> int:
        """End every connection into the schema; give how many there were."""
        query = sa.text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = :name")
        with self.admin.connect() as connection:
            return len(connection.execute(query, {"name": self.name}).all())


@pytest.fixture
def schema() -> Iterator[Schema]:
    """An empty schema, dropped at the end; without a server a skip that says so, and under CI a failure."""
    dsn = sa.make_url(os.environ.get("MELIORA_TEST_POSTGRES", DEFAULT_DSN))
    admin = sa.create_engine(dsn, connect_args={"connect_timeout": 3})
    name = f"meliora_{uuid.uuid4().hex[:12]}"
    try:
        with admin.begin() as connection:
            connection.exec_driver_sql(f"CREATE SCHEMA {name}")
    except OperationalError as error:
        reason = f"no PostgreSQL at MELIORA_TEST_POSTGRES: {str(error.orig).splitlines()[0]}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    schema = Schema(name, dsn, admin)
    yield schema
    schema.end_connections()
    with admin.begin() as connection:
        connection.exec_driver_sql(f"DROP SCHEMA {name} CASCADE")
    admin.dispose()


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """A provider that answers at once."""
    with FakeProvider() as provider:
        yield provider
