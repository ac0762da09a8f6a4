"""The directory of an index: which generation and state serve, what a state consists of, and who may write. Knows no search."""

from __future__ import annotations

import fcntl
import mmap
import os
import shutil
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from meliora.errors import InvalidRequest, StoreError
from meliora.knowledge.index.base import IndexHeld
from meliora.knowledge.text.analysis import VERSION

SCHEMA = 1
"""Of these files: an index of another one is built again."""
CURRENT, LOCK, MANIFEST, MAKING = "CURRENT", ".lock", "manifest.json", ".making"
STATES_KEPT = 2
"""The one that serves, and the one before, which a reader may be opening."""

Step = Callable[[str], None]
"""Called before each step of a write with its name; what it raises is as if the step had failed."""


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """Which vectors a state has."""

    file: str
    """Of the vectors, a row each."""
    model: str
    """File of the fitted model; empty: the vectors were given from outside."""
    dimension: int
    fitted: int
    """Passages that there were when the model was fitted."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a state is: how much of the growing files belongs to it, and which of the others."""

    schema: int
    analysis: str
    generation: str
    state: int
    made_us: int
    first_us: int = 0
    """When the first state of the generation was made."""
    epoch: int = 0
    """State at which the rows were numbered anew, the dead ones left out."""
    watermark: int = 0
    rows: int = 0
    """Dead ones included."""
    passages: int = 0
    documents: int = 0
    words: int = 0
    """Of all passages together."""
    sizes: dict[str, int] = {}
    """Bytes of the files that grow."""
    columns: tuple[str, ...] = ()
    counts: tuple[str, ...] = ()
    """The first is whole, the others are changes to it."""
    fields: dict[str, int] = {}
    """Fields of the metadata, with the passages that have them."""
    checks: dict[str, int] = {}
    """CRC-32 of the files that never change."""
    vectors: Model | None = None


class Folder:
    """The directory of one index."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def current(self) -> str:
        """Give the name of the state that serves, `GENERATION/STATE`; empty for none."""
        return self.pointed()[0]

    def pointed(self) -> tuple[str, int, int]:
        """Give what serves, and what tells one writing of that from another: the file's number and time."""
        try:
            with (self.path / CURRENT).open(encoding="utf-8") as file:
                told = os.fstat(file.fileno())
                return file.read().strip(), told.st_ino, told.st_mtime_ns
        except FileNotFoundError:
            return "", 0, 0

    def point(self, name: str, step: Step) -> None:
        """Let a state serve from now on."""
        step("point")
        replace(self.path / CURRENT, f"{name}\n".encode())
        step("pointed")

    def manifest(self, name: str) -> Manifest | None:
        """Read a state's manifest; None where there is none, or one of another version. Raises `StoreError` for a damaged one."""
        try:
            body = (self.path / name / MANIFEST).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            said = msgspec.json.decode(body)
            if (said["schema"], said["analysis"]) != (SCHEMA, VERSION):
                return None
            return msgspec.json.decode(body, type=Manifest)
        except (msgspec.MsgspecError, KeyError, TypeError) as error:
            raise damaged(self.path / name / MANIFEST, str(error)) from error

    def latest(self, generation: str) -> Manifest | None:
        """Give the last whole state of a generation; None where it has none that can be used."""
        states = _numbers(self.path / generation)
        return self.manifest(f"{generation}/{states[-1]}") if states else None

    def sweep(self, serving: str) -> None:
        """Remove what killed writers left: half generations, half states, states that are past. Only for who holds the lock."""
        for generation in self.generations():
            states = _numbers(generation)
            if not states:
                shutil.rmtree(generation, ignore_errors=True)
                continue
            shutil.rmtree(generation / MAKING, ignore_errors=True)
            if serving.startswith(f"{generation.name}/"):
                # A later one was made by a writer that was killed before it let it serve: it is made again.
                for state in [one for one in states if f"{generation.name}/{one}" > serving]:
                    shutil.rmtree(generation / state)
                    states.remove(state)
            kept = {state for state in states if f"{generation.name}/{state}" == serving} | set(states[-STATES_KEPT:])
            for state in set(states) - kept:
                shutil.rmtree(generation / state, ignore_errors=True)
            _sweep_files(generation, [self.manifest(f"{generation.name}/{state}") for state in kept])

    def generations(self) -> list[Path]:
        """Give the folders of generations, half ones included."""
        return [one for one in sorted(self.path.iterdir()) if one.is_dir()] if self.path.is_dir() else []

    @contextmanager
    def writing(self, what: str) -> Iterator[None]:
        """Hold the index for one writer. Raises `IndexHeld` that names who has it. The lock dies with its process."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(descriptor, 200, 0).decode("utf-8", "replace").strip() or "another process"
                raise IndexHeld(
                    f"The index {self.path.name} is held by {holder}.", hint="Wait until it is done, or stop it."
                ) from None
            _note(descriptor, f"process {os.getpid()} ({what})")
            yield
        finally:
            os.close(descriptor)


def state_name(state: int) -> str:
    """Give the folder of a state."""
    return f"{state:08d}"


def is_later(generation: str, serving: str) -> bool:
    """Tell whether a generation was named after the one that serves: it was made of what the documents are since."""
    number, others = generation.partition("-")[0], serving.partition("-")[0]
    return number.isdigit() and others.isdigit() and int(number) > int(others)


def check_generation(name: str) -> str:
    """Give a name that is safe as a folder's. Raises `InvalidRequest`."""
    if not name or len(name) > 100 or not all(one.isalnum() or one in "-_" for one in name):
        raise InvalidRequest(
            f"{name[:100]!r} is no name of a generation.", hint="Letters, digits, `-` and `_`.", field="generation"
        )
    return name


