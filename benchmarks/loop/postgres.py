"""An empty schema in a real PostgreSQL, for one section of the benchmark."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

DEFAULT = "postgresql+psycopg://postgres@127.0.0.1:5432/test"


@contextmanager
def schema(server: str) -> Iterator[str]:
    """Give a URL into an empty schema, dropped at the end. Raises `OperationalError` where there is no server."""
    name = f"meliora_{uuid.uuid4().hex[:12]}"
    url = sa.make_url(server)
    _run(url, f"CREATE SCHEMA {name}")
    own = url.update_query_dict({"options": f"-csearch_path={name}", "application_name": name})
    try:
        yield own.render_as_string(hide_password=False)
    finally:
        _run(url, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{name}'")
        _run(url, f"DROP SCHEMA {name} CASCADE")


def _run(url: sa.URL, statement: str) -> None:
    engine = sa.create_engine(url, connect_args={"connect_timeout": 3})
    with engine.begin() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()
