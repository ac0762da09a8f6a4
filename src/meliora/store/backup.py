"""The whole state, out into one file and back: database, spool, keys, snapshots. Refuses to restore what was altered.

The spool is copied before the database. A record taken in between is then in both, and the offset in the database, or the
call's own row, says so; none is in neither. Logs, sockets, process ids and caches stay behind.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from meliora import __version__
from meliora.errors import Conflict, InvalidRequest, SchemaMismatch, StoreError, StoreUnavailable
from meliora.store.afterwards import Afterwards, Redone, Telling, do_again, known_in, tell
from meliora.store.dump import dump_tables, load_tables, tables_are_empty
from meliora.store.engine import connect, database_url, reading
from meliora.store.migrate import current_revision, head_revision, upgrade
from meliora.store.tables import audit_head

FORMAT = 1
MANIFEST = "manifest.json"
_DATABASE = "meliora.db"
_LEFT_OUT = {"logs", "cache", "run", "backups", "kill"}
_STAYS = {"logs", "backups", "meliora.lock", "kill"}
"""What a restore leaves where it is."""
_STAGED = (".restore-", ".backup-")
"""Folders of a backup or a restore that is under way, or was killed."""
_LEFT_OUT_ENDS = (".pid", ".sock", ".new", ".tmp", ".lock", "-wal", "-shm", "-journal")


_PACKED = (".gz", ".tgz")
"""Backups that were written into the state directory."""


class BackupFile(msgspec.Struct, frozen=True):
    """A file in a backup."""

    path: str
    sha256: str
    size: int
    mode: int


class BackupManifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup holds and where it comes from."""

    format: int
    version: str
    revision: str
    backend: str
    made_us: int
    files: tuple[BackupFile, ...]


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What came back, and what of it was erased and revoked again."""

    manifest: BackupManifest
    again: Redone | None
    """None: nothing could be learned from a database that was there before."""
    lost_entries: int = 0
    """Entries of the audit that went; the chain and its heads say so."""


def backup(state_dir: Path, engine: sa.Engine, target: Path, *, now_us: int) -> BackupManifest:
    """Write everything to `target`, a `.tar.gz` readable by its owner alone, while calls go on.

    The file appears whole or not at all. Raises `Conflict` if it exists already.
    """
    if target.exists():
        raise Conflict(f"{target} exists already.", hint="Choose another name.")
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".backup-") as folder:
        staged = Path(folder)
        state = staged / "state"
        for path in _state_files(state_dir):
            _copy(state_dir / path, state / path)
        _dump(engine, staged)
        with reading(engine) as connection:
            revision = current_revision(connection)
        manifest = BackupManifest(
            format=FORMAT,
            version=__version__,
            revision=revision or "",
            backend=engine.dialect.name,
            made_us=now_us,
            files=tuple(_described(staged, path) for path in sorted(_walk(staged))),
        )
        (staged / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))
        packed = staged / "packed"
        with tarfile.open(packed, "x:gz", compresslevel=3) as archive:
            for name in (MANIFEST, *(file.path for file in manifest.files)):
                archive.add(staged / name, name, recursive=False)
        packed.chmod(0o600)
        try:
            os.link(packed, target)  # unlike a rename, never over a file that came into being meanwhile
        except FileExistsError as error:
            raise Conflict(f"{target} exists already.", hint="Choose another name.") from error
    return manifest


def restore(
    source: Path,
    state_dir: Path,
    *,
    engine: sa.Engine | None = None,
    force: bool = False,
    clock_us: Callable[[], int],
    audit_key: str = "",
) -> Restored:
    """Verify the backup and put it back; `engine` is needed for PostgreSQL only. Run it with all processes stopped.

    People erased and keys revoked since, as the database that is replaced knows them, are erased and revoked again before
    anything is in place, a kill stays one, and the audit is told. Backups, logs and the kill file in the state directory stay.
    Raises `InvalidRequest` for a damaged or foreign file (nothing is changed then), `SchemaMismatch` for one of a newer
    version, `Conflict` where the state directory or the database is not empty and `force` is not set.
    """
    if not force and any(_replaced(state_dir)):
        raise Conflict(f"{state_dir} is not empty.", hint="Move it away, or force the restore over it.")
    with _staging(state_dir) as staged:
        _unpack(source, staged)
        manifest = _verified(staged)
        engine = _fitting(engine, manifest)
        before = _known(state_dir, engine)
        if engine is not None:
            _restore_tables(staged, engine, manifest, force=force)
        state = staged / "state"
        state.mkdir(exist_ok=True)
        if manifest.backend == "sqlite":
            shutil.move(staged / _DATABASE, state / _DATABASE)
        again = _do_again(state, engine, before, clock_us)
        lost = _tell(state, state_dir, engine, Telling(before, manifest.made_us, audit_key, clock_us))
        state_dir.chmod(0o700)
        _swap_in(state, state_dir, staged / "replaced")
    return Restored(manifest=manifest, again=again, lost_entries=lost)


@contextmanager
def _staging(state_dir: Path) -> Iterator[Path]:
    """Make room within the state directory, which may be a volume of its own; one that was not there goes again on failure."""
    fresh = not state_dir.exists()
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=state_dir, prefix=_STAGED[0]) as folder:
            yield Path(folder)
    except BaseException:
        if fresh:
            with suppress(OSError):
                state_dir.rmdir()
        raise


def _fitting(engine: sa.Engine | None, manifest: BackupManifest) -> sa.Engine | None:
    """Give the PostgreSQL that the backup goes to; None for a backup of SQLite. Raises `InvalidRequest` where they do not fit."""
    here = engine if engine is not None and engine.dialect.name == "postgresql" else None
    if manifest.backend == "postgresql" and here is None:
        raise InvalidRequest("The backup is of a PostgreSQL database.", hint="Set `store.url` to an empty one.")
    if manifest.backend == "sqlite" and here is not None:
        raise InvalidRequest("The backup is of an SQLite database, and `store.url` names PostgreSQL.", hint="Unset it.")
    return here


def _known(state_dir: Path, engine: sa.Engine | None) -> Afterwards | None:
    """Give what the database that is to be replaced knows of erasures and revocations; None where there is none to be read."""
    with suppress(StoreError, sqlite3.DatabaseError):
        if engine is not None:
            return known_in(engine)
        if (state_dir / _DATABASE).exists():
            with _opened(state_dir) as own:
                return known_in(own)
    return None


def _do_again(
    state: Path, engine: sa.Engine | None, before: Afterwards | None, clock_us: Callable[[], int]
) -> Redone | None:
    if before is None or not (before.subjects or before.revoked):
        return None if before is None else Redone()
    if engine is not None:
        return do_again(engine, before, clock_us)
    with _opened(state) as own:
        upgrade(own)
        return do_again(own, before, clock_us)


def _tell(state: Path, replaced: Path, engine: sa.Engine | None, telling: Telling) -> int:
    """Tell the audit of the restore, if any was kept before or in the backup."""
    if engine is not None:
        return tell(engine, state, replaced, telling)
    with _opened(state) as own:
        known = telling.before is not None and telling.before.head is not None
        if not sa.inspect(own).has_table(audit_head.name):
            if not known:
                return 0
            upgrade(own)
        return tell(own, state, replaced, telling)


@contextmanager
def _opened(state_dir: Path) -> Iterator[sa.Engine]:
    """Open the SQLite database of a state directory."""
    engine = connect(database_url("", state_dir))
    try:
        yield engine
    finally:
        engine.dispose()


def _restore_tables(staged: Path, engine: sa.Engine, manifest: BackupManifest, *, force: bool) -> None:
    if manifest.revision != head_revision():
        raise SchemaMismatch(
            f"The backup is of revision {manifest.revision}, made by Meliora {manifest.version}.",
            hint=f"Restore it with Meliora {manifest.version}, then upgrade.",
        )
    if not force and not tables_are_empty(engine):
        raise Conflict("The database is not empty.", hint="Use an empty one, or force the restore over it.")
    load_tables(engine, staged / "tables")


def _replaced(state_dir: Path) -> Iterator[Path]:
    """Give what a restore replaces."""
    for path in sorted(state_dir.iterdir()) if state_dir.exists() else ():
        if path.name not in _STAYS and not path.name.startswith(_STAGED) and path.suffix not in _PACKED:
            yield path


def _swap_in(state: Path, state_dir: Path, aside: Path) -> None:
    """Put what was restored in the place of what is there, by renames alone: all of them, or none."""
    aside.mkdir()
    moves = [(path, aside / path.name) for path in _replaced(state_dir)]
    moves += [(path, state_dir / path.name) for path in sorted(state.iterdir())]
    done: list[tuple[Path, Path]] = []
    try:
        for old, new in moves:
            old.rename(new)
            done.append((old, new))
    except OSError:
        for old, new in reversed(done):
            new.rename(old)
        raise


def _dump(engine: sa.Engine, staged: Path) -> None:
    """Write a consistent copy of the database."""
    if engine.dialect.name != "sqlite":
        dump_tables(engine, staged / "tables")
        return
    target = staged / _DATABASE
    with reading(engine) as connection:
        driver: Any = connection.connection.driver_connection
        copy = sqlite3.connect(target)
        try:
            driver.backup(copy)
            # The copy would be in WAL mode like its source, and could not be opened where nothing can be written.
            copy.execute("PRAGMA journal_mode=DELETE").close()
        except sqlite3.Error as error:
            raise StoreUnavailable(f"The database could not be copied: {error}.") from error
        finally:
            copy.close()
    target.chmod(0o600)


def _state_files(state_dir: Path) -> Iterator[Path]:
    """Give the files to keep, relative to the state directory; the database is copied by other means."""
    for path in sorted(_walk(state_dir)):
        first = path.parts[0]
        if (
            first in _LEFT_OUT
            or first.startswith(_STAGED)
            or path.name.endswith(_LEFT_OUT_ENDS)
            or path.name == _DATABASE
        ):
            continue
        if path.suffix in _PACKED:
            continue
        yield path


def _walk(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            yield path.relative_to(folder)


def _copy(source: Path, target: Path) -> None:
    """Copy a file with its mode. One that vanished (a segment that was taken meanwhile) is in the database."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        shutil.copy2(source, target)
    except FileNotFoundError:
        target.unlink(missing_ok=True)


