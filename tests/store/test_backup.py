"""A backup holds the whole state, is verified before anything is changed, and overwrites nothing unasked."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from meliora.errors import Conflict, InvalidRequest, SchemaMismatch
from meliora.knowledge.config import Expansion, SearchConfig
from meliora.knowledge.repair.expansion import Table
from meliora.store import Store
from meliora.store.afterwards import Redone
from meliora.store.backup import backup, restore
from meliora.store.calls.feedbacks import FeedbackGiven
from meliora.store.engine import connect, writing
from meliora.store.keys import KeyWish
from meliora.store.loop.audit import allow_replacing
from meliora.store.migrate import upgrade
from meliora.store.tables import metadata
from meliora.telemetry.ids import subject_of
from meliora.telemetry.ingest import Ingester
from meliora.telemetry.spool import SpoolReader, SpoolWriter
from tests.store.conftest import Feed, Randomness
from tests.store.test_knowledge_documents import document


@pytest.fixture
def state(tmp_path: Path, engine: sa.Engine) -> Path:
    """A state directory with a little of everything; with SQLite its database lies beside it, under the usual name."""
    folder = tmp_path / "var"
    (folder / "logs").mkdir(parents=True)
    (folder / "logs" / "gateway.log").write_text("noise")
    (folder / "meliora.pid").write_text("1")
    (folder / "admin.key").write_text("mel_secret")
    (folder / "admin.key").chmod(0o600)
    (folder / "snapshots").mkdir()
    (folder / "snapshots" / "state.json").write_text("{}")
    return folder


def restored(state_dir: Path, engine: sa.Engine) -> Store:
    if engine.dialect.name == "postgresql":
        return Store(engine)
    return Store(connect(f"sqlite:///{state_dir / 'meliora.db'}"))


def test_what_was_backed_up_comes_back_the_same(store, feed, clock, engine, state, tmp_path) -> None:
    record = feed.call(tags={"a": "b"})
    store.feedbacks.give("default", FeedbackGiven(feedback_type="thumbs_up", call_id=record.id))
    key = store.keys.create("default", KeyWish(name="ci"))
    target = tmp_path / "backup.tar.gz"
    manifest = backup(state, engine, target, now_us=clock.now)
    assert target.stat().st_mode & 0o777 == 0o600
    assert {file.path for file in manifest.files if file.path.startswith("state/")} == {
        "state/admin.key",
        "state/snapshots/state.json",
    }
    if engine.dialect.name == "postgresql":
        with writing(engine) as connection:
            allow_replacing(connection)
            for table in metadata.sorted_tables:
                connection.execute(sa.delete(table))
    back = tmp_path / "back"
    assert restore(target, back, engine=engine, clock_us=clock).manifest == manifest
    found = restored(back, engine)
    assert found.secret == store.secret
    assert found.calls.get("default", record.id).tags == {"a": "b"}
    assert found.feedbacks.get("default", record.id).value == 1.0
    assert found.keys.open(key.secret, clock.now) is not None
    assert found.activity.append("default", "cli", "after").id > 0
    assert (back / "admin.key").stat().st_mode & 0o777 == 0o600
    assert back.stat().st_mode & 0o777 == 0o700
    assert not (back / "logs").exists()
    assert not list(tmp_path.glob(".*-*"))
    found.close()


def test_records_in_the_spool_come_along_and_are_counted_once(store, feed, clock, engine, state, tmp_path) -> None:
    writer = SpoolWriter(state / "spool")
    records = [feed.finished() for _ in range(4)]
    for record in records[:2]:
        writer.append(msgspec.json.encode(record))
    Ingester(SpoolReader(state / "spool"), store.sink, clock).step()
    for record in records[2:]:
        writer.append(msgspec.json.encode(record))
    target = tmp_path / "backup.tar.gz"
    backup(state, engine, target, now_us=clock.now)
    writer.close()
    back = tmp_path / "back"
    restore(target, back, engine=engine, force=True, clock_us=clock)
    found = restored(back, engine)
    assert Ingester(SpoolReader(back / "spool"), found.sink, clock).step().finished == 2
    assert found.analytics.total("default").calls == 4
    found.close()


def test_neither_backup_nor_restore_overwrites_unasked(store, feed, clock, engine, state, tmp_path) -> None:
    feed.call()
    target = tmp_path / "backup.tar.gz"
    backup(state, engine, target, now_us=clock.now)
    with pytest.raises(Conflict, match="exists"):
        backup(state, engine, target, now_us=clock.now)
    with pytest.raises(Conflict, match="not empty"):
        restore(target, state, engine=engine, clock_us=clock)
    (state / "admin.key").write_text("changed")
    restore(target, state, engine=engine, force=True, clock_us=clock)
    assert (state / "admin.key").read_text() == "mel_secret"


def test_a_database_that_is_not_empty_is_not_overwritten_unasked(store, feed, clock, engine, state, tmp_path) -> None:
    if engine.dialect.name == "sqlite":
        pytest.skip("the database is a file of the state directory")
    feed.call()
    target = tmp_path / "backup.tar.gz"
    backup(state, engine, target, now_us=clock.now)
    with pytest.raises(Conflict, match="database is not empty"):
        restore(target, tmp_path / "back", engine=engine, clock_us=clock)
    with pytest.raises(InvalidRequest, match="PostgreSQL"):
        restore(target, tmp_path / "back", clock_us=clock)


@pytest.fixture
def own(state: Path, engine: sa.Engine, clock) -> Iterator[Store]:
    """A store whose database is the state directory's own, as in a deployment."""
    made = engine
    if engine.dialect.name == "sqlite":
        made = connect(f"sqlite:///{state / 'meliora.db'}")
        upgrade(made)
    with Store(made, clock_us=clock, randbytes=Randomness()) as opened:
        yield opened


