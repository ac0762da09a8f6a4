"""The whole state, out into one file and back: database, spool, keys, snapshots. Refuses to restore what was altered."""

from __future__ import annotations

from pathlib import Path

import msgspec
import sqlalchemy as sa


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


def backup(state_dir: Path, engine: sa.Engine, target: Path, *, now_us: int) -> BackupManifest:
    """Write everything to `target` (a `.tar.gz`, readable by its owner alone) while calls go on. Raises `Conflict` if it exists."""
    raise NotImplementedError


def restore(source: Path, state_dir: Path, *, engine: sa.Engine | None = None, force: bool = False) -> BackupManifest:
    """Verify the backup and put it back; `engine` is needed for PostgreSQL only. Run it with all processes stopped.

    Raises `InvalidRequest` for a damaged or foreign file (nothing is changed then), `Conflict` where the state directory or
    the database is not empty and `force` is not set.
    """
    raise NotImplementedError
