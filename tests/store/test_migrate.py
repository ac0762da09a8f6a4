"""The schema arrives whole, once, and a database of another version is refused with what to do."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from meliora.errors import SchemaMismatch, StoreUnavailable
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


def test_a_database_that_another_process_writes_for_the_first_time_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "first.db"
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    other.execute("CREATE TABLE first (n INTEGER)")
    let_go = threading.Timer(0.3, lambda: other.execute("COMMIT"))
    let_go.start()
    with reading(connect(f"sqlite:///{path}")) as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    let_go.join()
    other.close()


def test_a_database_that_stays_locked_is_given_up_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("meliora.store.engine.BUSY_MS", 200)
    path = tmp_path / "held.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="locked"), reading(connect(f"sqlite:///{path}")):
            pass