def test_a_restore_erases_and_revokes_again_what_was_erased_and_revoked_since(
    own, clock, engine, state, tmp_path
) -> None:
    """Also what of the person still lies in the spool. Others, and whoever was erased before and came back, stay."""
    feed = Feed(own, clock)
    early = feed.call(user="back-again")
    own.housekeeping.erase("default", "back-again")
    kept = [feed.call(user=user, prompt_hash="h") for user in ("ann", "bob", "back-again")]
    own.feedbacks.give(
        "default", FeedbackGiven(feedback_type="thumbs_up", call_id=kept[0].id, user_id="ann", comment="me")
    )
    waiting = feed.finished(user="carl", request_text="mine")
    writer = SpoolWriter(state / "spool")
    writer.append(msgspec.json.encode(waiting))
    writer.close()
    revoked, open_one = (own.keys.create("default", KeyWish(name=name)) for name in ("gone", "open"))
    target = state / "backups" / "one.tar.gz"
    target.parent.mkdir()
    backup(state, own.engine, target, now_us=clock.now)
    for user in ("ann", "carl"):
        own.housekeeping.erase("default", user)
    own.keys.revoke("default", revoked.key.id)
    here = None if engine.dialect.name == "sqlite" else engine
    done = restore(target, state, engine=here, force=True, clock_us=clock)
    assert done.again == Redone(erased=2, revoked=1)
    with restored(state, engine) as found:
        Ingester(SpoolReader(state / "spool"), found.sink, clock).step()
        users = {one.id: one.user_id for one in (found.calls.get("default", c.id) for c in (early, *kept, waiting))}
        assert found.keys.open(revoked.secret, clock()) is None
        assert found.keys.open(open_one.secret, clock()) is not None
        assert found.feedbacks.get("default", kept[0].id).comment is None
        assert found.calls.get("default", waiting.id).content != "full"
    assert list(users.values()) == [None, None, "bob", "back-again", None]


def test_a_restore_brings_no_word_back_that_was_learned_from_an_erased_person_alone(
    own, clock, engine, state, tmp_path
) -> None:
    """Also where no row names the person any more, only what was learned from them."""
    ann, bob = (subject_of(own.secret, "default", user) for user in ("ann", "bob"))
    people = {"hers": (ann,), "both": (ann, bob)}
    table = Table(words={word: {"page": 1.0} for word in people}, people=people)
    own.knowledge_documents.put("default", "c", [document("a")])
    name = own.knowledge_snapshots.keep("default", "expansion", table.encode())
    own.knowledge_snapshots.add("default", "c", SearchConfig(expansion=Expansion(table=name)), "chg_1")
    target = tmp_path / "one.tar.gz"
    backup(state, own.engine, target, now_us=clock.now)
    assert own.housekeeping.erase("default", "ann").words == 1
    here = None if engine.dialect.name == "sqlite" else engine
    restore(target, state, engine=here, force=True, clock_us=clock)
    with restored(state, engine) as found:
        config = found.knowledge_snapshots.get("default", "c", 1).config
        assert config.expansion is not None
        left = Table.decode(found.knowledge_snapshots.artifact("default", config.expansion.table))
    assert left.words.keys() == {"both"} and left.people == {"both": (bob,)}


def test_a_restore_says_so_where_nothing_is_known_of_later_erasures(own, clock, engine, state, tmp_path) -> None:
    """On a new machine, or over a database that cannot be read."""
    if engine.dialect.name == "postgresql":
        pytest.skip("a database that is there can be read")
    target = tmp_path / "one.tar.gz"
    backup(state, own.engine, target, now_us=clock.now)
    assert restore(target, tmp_path / "new", clock_us=clock).again is None
    own.engine.dispose()
    (state / "meliora.db").write_bytes(b"no database at all" * 1000)
    assert restore(target, state, force=True, clock_us=clock).again is None
    assert restore(target, state, force=True, clock_us=clock).again == Redone()


