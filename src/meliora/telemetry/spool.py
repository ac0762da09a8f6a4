"""The spool: append-only segments of framed, checksummed records, one writer each. Knows nothing of what is in a record.

A frame is a magic number, the payload's length, its CRC-32, and the payload. The magic number holds bytes that UTF-8
never does, so a reader that met damage finds the next frame of JSON records. A writer holds an exclusive `flock` on its
segment, so that readers know whether more may come; a segment has its name only once it is locked.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
import time
from collections.abc import Callable
from pathlib import Path
from zlib import crc32

MAGIC = b"\xffML\xfe"
HEADER = struct.Struct(">4sII")
SUFFIX = ".spool"
_RESCAN_SECONDS = 1.0
_RETRY_SECONDS = 0.25
_NOTED_BYTES = 64 * 1024
OLDEST_SECONDS = 600.0
"""Age from which `rest` closes a segment: so long at most its file holds what was taken in already, of an erased person too."""


class SpoolWriter:
    """Append records to segments of its own. For one thread; `write` and `clock` are parameters for tests.

    Nothing raises to the caller: where a record cannot be kept (`append` gives False) it is counted in `dropped`, the reason
    is in `last_error`, a torn frame is taken back, and a quarter of a second later it is tried again.
    """

    def __init__(
        self,
        directory: Path,
        *,
        segment_bytes: int = 16 * 1024 * 1024,
        max_bytes: int = 4 * 1024**3,
        randbytes: Callable[[int], bytes] = os.urandom,
        clock: Callable[[], float] = time.monotonic,
        write: Callable[[int, bytes], int] = os.write,
    ) -> None:
        self._directory = directory
        self.segment_bytes = segment_bytes
        self.max_bytes = max_bytes
        self._clock = clock
        self._write = write
        self.name = randbytes(16).hex()
        """Unique to this writer; begins the names of its segments."""
        self.dropped = 0
        """Records that could not be kept."""
        self.appended = 0
        """Records that were."""
        self.last_error: str | None = None
        """Why the last record was dropped; None again once one is kept."""
        self._sequence = 0
        self._file = -1
        self._size = 0
        self._room = 0
        self._scanned_at = float("-inf")
        self._retry_at = float("-inf")
        self._opened_at = float("-inf")
        self._noted: list[bytes] = []
        """Headers and payloads, in turn, that go out with the next one."""
        self._noted_bytes = 0

    def append(self, payload: bytes) -> bool:
        """Add one record, and what was noted before it, in one write; False where that was dropped."""
        self._noted += (HEADER.pack(MAGIC, len(payload), crc32(payload)), payload)
        return self.flush()

    def note(self, payload: bytes) -> None:
        """Keep one record until the next `append` or `flush`."""
        self._noted += (HEADER.pack(MAGIC, len(payload), crc32(payload)), payload)
        self._noted_bytes += len(payload)
        if self._noted_bytes > _NOTED_BYTES:
            self.flush()

    def flush(self) -> bool:
        """Write what was noted; False where it was dropped."""
        parts, self._noted, self._noted_bytes = self._noted, [], 0
        return self._put(b"".join(parts), len(parts) // 2) if parts else True

    def close(self) -> None:
        """Close the segment and let readers finish it. A later `append` opens another."""
        self.flush()
        self._close()

    def rest(self) -> None:
        """Close a segment that is old, so that readers finish and delete it. Call it now and then, from the thread that writes."""
        if self._file >= 0 and self._clock() - self._opened_at >= OLDEST_SECONDS:
            self.close()

    def _close(self) -> None:
        file, self._file = self._file, -1
        if file >= 0:
            with contextlib.suppress(OSError):  # what a late write error concerns is counted as kept already
                os.close(file)

    def _put(self, data: bytes, records: int) -> bool:
        size = len(data)
        if self._file < 0 or self._size + size > self.segment_bytes or self._room < size or self.last_error:
            reason = self._prepare(size)
            if reason:
                return self._drop(reason, records)
        try:
            written = self._write(self._file, data)
        except OSError as error:
            return self._fail(_words(error), records)
        if written != size:
            return self._fail("the disk took a part of a record only", records)
        self._size += size
        self._room -= size
        self.appended += records
        return True

    def _prepare(self, size: int) -> str | None:
        """Get ready for a frame, or say why it cannot be written."""
        now = self._clock()
        if now < self._retry_at:
            return self.last_error
        try:
            reason = self._make_room(size, now)
        except OSError as error:
            self._retry_at = now + _RETRY_SECONDS
            return _words(error)
        self.last_error = reason
        return reason

    def _make_room(self, size: int, now: float) -> str | None:
        if self._room < size:
            # Others write and delete here too: looking is dear, so it is done once a second at most.
            if now - self._scanned_at >= _RESCAN_SECONDS:
                self._scan(now)
            if self._room < size:
                return f"the spool has reached its limit of {self.max_bytes} bytes"
        if self._file < 0 or (self._size and self._size + size > self.segment_bytes):
            self._close()
            self._open()
            self._scan(now)
        return None

    def _scan(self, now: float) -> None:
        self._scanned_at = now
        self._room = self.max_bytes - spool_bytes(self._directory)

    def _open(self) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._directory / f"{self.name}-{self._sequence:08d}{SUFFIX}"
        unlocked = path.with_suffix(".new")
        file = os.open(unlocked, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.rename(unlocked, path)
        except OSError:
            os.close(file)
            unlocked.unlink(missing_ok=True)
            raise
        self._file, self._size, self._sequence = file, 0, self._sequence + 1
        self._opened_at = self._clock()

    def _fail(self, reason: str, records: int) -> bool:
        """Take back what was written of a frame; where even that fails, leave the segment to the reader's resync."""
        self._retry_at = self._clock() + _RETRY_SECONDS
        try:
            os.ftruncate(self._file, self._size)
        except OSError:
            self._close()
        return self._drop(reason, records)

    def _drop(self, reason: str | None, records: int) -> bool:
        self.dropped += records
        self.last_error = reason or "the spool could not be written"
        return False


