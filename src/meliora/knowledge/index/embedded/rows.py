"""The passages of a generation as they are kept: files that only grow. A row is a passage's number; it is never used twice."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec

from meliora.knowledge.index.embedded.entries import Record
from meliora.knowledge.index.embedded.layout import mapped

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FILES = ("records", "records.at", "names", "names.at", "names.hash")
"""Bodies and where each ends (8 bytes a row); names likewise, and 8 bytes of their hash."""

FILES_OF_NUMBERS = ("records.at", "names.at", "names.hash")


def file_of(name: str, epoch: int) -> str:
    """Give the name of a file of rows that were numbered at a state."""
    return f"{name}-{epoch}"


class RowsWriter:
    """Appends rows after those of a state; what a killed writer appended is cut off first."""

    def __init__(self, folder: Path, epoch: int, sizes: Mapping[str, int], rows: int) -> None:
        self.rows, self._epoch = rows, epoch
        self._encode = msgspec.msgpack.Encoder().encode
        self._files: dict[str, BinaryIO] = {}
        self.sizes = {file_of(name, epoch): sizes.get(file_of(name, epoch), 0) for name in FILES}
        for name in FILES:
            size = self.sizes[file_of(name, epoch)]
            descriptor = os.open(folder / file_of(name, epoch), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            file = self._files[name] = os.fdopen(descriptor, "r+b", buffering=1 << 18)
            file.truncate(size)
            file.seek(size)

    def add(self, name: str, record: Record) -> int:
        """Keep a passage and give its row."""
        spelled = name.encode()
        self._append("records", self._encode(record))
        self._append("records.at", self._size("records").to_bytes(8, "little"))
        self._append("names", spelled)
        self._append("names.at", self._size("names").to_bytes(8, "little"))
        self._append("names.hash", hashed(spelled))
        self.rows += 1
        return self.rows - 1

    def flush(self) -> None:
        """Let readers of the same files see what was added."""
        for file in self._files.values():
            file.flush()

    def finish(self) -> dict[str, int]:
        """Have all of it on the disk; give the sizes."""
        self.flush()
        for file in self._files.values():
            os.fsync(file.fileno())
        return dict(self.sizes)

    def close(self) -> None:
        """Let go of the files, whatever became of what was not flushed."""
        for file in self._files.values():
            with suppress(OSError):  # what could not be written is beyond every manifest
                file.close()

    def _append(self, name: str, body: bytes) -> None:
        self._files[name].write(body)
        self.sizes[file_of(name, self._epoch)] += len(body)

    def _size(self, name: str) -> int:
        return self.sizes[file_of(name, self._epoch)]


class Rows:
    """The rows of a state, mapped into memory."""

    def __init__(self, folder: Path, epoch: int, sizes: Mapping[str, int], rows: int) -> None:
        self.rows = rows
        files = {name: file_of(name, epoch) for name in FILES}
        self._records, self._names = (
            mapped(folder / files[name], sizes.get(files[name], 0)) for name in ("records", "names")
        )
        self._records_at, self._names_at, self.hashes = (
            numbers(folder / files[name], rows) for name in FILES_OF_NUMBERS
        )
        self._decode = msgspec.msgpack.Decoder(Record).decode

    def name(self, row: int) -> str:
        """Give a passage's id."""
        return bytes(_slice(self._names, self._names_at, row)).decode()

    def record(self, row: int) -> Record:
        """Give what is kept of a passage."""
        return self._decode(_slice(self._records, self._records_at, row))


class Finder:
    """Finds the row of a passage by its id. The order made for one state is used by the next, as far as it goes."""

    def __init__(self, rows: Rows, before: Finder | None = None) -> None:
        import numpy as np

        if before is not None and before.known <= rows.rows <= before.known + max(1000, before.known // 4):
            self.known, self._order, self._sorted = before.known, before._order, before._sorted
        else:
            self.known = rows.rows
            self._order: NDArray[np.int64] = np.argsort(rows.hashes, kind="stable")
            self._sorted = rows.hashes[self._order]
        self._tail: dict[int, list[int]] = {}
        for row, said in enumerate(rows.hashes[self.known :].tolist(), start=self.known):
            self._tail.setdefault(said, []).append(row)
        self._rows = rows

    def find(self, names: Sequence[str], alive: NDArray[np.bool_]) -> list[int | None]:
        """Give the living row of each name."""
        import numpy as np

        spelled = [name.encode("utf-8", "replace") for name in names]
        wanted = np.array([int.from_bytes(hashed(one), "little") for one in spelled], dtype=np.uint64)
        first = np.searchsorted(self._sorted, wanted, "left").tolist()
        last = np.searchsorted(self._sorted, wanted, "right").tolist()
        found: list[int | None] = []
        for name, said, low, high in zip(names, wanted.tolist(), first, last, strict=True):
            candidates = [*self._tail.get(said, ()), *(int(row) for row in self._order[low:high])]
            found.append(next((row for row in candidates if alive[row] and self._rows.name(row) == name), None))
        return found


def hashed(name: bytes) -> bytes:
    """Give 8 bytes that stand for a name."""
    return blake2b(name, digest_size=8).digest()


def numbers(path: Path, count: int) -> NDArray[np.uint64]:
    """Map so many unsigned numbers of a file."""
    import numpy as np

    return np.frombuffer(mapped(path, 8 * count), dtype="<u8")


def _slice(body: memoryview, ends: Any, row: int) -> memoryview:
    return body[int(ends[row - 1]) if row else 0 : int(ends[row])]