def test_backups_and_logs_outlive_the_restore_of_one(own, clock, engine, state, tmp_path) -> None:
    """Restoring the latest must not cost the others, nor itself."""
    (state / "backups").mkdir()
    backups = [state / "backups" / name for name in ("one.tar.gz", "two.tar.gz")]
    for target in backups:
        backup(state, own.engine, target, now_us=clock.now)
    own.engine.dispose()
    (state / "newer").write_text("goes")
    here = None if engine.dialect.name == "sqlite" else engine
    for _ in range(2):
        restore(backups[1], state, engine=here, force=True, clock_us=clock)
    assert all(target.stat().st_size for target in backups)
    assert (state / "logs" / "gateway.log").read_text() == "noise"
    assert not (state / "newer").exists()
    assert not list(state.rglob(".*-*"))


def test_a_restore_that_cannot_put_a_file_in_place_leaves_everything_as_it_was(
    own, clock, engine, state, tmp_path, monkeypatch
) -> None:
    """Whichever of the renames it is that fails."""
    target = tmp_path / "one.tar.gz"
    backup(state, own.engine, target, now_us=clock.now)
    own.engine.dispose()
    (state / "admin.key").write_text("later")
    before = sorted(path.name for path in state.iterdir())
    here = None if engine.dialect.name == "sqlite" else engine
    for number in range(len(before) - 1):
        with monkeypatch.context() as patched:
            patched.setattr(Path, "rename", rename_failing_at(number))
            with pytest.raises(OSError, match="No space"):
                restore(target, state, engine=here, force=True, clock_us=clock)
        assert sorted(path.name for path in state.iterdir()) == before
        assert (state / "admin.key").read_text() == "later"


def rename_failing_at(number: int) -> Callable[[Path, Path], Path]:
    real, moves = Path.rename, count()

    def rename(self: Path, new: Path) -> Path:
        if next(moves) == number:
            raise OSError(28, "No space left on device")
        return real(self, new)

    return rename


def altered(source: Path, target: Path, change) -> None:
    """Write a copy of an archive whose members went through `change` (None drops one)."""
    with tarfile.open(source) as old, tarfile.open(target, "w:gz") as new:
        for member in old:
            data = old.extractfile(member)
            assert data is not None
            result = change(member.name, data.read())
            if result is not None:
                member.name, content = result
                member.size = len(content)
                new.addfile(member, io.BytesIO(content))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda name, data: (name, data + b"x" if name.endswith("admin.key") else data), "checksum"),
        (lambda name, data: None if name.endswith("admin.key") else (name, data), "lacks"),
        (lambda name, data: None if name == "manifest.json" else (name, data), "manifest"),
        (lambda name, data: (name.replace("admin.key", "../../escaped"), data), "no backup of ours"),
        (lambda name, data: (name.replace("admin.key", "other"), data), "lacks"),
    ],
    ids=["altered", "missing", "no manifest", "path out of the folder", "renamed"],
)
def test_an_altered_backup_is_refused_and_nothing_is_changed(
    store, clock, engine, state, tmp_path, change, reason
) -> None:
    good, bad = tmp_path / "good.tar.gz", tmp_path / "bad.tar.gz"
    backup(state, engine, good, now_us=clock.now)
    altered(good, bad, change)
    with pytest.raises(InvalidRequest, match=reason):
        restore(bad, tmp_path / "back", engine=engine, force=True, clock_us=clock)
    assert not (tmp_path / "back").exists()
    assert not (tmp_path / "escaped").exists()


def test_a_truncated_backup_is_refused(store, clock, engine, state, tmp_path) -> None:
    target = tmp_path / "backup.tar.gz"
    backup(state, engine, target, now_us=clock.now)
    os.truncate(target, target.stat().st_size // 2)
    with pytest.raises(InvalidRequest):
        restore(target, tmp_path / "back", engine=engine, clock_us=clock)


def test_a_backup_of_a_newer_format_is_refused_by_version(store, clock, engine, state, tmp_path) -> None:
    good, newer = tmp_path / "good.tar.gz", tmp_path / "newer.tar.gz"
    backup(state, engine, good, now_us=clock.now)
    altered(good, newer, lambda name, data: (name, data.replace(b'"format": 1', b'"format": 2')))
    with pytest.raises(SchemaMismatch, match="format 2"):
        restore(newer, tmp_path / "back", engine=engine, clock_us=clock)
