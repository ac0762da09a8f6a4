"""The chain is appended to in the transaction of what it records, and whatever is done to it afterwards shows."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from meliora.errors import InvalidRequest, StoreError, StoreUnavailable
from meliora.loop.audit.chain import Verified
from meliora.loop.audit.entry import START, AuditNote, Row, sealed
from meliora.loop.audit.heads import FOLDER, Heads
from meliora.store import Store
from meliora.store.engine import connect, reading, writing
from meliora.store.loop.audit import Audit
from meliora.store.tables import audit_entries, audit_head, deployment
from tests.store.conftest import Randomness


@pytest.fixture
def store(engine: sa.Engine, clock, tmp_path: Path) -> Store:
    return Store(engine, clock_us=clock, randbytes=Randomness(), state_dir=tmp_path / "var")


def note(subject: str = "chg_1", tenant: str = "default", **body: object) -> AuditNote:
    return AuditNote(tenant=tenant, actor="key_1", action="change.keep", subject=subject, body=body)


def fill(store: Store, count: int = 10) -> None:
    for number in range(count):
        store.audit.record(note(n=number))


def tamper(store: Store, *statements: sa.Executable) -> None:
    """Do what somebody with all rights on the database can do."""
    with writing(store.engine) as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        else:
            for name in ("audit_entries_no_update", "audit_entries_no_delete"):
                connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name}")
        for statement in statements:
            connection.execute(statement)


def rows(store: Store) -> list[Row]:
    with reading(store.engine) as connection:
        return [Row(*row) for row in connection.execute(sa.select(audit_entries).order_by(audit_entries.c.seq))]


def faults(found: Verified) -> list[tuple[str, int | None]]:
    return [(problem.fault, problem.seq) for problem in found.problems]


def test_an_untouched_chain_is_whole(store) -> None:
    assert store.audit.verify().whole
    fill(store, 5)
    found = store.audit.verify()
    assert found.whole and found.entries == 5 and found.notes == ()
    assert found.last is not None and found.last.hash == rows(store)[-1].hash
    assert rows(store)[0].prev == START
    assert [entry.seq for entry in store.audit.list("default").items] == [5, 4, 3, 2, 1]


def test_entry_and_effect_are_there_together_or_not_at_all(store, tmp_path) -> None:
    fill(store, 2)
    with pytest.raises(RuntimeError), store.audit.recording() as recording:
        recording.connection.execute(sa.insert(deployment).values(name="effect", value="x"))
        recording.append(note())
        raise RuntimeError
    assert store.deployment.value("effect") is None
    assert len(rows(store)) == 2 and len(Heads(tmp_path / "var", store.secret).read().heads) == 2
    with store.audit.recording() as recording:
        recording.connection.execute(sa.insert(deployment).values(name="effect", value="x"))
        first, second = recording.append(note()), recording.append(note())
    assert (first.seq, second.seq, second.prev) == (3, 4, first.hash)
    assert store.deployment.value("effect") == "x" and store.audit.verify().whole


def test_what_may_not_stand_there_takes_its_transaction_along(store) -> None:
    with pytest.raises(InvalidRequest, match="one word"):
        store.audit.record(note(why="Ann said so"))
    assert rows(store) == [] and store.audit.verify().whole


def test_the_database_refuses_changes_by_accident(store) -> None:
    fill(store, 3)
    for statement in (
        sa.update(audit_entries).values(actor="somebody"),
        sa.delete(audit_entries).where(audit_entries.c.seq == 3),
    ):
        with pytest.raises(StoreError, match="never"), writing(store.engine) as connection:
            connection.execute(statement)
    if store.engine.dialect.name == "postgresql":
        with pytest.raises(StoreError, match="never"), writing(store.engine) as connection:
            connection.exec_driver_sql("TRUNCATE audit_entries")
    assert store.audit.verify().whole


@pytest.mark.parametrize(
    "values",
    [
        {"actor": "key_2"},
        {"at_us": 7},
        {"body": '{"n":5}'},
        {"body": "not json"},
        {"tenant": "acme"},
        {"action": "change.rejected"},
    ],
)
def test_an_altered_entry_is_named(store, values) -> None:
    fill(store)
    tamper(store, sa.update(audit_entries).where(audit_entries.c.seq == 4).values(**values))
    found = store.audit.verify()
    assert faults(found) == [("altered", 4)] and "Entry 4 was altered" in found.problems[0].sentence


def test_an_entry_altered_and_hashed_anew_no_longer_fits_its_neighbour_nor_its_head(store) -> None:
    fill(store)
    old = rows(store)[3]
    new = sealed(note(n=99), seq=4, at_us=old.at_us, prev=old.prev)
    tamper(store, sa.update(audit_entries).where(audit_entries.c.seq == 4).values(body=new.body, hash=new.hash))
    assert faults(store.audit.verify()) == [("altered", 5), ("outside", 4)]


def test_a_chain_forged_to_its_end_differs_from_the_heads_outside(store) -> None:
    fill(store)
    forged, prev = [], rows(store)[3].hash
    for old in rows(store)[4:]:
        new = sealed(note(n=0), seq=old.seq, at_us=old.at_us, prev=prev)
        forged.append(new)
        prev = new.hash
    tamper(
        store,
        *(
            sa.update(audit_entries)
            .where(audit_entries.c.seq == row.seq)
            .values(body=row.body, prev=row.prev, hash=row.hash)
            for row in forged
        ),
        sa.update(audit_head).values(hash=prev),
    )
    assert {fault for fault, _ in faults(store.audit.verify())} == {"outside"}
    assert next(seq for _, seq in faults(store.audit.verify())) == 5


def test_a_gap_is_named(store) -> None:
    fill(store)
    tamper(store, sa.delete(audit_entries).where(audit_entries.c.seq.in_([4, 5])))
    found = store.audit.verify()
    assert ("gap", 4) in faults(found) and "Entries 4 to 5 are missing" in found.problems[0].sentence


def test_a_tail_cut_in_the_database_alone_is_told_twice(store) -> None:
    fill(store)
    tamper(store, sa.delete(audit_entries).where(audit_entries.c.seq > 7))
    found = store.audit.verify()
    assert faults(found) == [("cut", 8), ("cut", 8)]


def test_a_tail_cut_with_its_head_row_shows_outside(store) -> None:
    fill(store)
    last = rows(store)[6]
    tamper(
        store,
        sa.delete(audit_entries).where(audit_entries.c.seq > 7),
        sa.update(audit_head).values(seq=7, hash=last.hash),
    )
    found = store.audit.verify()
    assert faults(found) == [("cut", 8)]
    assert "Entries 8 to 10 are gone" in found.problems[0].sentence
    store.audit.record(note())  # what comes next does not cover it up
    assert not store.audit.verify().whole


def test_a_tail_cut_in_the_database_and_the_file_shows_by_the_signed_head(store, tmp_path) -> None:
    fill(store)
    last = rows(store)[6]
    tamper(
        store,
        sa.delete(audit_entries).where(audit_entries.c.seq > 7),
        sa.update(audit_head).values(seq=7, hash=last.hash),
    )
    file = tmp_path / "var" / FOLDER / "heads.jsonl"
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:7]))
    assert faults(store.audit.verify()) == [("cut", 8)]
    signed = tmp_path / "var" / FOLDER / "head.json"
    signed.write_bytes(signed.read_bytes().replace(b'"seq":10', b'"seq":7').replace(rows(store)[-1].hash.encode(), b""))
    assert ("outside", None) in faults(store.audit.verify())


def test_a_head_row_that_is_gone_or_wrong_is_told_and_nothing_can_be_appended(store) -> None:
    fill(store, 3)
    tamper(store, sa.update(audit_head).values(hash="0" * 64))
    assert faults(store.audit.verify()) == [("head", 3)]
    tamper(store, sa.delete(audit_head))
    assert faults(store.audit.verify()) == [("head", None)]
    with pytest.raises(StoreError, match="audit verify"):
        store.audit.record(note())


def test_everything_gone_is_told(store) -> None:
    fill(store, 3)
    tamper(store, sa.delete(audit_entries), sa.delete(audit_head))
    assert faults(store.audit.verify()) == [("cut", 1)]


def test_without_heads_outside_it_is_said_what_does_not_show(engine, clock) -> None:
    alone = Audit(engine, "00" * 32, clock)
    alone.record(note())
    found = alone.verify()
    assert found.whole and "would not show" in found.notes[0]


def test_a_key_that_is_not_the_one_that_signed_is_told(store, tmp_path) -> None:
    fill(store, 3)
    other = Audit(store.engine, "11" * 32, lambda: 1, Heads(tmp_path / "var", "11" * 32))
    assert faults(other.verify()) == [("outside", None)]


def test_where_no_head_can_be_written_what_was_committed_stays_and_the_next_head_covers_it(store, tmp_path) -> None:
    fill(store, 1)
    folder = tmp_path / "var" / FOLDER
    folder.rename(tmp_path / "aside")
    folder.write_text("in the way")
    with capture_logs() as logs:
        assert store.audit.record(note()).seq == 2
    assert [line["log_level"] for line in logs] == ["error"]
    with pytest.raises(StoreUnavailable, match="heads"):
        store.audit.verify()
    folder.unlink()
    (tmp_path / "aside").rename(folder)
    assert store.audit.verify().whole
    store.audit.record(note())
    assert store.audit.verify().whole


def test_tenants_are_kept_apart_on_the_way_out(store) -> None:
    store.audit.record(note("chg_a", "acme"))
    store.audit.record(note("chg_b", "other"))
    store.audit.record(note("chg_a", "other"))
    assert [entry.subject for entry in store.audit.export("acme")] == ["chg_a"]
    assert [entry.seq for entry in store.audit.export(None)] == [1, 2, 3]
    assert [entry.seq for entry in store.audit.of("other", "chg_a")] == [3]
    since = store.audit.of("other", "chg_b")[0].at_us
    assert [entry.seq for entry in store.audit.export(None, since_us=since)] == [2, 3]
    first = store.audit.list("other", limit=1)
    assert [entry.seq for entry in store.audit.list("other", cursor=first.next).items] == [2]


def test_many_at_once_make_one_chain(store) -> None:
    def add(number: int) -> int:
        return store.audit.record(note(n=number)).seq

    with ThreadPoolExecutor(6) as pool:
        numbers = list(pool.map(add, range(40)))
    assert sorted(numbers) == list(range(1, 41))
    assert store.audit.verify().whole


def test_a_clock_that_goes_back_does_not_break_the_chain(store, clock) -> None:
    fill(store, 2)
    clock.now -= 3_600_000_000
    fill(store, 2)
    assert store.audit.verify().whole


def test_killed_again_and_again_it_stays_whole(template: Path, tmp_path: Path) -> None:
    """No entry is torn, none is lost whose head is outside, whenever the process is killed."""
    path = tmp_path / "meliora.db"
    path.write_bytes(template.read_bytes())
    code = (
        "import sys; from pathlib import Path; from meliora.store import Store\n"
        "from meliora.store.engine import connect; from meliora.loop.audit.entry import AuditNote\n"
        "folder = Path(sys.argv[1]); store = Store(connect(f'sqlite:///{folder}/meliora.db'), state_dir=folder)\n"
        "print('ready', flush=True)\n"
        "while True: print(store.audit.record("
        "AuditNote(tenant='t', actor='a', action='b', subject='c', body={'n': 1})).seq, flush=True)\n"
    )
    source = random.Random(3)
    said = 0
    for _ in range(4):
        process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        for _ in range(source.randrange(3, 12)):
            said = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=20)
    with Store(connect(f"sqlite:///{path}"), state_dir=tmp_path) as store:
        found = store.audit.verify()
        assert found.whole, found.problems
        assert found.entries >= said
        store.audit.record(note())
        assert store.audit.verify().whole
