"""How much room there is where a process writes. Looks at file systems, and writes nothing to find out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import structlog

from meliora.runtime.knowledge.plane import directory_of
from meliora.runtime.shared import spool_dir
from meliora.server.context import DiskSeen
from meliora.settings import Settings
from meliora.store.engine import database_url

log = structlog.get_logger(__name__)


def written_to(settings: Settings) -> tuple[Path, ...]:
    """Give the directories that a control process and those beside it write to."""
    state = settings.server.state_dir
    url = database_url(settings.store.url, state)
    own = [state, spool_dir(settings)]
    if url.get_backend_name() == "sqlite" and url.database and url.database != ":memory:":
        own.append(Path(url.database).parent)
    if settings.knowledge.enabled:
        own.append(directory_of(settings))
    return tuple(own)


def look_at_disks(directories: Sequence[Path]) -> tuple[DiskSeen, ...]:
    """Give the room on the file system of each, once for those that share one; one that cannot be looked at is left out, and said."""
    found: dict[int, DiskSeen] = {}
    for directory in directories:
        try:
            there = _existing(directory)
            device = there.stat().st_dev
            if device not in found:
                found[device] = _seen(directory, os.statvfs(there))
        except OSError as error:
            log.warning("the room on a disk is not known", directory=str(directory), why=str(error))
    return tuple(found.values())


def _existing(directory: Path) -> Path:
    """Give the directory, or what it will be made in."""
    path = directory.absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def _seen(directory: Path, found: os.statvfs_result) -> DiskSeen:
    # Some file systems set no number of files, and say 0 of 0.
    files = found.f_favail if found.f_files else None
    return DiskSeen(path=str(directory), free_bytes=found.f_bavail * found.f_frsize, free_files=files)
