"""The index in PostgreSQL holds to the contract of every index."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from meliora.store.knowledge_index import PostgresIndex
from meliora.store.tables import metadata
from meliora.testing import FrozenClock
from tests.knowledge.index.contract import IndexContract, chunk


def cleared(engine: sa.Engine) -> sa.Engine:
    """Empty the tables of the index."""
    with engine.begin() as connection:
        for table in metadata.sorted_tables:
            if table.info.get("derived"):
                connection.execute(sa.delete(table))
    return engine


@pytest.fixture
def database(postgres: sa.Engine) -> sa.Engine:
    return cleared(postgres)


class TestPostgres(IndexContract):
    """The suite, on PostgreSQL."""

    @pytest.fixture
    def index(self, database: sa.Engine) -> PostgresIndex:
        """Give an empty index."""
        return PostgresIndex(database, "default", "c", chunk=chunk, clock=FrozenClock())
