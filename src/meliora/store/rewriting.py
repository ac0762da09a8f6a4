"""Rewrites the database so that what was deleted can be read in no file of it any more.

SQLite overwrites what it deletes (`secure_delete`), but parts of rows that it moved before may lie in the free space of a page, and
in its write-ahead log; PostgreSQL leaves dead rows where they were until their place is needed.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from meliora.errors import StoreUnavailable
from meliora.store.engine import alone
from meliora.store.tables import metadata

AT_ONCE = 256 * 1024 * 1024
"""Bytes of a SQLite database that is rewritten in a few seconds, for which writers can wait."""

PATIENCE_MS = 3_000
"""How long readers and writers of SQLite are waited for."""


def rewrite(engine: sa.Engine) -> None:
    """Write all tables anew: VACUUM of SQLite with its log cut, VACUUM FULL of PostgreSQL, which locks one table at a time.

    Raises `StoreUnavailable` where somebody reads or writes for so long that it cannot be done now.
    """
    with alone(engine) as connection:
        if engine.dialect.name != "sqlite":
            for table in metadata.sorted_tables:  # others may have tables of their own in this database
                connection.exec_driver_sql(f"VACUUM FULL {connection.dialect.identifier_preparer.format_table(table)}")
            return
        connection.exec_driver_sql("PRAGMA temp_store=FILE").close()  # it may not fit into memory
        connection.exec_driver_sql(f"PRAGMA busy_timeout={PATIENCE_MS}").close()
        connection.exec_driver_sql("VACUUM").close()
        if connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0]:
            raise StoreUnavailable("The log of the database is in use.", hint="Try again.", retry_after=1)


def size_of(engine: sa.Engine) -> int | None:
    """Give the bytes of a SQLite database; None for PostgreSQL."""
    name = engine.url.database
    return Path(name).stat().st_size if engine.dialect.name == "sqlite" and name else None
