"""Bring a database to this code's schema, or say why it does not fit. Never goes back: restore a backup for that."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from meliora import __version__
from meliora.errors import SchemaMismatch
from meliora.store.engine import reading, writing
from meliora.store.rows import insert_into
from meliora.store.tables import deployment

_FOLDER = Path(__file__).with_name("migrations")
_LOCK = 0x6D656C69
_WRITTEN_BY = "schema_version"


def upgrade(engine: sa.Engine) -> str:
    """Apply what is missing and give the revision reached; safe to run in several processes at once.

    Raises `SchemaMismatch` where the database is newer than this code.
    """
    head = head_revision()
    with writing(engine) as connection:
        if connection.dialect.name == "postgresql":
            # SQLite's write lock does the same: the second process finds the work done.
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK}, hashtext(current_schema()))")
        current = current_revision(connection)
        if current == head:
            return head
        _refuse_newer(connection, current)
        config = Config()
        config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        written = {"name": _WRITTEN_BY, "value": __version__}
        insert = insert_into(connection, deployment).values(**written)
        connection.execute(insert.on_conflict_do_update(index_elements=["name"], set_={"value": __version__}))
    return head


def check(engine: sa.Engine) -> None:
    """Raise `SchemaMismatch` unless the database has exactly this code's schema; the hint names what to do."""
    with reading(engine) as connection:
        current = current_revision(connection)
        if current == head_revision():
            return
        _refuse_newer(connection, current)
    what = f"of revision {current}" if current else "empty"
    raise SchemaMismatch(
        f"The database is {what}; Meliora {__version__} needs {head_revision()}.", hint="Run `meliora db upgrade`."
    )


def head_revision() -> str:
    """Give the revision that this code needs."""
    head = ScriptDirectory(str(_FOLDER)).get_current_head()
    assert head is not None
    return head


def current_revision(connection: sa.Connection) -> str | None:
    """Give the database's revision; None where it has no schema yet."""
    return MigrationContext.configure(connection).get_current_revision()


def _refuse_newer(connection: sa.Connection, current: str | None) -> None:
    known = {script.revision for script in ScriptDirectory(str(_FOLDER)).walk_revisions()}
    if current is None or current in known:
        return
    query = sa.select(deployment.c.value).where(deployment.c.name == _WRITTEN_BY)
    version = connection.execute(query).scalar_one_or_none() or "a newer version"
    raise SchemaMismatch(
        f"The database is of revision {current}, made by Meliora {version}; this is Meliora {__version__}.",
        hint=f"Install Meliora {version} or newer here, or restore a backup made before the upgrade.",
    )