def write(path: Path, body: bytes) -> int:
    """Write a file and have it on the disk; give its CRC-32. Raises `OSError`."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    return zlib.crc32(body)


class Fixed:
    """A file that never changes, mapped now and read later: it may be removed in between."""

    def __init__(self, path: Path, crc: int) -> None:
        self._path, self._crc = path, crc
        self._body = mapped(path, path.stat().st_size)

    def read(self) -> bytes:
        """Give what is in it. Raises `StoreError` where that is not what was written."""
        body = bytes(self._body)
        if zlib.crc32(body) != self._crc:
            raise damaged(self._path, "its checksum differs")
        return body


def fixed(folder: Path, names: Sequence[str], manifest: Manifest) -> dict[str, Fixed]:
    """Give files of a state by name, in the order asked for."""
    return {name: Fixed(folder / name, manifest.checks[name]) for name in names}


def mapped(path: Path, size: int) -> memoryview:
    """Map the first bytes of a file: what is appended later, or the file's removal, does not show.

    Raises `StoreError` where the file is shorter.
    """
    if not size:
        return memoryview(b"")
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size < size:
            raise damaged(path, "it is shorter than it was")
        return memoryview(mmap.mmap(file.fileno(), size, prot=mmap.PROT_READ))


def replace(path: Path, body: bytes) -> None:
    """Write a file whole or not at all. Raises `OSError`."""
    aside = path.with_name(f".{path.name}.new")
    write(aside, body)
    aside.rename(path)
    sync(path.parent)


def sync(folder: Path) -> None:
    """Have a folder's names on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def damaged(path: Path, why: str) -> StoreError:
    """Make the error of a file that is not as it was written."""
    return StoreError(
        f"The index file {path} is damaged: {why}.", hint="Build the index again: it is made of the documents."
    )


def _sweep_files(generation: Path, manifests: Sequence[Manifest | None]) -> None:
    """Remove the files that no state names. What is of another version is left whole."""
    named: set[str] = set()
    for manifest in manifests:
        if manifest is None:
            return
        named.update(manifest.sizes, manifest.checks)
        if manifest.vectors is not None:
            named.add(manifest.vectors.file)
    for path in generation.iterdir():
        if path.is_file() and path.name not in named:
            path.unlink(missing_ok=True)


def _numbers(generation: Path) -> list[str]:
    try:
        return sorted(name for name in os.listdir(generation) if name.isdigit())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _note(descriptor: int, text: str) -> None:
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text.encode(), 0)
    except OSError:
        pass  # a full disk: the lock holds without its note
