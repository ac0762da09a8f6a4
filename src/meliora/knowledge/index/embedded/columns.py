"""The fields of the passages by row: what a filter is held against where the engine has no such condition. Exact, whatever it passes."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import msgspec

from meliora.knowledge.documents import Scalar
from meliora.knowledge.filters import Condition, Filter, passes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_PARTS = 16
"""Files before they are joined."""


class Column(msgspec.Struct, frozen=True, array_like=True):
    """A field of some rows: pairs of a row and the place of its value (4 bytes each)."""

    values: list[str | int | float | bool]
    rows: bytes
    places: bytes


class ColumnsWriter:
    """Takes the fields of new rows."""

    def __init__(self) -> None:
        self._fields: dict[str, tuple[dict[tuple[bool, Scalar], int], list[int], list[int]]] = {}

    def add(self, row: int, fields: Iterable[tuple[str, tuple[Scalar, ...]]]) -> None:
        """Take the fields of a passage."""
        for field, values in fields:
            known, rows, places = self._fields.setdefault(field, ({}, [], []))
            for value in values:
                # True is no 1 here.
                places.append(known.setdefault((isinstance(value, bool), value), len(known)))
                rows.append(row)

    def encoded(self, before: Columns | None = None) -> bytes:
        """Give the file: with `before`, those parts joined with this one."""
        import numpy as np

        parts = {
            field: Column(
                [value for _, value in known], np.array(rows, "<u4").tobytes(), np.array(places, "<u4").tobytes()
            )
            for field, (known, rows, places) in self._fields.items()
        }
        if before is not None:
            fields = {*parts, *before.fields()}
            parts = {
                field: joined([*before.parts(field), *([parts[field]] if field in parts else [])]) for field in fields
            }
        return msgspec.msgpack.encode({field: msgspec.msgpack.encode(one) for field, one in parts.items()})


class File(Protocol):
    """What never changes, wherever it is kept."""

    def read(self) -> bytes:
        """Give what is in it."""
        ...


class Columns:
    """The fields of a state. A field is read when it is first asked for."""

    def __init__(self, files: Sequence[File], rows: int) -> None:
        self._files, self._rows = files, rows
        self._lock = threading.Lock()
        self._raw: list[dict[str, bytes]] | None = None
        self._columns: dict[str, list[Column]] = {}

    def fields(self) -> set[str]:
        """Give the names of all fields."""
        return {field for part in self._parts() for field in part}

    def parts(self, field: str) -> list[Column]:
        """Give a field, part by part."""
        found = self._columns.get(field)
        if found is None:
            found = [msgspec.msgpack.decode(part[field], type=Column) for part in self._parts() if field in part]
            self._columns[field] = found
        return found

    def passing(self, where: Filter) -> NDArray[np.bool_]:
        """Tell of each row whether it passes."""
        import numpy as np

        passed = np.ones(self._rows, dtype=bool)
        for condition in where.conditions:
            one = np.zeros(self._rows, dtype=bool)
            for part in self.parts(condition.field):
                places = np.frombuffer(part.places, "<u4")
                one[np.frombuffer(part.rows, "<u4")[_good(condition, part.values)[places]]] = True
            passed &= one
        return passed

    def _parts(self) -> list[dict[str, bytes]]:
        if self._raw is None:
            with self._lock:
                if self._raw is None:
                    self._raw = [msgspec.msgpack.decode(one.read(), type=dict[str, bytes]) for one in self._files]
        return self._raw


def joined(parts: Sequence[Column]) -> Column:
    """Make one part of several."""
    import numpy as np

    known: dict[tuple[bool, Scalar], int] = {}
    rows, places = [], []
    for part in parts:
        moved = [known.setdefault((isinstance(value, bool), value), len(known)) for value in part.values]
        rows.append(part.rows)
        places.append(np.array(moved, "<u4")[np.frombuffer(part.places, "<u4")].tobytes())
    return Column([value for _, value in known], b"".join(rows), b"".join(places))


def _good(condition: Condition, values: Sequence[Scalar]) -> NDArray[np.bool_]:
    """Tell of each value whether it passes."""
    import numpy as np

    if condition.test == "in":
        wanted = {(isinstance(value, bool), value) for value in condition.values if value == value}
        return np.fromiter(((isinstance(one, bool), one) in wanted for one in values), dtype=bool, count=len(values))
    alone = Filter((condition,))
    field: dict[str, Scalar] = {}

    def one(value: Scalar) -> bool:
        field[condition.field] = value
        return passes(alone, field, _NOTHING)

    return np.fromiter(map(one, values), dtype=bool, count=len(values))


_NOTHING: Mapping[str, Scalar] = {}
