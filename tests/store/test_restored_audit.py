"""A restore is told by the audit as a restore: what went with it is known, and nothing else passes for one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from meliora.loop.audit.chain import RESTORED
from meliora.loop.audit.entry import AuditNote
from meliora.loop.audit.heads import FOLDER
from meliora.loop.control import KillFile
from meliora.store import Store
from meliora.store.afterwards import Redone
from meliora.store.backup import backup, restore
from meliora.store.engine import connect, writing
from meliora.store.loop.audit import allow_replacing
from meliora.store.migrate import upgrade
from meliora.store.tables import audit_entries, audit_head


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "var"
    folder.mkdir()
    return folder


class Place:
    """A deployment: a state directory, and the database that belongs to it."""

    def __init__(self, engine: sa.Engine, state: Path, clock) -> None:
        self._given = engine if engine.dialect.name == "postgresql" else None
        self.state = state
        self.clock = clock
        self._backups = 0

    def open(self, state: Path | None = None) -> Store:
        state = state or self.state
        engine = self._given or connect(f"sqlite:///{state / 'meliora.db'}")
        upgrade(engine)
        return Store(engine, clock_us=self.clock, randbytes=os.urandom, state_dir=state)

    def fill(self, count: int) -> None:
        store = self.open()
        for number in range(count):
            store.audit.record(AuditNote(tenant="default", actor="a", action="b", subject="c", body={"n": number}))

    def verify(self, state: Path | None = None):
        return self.open(state).audit.verify()

    def backup(self) -> Path:
        self._backups += 1
        target = self.state.parent / f"backup-{self._backups}.tar.gz"
        backup(self.state, self.open().engine, target, now_us=self.clock.now)
        return target

    def restore(self, source: Path, state: Path | None = None):
        return restore(source, state or self.state, engine=self._given, force=True, clock_us=self.clock)


@pytest.fixture
def place(engine: sa.Engine, state: Path, clock) -> Iterator[Place]:
    yield Place(engine, state, clock)


def test_a_backup_carries_the_heads(place) -> None:
    place.fill(3)
    source = place.backup()
    back = place.state.parent / "elsewhere"
    assert place.restore(source, back).lost_entries == 0
    found = place.verify(back)
    assert found.whole and found.entries == 4 and "ended at entry 3" in found.notes[0]
    assert (back / FOLDER / "heads.jsonl").stat().st_mode & 0o777 == 0o600


def test_an_older_backup_put_back_is_a_restore_and_no_cut_tail(place) -> None:
    place.fill(3)
    source = place.backup()
    place.fill(4)
    assert place.restore(source).lost_entries == 4
    found = place.verify()
    assert found.whole, found.problems
    assert found.entries == 4
    assert "after entry 3 went, up to entry 7" in found.notes[0]
    place.fill(6)
    assert place.verify().whole
    (entry,) = [one for one in place.open().audit.export(None) if one.action == RESTORED]
    assert (entry.body["kept"], entry.body["lost_seq"]) == (3, 7)


def test_put_back_by_hand_it_is_a_cut_tail(place) -> None:
    if place._given is not None:
        pytest.skip("PostgreSQL is put back by its own tools; the next test cuts it")
    place.fill(3)
    old, later = place.state.parent / "old", place.state.parent / "later"
    source = place.backup()
    place.restore(source, old)
    place.fill(4)
    shutil.copytree(place.state / FOLDER, later / FOLDER)
    shutil.copy(old / "meliora.db", later / "meliora.db")
    assert [(one.fault, one.seq) for one in place.verify(later).problems] == [("cut", 5), ("outside", 4)]


def test_what_is_cut_after_a_restore_is_not_excused_by_it(place) -> None:
    place.fill(3)
    source = place.backup()
    place.fill(20)
    place.restore(source)
    place.fill(6)  # entries 5 to 10, whose numbers the lost ones had too
    assert place.verify().whole
    store = place.open()
    kept = store.audit.list("default", limit=4).items[-1]
    with writing(store.engine) as connection:
        allow_replacing(connection)
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("DROP TRIGGER audit_entries_no_delete")
        connection.execute(sa.delete(audit_entries).where(audit_entries.c.seq > kept.seq))
        connection.execute(sa.update(audit_head).values(seq=kept.seq, hash=kept.hash))
    found = place.verify()
    assert [(one.fault, one.seq) for one in found.problems] == [("cut", kept.seq + 1)]


def test_a_restore_that_somebody_made_up_is_told(place) -> None:
    place.fill(3)
    body = {"kept": 0, "lost_seq": 99, "lost_hash": "x", "mac": "00" * 32, "made_us": 1}
    place.open().audit.record(AuditNote(tenant="default", actor="cli", action=RESTORED, subject="audit", body=body))
    assert [one.fault for one in place.verify().problems] == ["restore"]


def test_backups_of_two_pasts_can_be_put_back_in_turn(place) -> None:
    place.fill(3)
    early = place.backup()
    place.fill(5)
    late = place.backup()
    place.restore(early)
    place.fill(2)
    place.restore(late)
    found = place.verify()
    assert found.whole, found.problems
    place.fill(2)
    place.restore(early)
    place.restore(late)
    assert place.verify().whole, place.verify().problems


def test_a_kill_outlives_a_restore(place) -> None:
    place.fill(1)
    source = place.backup()
    place.open().control.kill("key_ann", "harm")
    KillFile(place.state).write("and here")
    place.restore(source)
    state = place.open().control.state()
    assert state.halted and state.by == "system:restore"
    assert KillFile(place.state).present()
    assert place.verify().whole


def test_the_kill_file_is_in_no_backup(place) -> None:
    place.fill(1)
    KillFile(place.state).write("x")
    back = place.state.parent / "elsewhere"
    place.restore(place.backup(), back)
    assert not KillFile(back).present()


def test_where_no_audit_was_ever_kept_nothing_is_told(place) -> None:
    place.open()
    source = place.backup()
    assert place.restore(source).again == Redone()
    assert place.verify().entries == 0 and not (place.state / FOLDER).exists()


def test_another_deployments_backup_put_over_this_one_is_a_restore(place, tmp_path) -> None:
    if place._given is not None:
        pytest.skip("one schema is one deployment here")
    other = Place(connect("sqlite:///unused"), tmp_path / "other", place.clock)
    other.state.mkdir()
    other.fill(9)
    source = other.backup()
    place.fill(4)
    place.restore(source)
    found = place.verify()
    assert found.whole, found.problems