def spool_bytes(directory: Path) -> int:
    """Give the size of all segments; 0 where there is no directory."""
    total = 0
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                try:
                    total += entry.stat().st_size if entry.name.endswith(SUFFIX) else 0
                except FileNotFoundError:  # ingested and deleted just now
                    continue
    except FileNotFoundError:
        return 0
    return total


def _words(error: OSError) -> str:
    return f"{errno.errorcode.get(error.errno or 0, 'OSError')}: {error.strerror}"


class Chunk:
    """What a read found: payloads, the offset behind each, and how the segment stands."""

    __slots__ = ("end", "ends", "payloads", "skipped")

    def __init__(self, payloads: list[bytes], ends: list[int], end: int, skipped: int) -> None:
        self.payloads = payloads
        self.ends = ends
        self.end = end
        """Where to read on: all before it is in `payloads` or was damaged."""
        self.skipped = skipped
        """Damaged bytes before `end`."""


class SpoolReader:
    """Read segments of any writer, dead or alive, without disturbing it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def segments(self) -> list[str]:
        """Give the names of all segments, each writer's in its order; empty where there is no directory."""
        try:
            return sorted(name for name in os.listdir(self.directory) if name.endswith(SUFFIX))
        except FileNotFoundError:
            return []

    def size(self, segment: str) -> int:
        """Give the bytes of a segment; 0 where it is gone."""
        try:
            return os.stat(self.directory / segment).st_size
        except FileNotFoundError:
            return 0

    def live(self, segment: str) -> bool:
        """Say whether its writer may append more."""
        try:
            file = os.open(self.directory / segment, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(file)
        return False

    def read(self, segment: str, offset: int, max_bytes: int) -> Chunk:
        """Give the records from `offset`, about `max_bytes` of them, and always at least one where there is one.

        Damage is skipped up to the next whole frame. An unfinished last frame of a live writer is waited for: `end` stays
        before it. A segment that is gone has no records.
        """
        # Liveness first: what was written before the writer let go is then sure to be in the bytes read after.
        live = self.live(segment)
        try:
            with open(self.directory / segment, "rb", buffering=0) as file:
                whole = os.fstat(file.fileno()).st_size
                if offset >= whole:
                    return Chunk([], [], offset, 0)
                data = os.pread(file.fileno(), max_bytes, offset)
                while True:
                    final = offset + len(data) >= whole
                    chunk = _parse(data, offset, final=final, live=live)
                    if chunk.payloads or chunk.end > offset or final:
                        return chunk
                    # Not one whole frame in there: grow until there is, or until the end.
                    more = os.pread(file.fileno(), max(max_bytes, len(data)), offset + len(data))
                    if not more:
                        return chunk
                    data += more
        except FileNotFoundError:
            return Chunk([], [], offset, 0)

    def delete(self, segment: str) -> None:
        """Remove a segment. Only after the store has committed all of it and its writer is gone."""
        (self.directory / segment).unlink(missing_ok=True)


def _parse(data: bytes, base: int, *, final: bool, live: bool) -> Chunk:
    """Take the frames out of `data`, which begins at offset `base`; `final` where the file ends with it."""
    payloads: list[bytes] = []
    ends: list[int] = []
    at = skipped = 0
    size = len(data)
    unpack, header = HEADER.unpack_from, HEADER.size
    while at < size:
        if at + header <= size:
            magic, length, crc = unpack(data, at)
            end = at + header + length
            if magic == MAGIC and end <= size:
                payload = data[at + header : end]
                if crc32(payload) == crc:
                    payloads.append(payload)
                    ends.append(base + end)
                    at = end
                    continue
            begun = magic == MAGIC and end > size
        else:
            begun = MAGIC.startswith(data[at : at + len(MAGIC)])
        found = None if begun and not final else _next_frame(data, at + 1)
        if found is None and (live or not final):
            break  # more may come, of this frame or behind the damage
        after = size if found is None else found
        skipped += after - at
        at = after
    return Chunk(payloads, ends, base + at, skipped)


def _next_frame(data: bytes, start: int) -> int | None:
    """Find the next whole, intact frame."""
    at = data.find(MAGIC, start)
    while at >= 0:
        if at + HEADER.size <= len(data):
            _, length, crc = HEADER.unpack_from(data, at)
            payload = data[at + HEADER.size : at + HEADER.size + length]
            if len(payload) == length and crc32(payload) == crc:
                return at
        at = data.find(MAGIC, at + 1)
    return None