def _described(staged: Path, path: Path) -> BackupFile:
    file = staged / path
    stat = file.stat()
    return BackupFile(path.as_posix(), _digest(file), stat.st_size, stat.st_mode & 0o777)


def _digest(file: Path) -> str:
    digest = sha256()
    with file.open("rb") as data:
        while block := data.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _unpack(source: Path, staged: Path) -> None:
    try:
        with tarfile.open(source, "r:gz") as archive:
            for member in archive:
                path = Path(member.name)
                if not member.isfile() or path.is_absolute() or ".." in path.parts:
                    raise InvalidRequest(f"{source} holds {member.name!r}, which no backup of ours does.")
                data = archive.extractfile(member)
                assert data is not None
                (staged / path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                with (staged / path).open("wb") as file:
                    shutil.copyfileobj(data, file)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise InvalidRequest(f"{source} cannot be read as a backup: {error}.") from error


def _verified(staged: Path) -> BackupManifest:
    """Check each file against the manifest, and set its mode."""
    try:
        manifest = msgspec.json.decode((staged / MANIFEST).read_bytes(), type=BackupManifest)
    except (OSError, msgspec.MsgspecError) as error:
        raise InvalidRequest("The file holds no manifest of ours.") from error
    if manifest.format > FORMAT:
        raise SchemaMismatch(
            f"The backup is of format {manifest.format}; this code knows {FORMAT}.",
            hint=f"Restore it with Meliora {manifest.version}.",
        )
    found = {path.as_posix() for path in _walk(staged)} - {MANIFEST}
    for file in manifest.files:
        if file.path not in found:
            raise InvalidRequest(f"The backup lacks {file.path}.")
        if _digest(staged / file.path) != file.sha256:
            raise InvalidRequest(f"{file.path} in the backup is damaged: its checksum differs.")
        (staged / file.path).chmod(file.mode)
        found.remove(file.path)
    if found:
        raise InvalidRequest(f"The backup holds files that its manifest does not name: {', '.join(sorted(found))}.")
    return manifest
