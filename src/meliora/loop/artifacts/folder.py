"""A folder of files that is there whole or not at all: written aside, synced, renamed. Its manifest is written last.

One process of a machine writes at a time; what a killed one left aside is removed by the next.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from meliora.errors import Conflict, NotFound
from meliora.loop.artifacts.documents import Documents
from meliora.loop.artifacts.plain import to_json

MANIFEST = "manifest.json"
_ASIDE = ".making-"
_LOCK = ".lock"


class Entry(msgspec.Struct, frozen=True):
    """A file by its content."""

    sha256: str
    bytes: int


class Manifest(msgspec.Struct, frozen=True):
    """What is in a folder, and what is not, with the reason."""

    cycle_id: str
    files: dict[str, Entry]
    absent: dict[str, str]


class Checked(msgspec.Struct, frozen=True):
    """What a folder holds, and what of it is not as it was written."""

    manifest: Manifest
    sha256: str
    """Of the manifest."""
    problems: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether it is all there, as it was written."""
        return not self.problems


def manifest_of(cycle: str, made: Documents) -> bytes:
    """Give the manifest of documents."""
    files = {name: Entry(sha256(body).hexdigest(), len(body)) for name, body in sorted(made.files.items())}
    return to_json(Manifest(cycle, files, made.absent))


def write(root: Path, cycle: str, made: Documents) -> str:
    """Write a cycle's folder, and give the hash of its manifest; one that is there already stays, and its hash is given.

    Raises `OSError`, and `Conflict` where something without a manifest stands at its place.
    """
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    target = root / cycle
    with _alone(root):
        if target.exists():
            return _there(target)
        aside = root / f"{_ASIDE}{cycle}"
        if aside.exists():
            shutil.rmtree(aside)
        aside.mkdir(mode=0o700)
        for name, body in sorted(made.files.items()):
            _write(aside / name, body)
        manifest = manifest_of(cycle, made)
        _write(aside / MANIFEST, manifest)
        for folder in {aside, *((aside / name).parent for name in made.files)}:
            _sync(folder)
        aside.rename(target)
        _sync(root)
    return sha256(manifest).hexdigest()


def remove(root: Path, cycle: str) -> None:
    """Remove a cycle's folder. Raises `OSError`."""
    with _alone(root):
        shutil.rmtree(root / cycle)
        _sync(root)


def check(root: Path, cycle: str) -> Checked:
    """Read a cycle's folder and hold it against its manifest. Raises `NotFound`, `Conflict` for a manifest that is none, `OSError`."""
    folder = root / cycle
    try:
        body = (folder / MANIFEST).read_bytes()
    except FileNotFoundError:
        raise NotFound(f"There are no artifacts of cycle {cycle!r} in {root}.") from None
    try:
        manifest = msgspec.json.decode(body, type=Manifest)
    except msgspec.MsgspecError as error:
        raise Conflict(f"The manifest of cycle {cycle} is damaged: {error}.") from error
    return Checked(manifest, sha256(body).hexdigest(), tuple(_problems(folder, manifest)))


def replace(path: Path, body: bytes) -> None:
    """Write a single file whole or not at all. Raises `OSError`."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _alone(path.parent):
        aside = path.with_name(f"{_ASIDE}{path.name}")
        _write(aside, body)
        aside.rename(path)
        _sync(path.parent)


def _problems(folder: Path, manifest: Manifest) -> Iterator[str]:
    found = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if not path.is_dir()}
    found.pop(MANIFEST, None)
    for name, entry in manifest.files.items():
        path = found.pop(name, None)
        if path is None or path.is_symlink():
            yield f"{name} is missing"
        elif sha256(path.read_bytes()).hexdigest() != entry.sha256:
            yield f"{name} is not as it was written"
    yield from (f"{name} is not in the manifest" for name in found)


def _there(target: Path) -> str:
    try:
        return sha256((target / MANIFEST).read_bytes()).hexdigest()
    except FileNotFoundError:
        raise Conflict(
            f"{target} is there without a manifest.", hint="Move it away; it was not written here."
        ) from None


def _write(path: Path, body: bytes) -> None:
    path.parent.mkdir(exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _alone(root: Path) -> Iterator[Any]:
    with (root / _LOCK).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
