"""Reads word vectors from a table in the common text format: `word v1 v2 ...` a line, after an optional first line `count dim`.

A stream: a line that is not asked for is counted through and forgotten, so that a table of millions of words needs no memory.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from meliora.errors import InvalidRequest

WIDEST = 4096
"""Numbers a word at most."""
_LONGEST = 1 << 20
"""Bytes of a line at most: what is longer is no table."""
_FORMAT = (
    "Give a text table such as GloVe's .txt or fastText's .vec: a word a line and then its numbers, spaces between."
)


def read_table(path: Path, wanted: Collection[str]) -> dict[str, NDArray[np.float32]]:
    """Give the vectors of the words that are wanted and there; words are compared in lower case, and the first one counts.

    Raises `InvalidRequest`, with the line, for a file that cannot be read, holds no vectors, or has lines of different widths; and
    for a number of a wanted word that is none or is not finite. Entries of several words are passed over.
    """
    try:
        with path.open("rb") as file:
            return _read(path, file, wanted)
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be read: {error.strerror or error}.") from error


def _read(path: Path, file: BinaryIO, wanted: Collection[str]) -> dict[str, NDArray[np.float32]]:
    found: dict[str, NDArray[np.float32]] = {}
    width, seen = 0, 0
    for number, line in _lines(path, file):
        word = spelling(line.partition(b" ")[0])
        needed = word in wanted and word not in found
        if width and not needed and line.count(b" ") == width:
            seen += 1
            continue
        fields = [field for field in line.split(b" ") if field]
        if number == 1 and (width := _header(fields)):
            continue
        width = width or len(fields) - 1
        seen += 1
        if not 1 <= width <= WIDEST:
            raise _bad(path, number, f"has {width} numbers, and 1 to {WIDEST} are expected")
        if len(fields) != width + 1:
            _check_width(path, number, fields, width)
        elif needed:
            found[word] = _numbers(path, number, fields[1:])
    if not seen:
        raise InvalidRequest(f"{path} holds no word vectors.", hint=_FORMAT)
    return found


def spelling(word: bytes) -> str:
    """Give a word as it is looked up: in lower case, without marks about it."""
    return word.decode("utf-8", "replace").lower().strip("\"'`.,;:!?()[]{}<>«»“”‘’„…–—•")


def _lines(path: Path, file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Give each line that is not empty with its number. Only spaces and tabs part words: a table may have a control for a word."""
    number = 0
    while line := file.readline(_LONGEST):
        number += 1
        if len(line) == _LONGEST:
            raise _bad(path, number, f"is longer than {_LONGEST} bytes")
        if line := line.rstrip().replace(b"\t", b" "):
            yield number, line


def _header(fields: list[bytes]) -> int:
    """Give the width that a first line `count dim` tells; 0 where it is a word and its vector."""
    return int(fields[1]) if len(fields) == 2 and all(field.isdigit() for field in fields) else 0


def _check_width(path: Path, number: int, fields: list[bytes], width: int) -> None:
    """Let an entry of several words pass: as many numbers as usual, and what stands before them is more than one word."""
    before = fields[1 : len(fields) - width]
    if len(fields) <= width or all(_number(field) is not None for field in before):
        raise _bad(path, number, f"has {len(fields) - 1} numbers where the lines before have {width}")


def _numbers(path: Path, number: int, fields: list[bytes]) -> NDArray[np.float32]:
    for field in fields:
        value = _number(field)
        if value is None or not math.isfinite(value) or abs(value) > 1e30:
            raise _bad(path, number, f"has {field.decode('utf-8', 'replace')[:20]!r}, which is no finite number")
    return np.array(fields, "S").astype(np.float32)


def _number(field: bytes) -> float | None:
    try:
        return float(field)
    except ValueError:
        return None


def _bad(path: Path, number: int, what: str) -> InvalidRequest:
    return InvalidRequest(f"{path}:{number} {what}.", hint=_FORMAT)
