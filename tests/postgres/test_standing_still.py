"""A process that stands still in a transaction keeps its locks for a minute at most: then all others go on without it."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from meliora.errors import StoreUnavailable
from meliora.store.engine import IDLE_MS, connect, reading, writing
from meliora.store.migrate import upgrade
from meliora.store.rows import hold
from tests.postgres.conftest import Schema


def test_who_stands_still_in_a_transaction_loses_it(schema: Schema) -> None:
    still, other = connect(schema.url), connect(schema.url)
    upgrade(other)
    with reading(still) as connection:
        shown = connection.execute(sa.text("SHOW idle_in_transaction_session_timeout")).scalar_one()
    assert shown == f"{IDLE_MS // 60_000}min"
    with pytest.raises(StoreUnavailable), writing(still) as connection:
        connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 200")
        hold(connection, "a lock")
        with writing(other) as waiting:
            hold(waiting, "a lock")  # it comes to its turn, though the first one never ends
        hold(connection, "a lock")
    with writing(still) as connection:
        hold(connection, "a lock")
    for engine in (still, other):
        engine.dispose()
