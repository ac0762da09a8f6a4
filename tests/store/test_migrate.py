"""The schema arrives whole, once, and a database of another version is refused with what to do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from meliora.errors import SchemaMismatch
from meliora.store.engine import connect, reading, writing
from meliora.store.migrate import check, head_revision, upgrade
from meliora.store.tables import metadata


def test_the_migrations_build_exactly_the_tables(engine: sa.Engine) -> None:
    with reading(engine) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_partial_indexes_are_partial(engine: sa.Engine) -> None:
    with reading(engine) as connection:
        found = {index["name"]: index for index in sa.inspect(connection).get_indexes("calls")}
    partial = found["ix_calls_tenant_message"]["dialect_options"][f"{engine.dialect.name}_where"]
    assert "message_id IS NOT NULL" in str(partial)


def test_upgrading_twice_changes_nothing(engine: sa.Engine) -> None:
    assert upgrade(engine) == upgrade(engine) == head_revision()
    check(engine)


def test_an_empty_database_is_refused_with_the_command(tmp_path: Path) -> None:
    engine = connect(f"sqlite:///{tmp_path / 'empty.db'}")
    with pytest.raises(SchemaMismatch, match="meliora db upgrade"):
        check(engine)
    engine.dispose()


def test_a_newer_database_is_refused_and_says_who_made_it(tmp_path: Path) -> None:
    engine = connect(f"sqlite:///{tmp_path / 'newer.db'}")
    upgrade(engine)
    with writing(engine) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        connection.exec_driver_sql("UPDATE deployment SET value = '7.1.0' WHERE name = 'schema_version'")
    for act in (check, upgrade):
        with pytest.raises(SchemaMismatch, match=r"made by Meliora 7\.1\.0"):
            act(engine)
    engine.dispose()


def test_two_processes_may_upgrade_a_new_database_at_once(tmp_path: Path) -> None:
    code = (
        "import sys; from meliora.store.engine import connect; from meliora.store.migrate import upgrade\n"
        "print(upgrade(connect('sqlite:///' + sys.argv[1])))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "both.db")]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    results = [process.communicate(timeout=60) for process in both]
    assert [(out.strip(), err) for out, err in results] == [(head_revision(), "")] * 3
