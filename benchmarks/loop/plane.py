"""A plane outside the database: a file a target that says which version serves, and every effect that it ever had.

It keeps what an outside system must keep so that an effect takes place once: it knows the keys that it has served, compares before it
exchanges, and refuses an attempt older than the newest that it has heard of. `fenced=False` takes all three away.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from meliora.errors import Conflict

FIRST = "v0"
"""What serves before anything was delivered."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """An effect, or an attempt that was heard of and had nothing to do."""

    what: Literal["deliver", "undo"]
    change: str
    attempt: int
    key: str
    before: str
    after: str
    effect: bool
    pid: int


class Plane:
    """The files of one folder. Safe for several processes and for kill -9; a torn last line never was."""

    def __init__(self, folder: Path, *, fenced: bool = True) -> None:
        self._folder = folder
        self._fenced = fenced

    def targets(self) -> list[str]:
        """Give all targets that had an effect."""
        return sorted(path.stem for path in self._folder.glob("*.jsonl"))

    def history(self, target: str) -> list[Line]:
        """Give every line of a target, the oldest first."""
        try:
            data = (self._folder / f"{target}.jsonl").read_bytes()
        except FileNotFoundError:
            return []
        return [msgspec.json.decode(line, type=Line) for line in data[: data.rfind(b"\n") + 1].splitlines()]

    def serving(self, target: str) -> str:
        """Read which version serves."""
        lines = self.history(target)
        return lines[-1].after if lines else FIRST

    def exchange(
        self,
        target: str,
        what: Literal["deliver", "undo"],
        change: str,
        attempt: int,
        key: str,
        before: str,
        after: str,
    ) -> str:
        """Let `after` serve in place of `before`, once a key, and give what serves. Raises `Conflict`, `OSError`."""
        with self._alone(target):
            lines = self.history(target)
            now = lines[-1].after if lines else FIRST
            if self._fenced:
                newest = max((line.attempt for line in lines if line.change == change), default=0)
                if attempt < newest:
                    raise Conflict(f"attempt {attempt} of {change} comes after attempt {newest}")
                if now not in (before, after):
                    raise Conflict(f"{now} serves, which is neither {before} nor {after}")
                done = any(line.key == key and line.effect for line in lines)
                after = now if done else after
            line = Line(
                what=what,
                change=change,
                attempt=attempt,
                key=key,
                before=now,
                after=after,
                effect=now != after or not self._fenced,
                pid=os.getpid(),
            )
            self._append(target, line)
            return after

    def _append(self, target: str, line: Line) -> None:
        descriptor = os.open(self._folder / f"{target}.jsonl", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            data = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
            end = data.rfind(b"\n") + 1
            os.ftruncate(descriptor, end)
            said = msgspec.json.encode(line) + b"\n"
            if os.pwrite(descriptor, said, end) != len(said):
                os.ftruncate(descriptor, end)
                raise OSError("the plane's disk is full")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    @contextmanager
    def _alone(self, target: str) -> Iterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._folder / f"{target}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
