"""What never changes of a generation, by name: written once, read once a process, and shared by the views that name it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from meliora.errors import StoreError
from meliora.store.engine import once_more
from meliora.store.knowledge.index.driver import Cursor, asking


class Files:
    """The files of a generation as a view reads them. Safe to use from several threads."""

    def __init__(self, engine: sa.Engine, generation: int, before: Files | None, named: Iterable[str]) -> None:
        """Of `before`, files of the same generation, those `named` are known already."""
        self._engine, self._generation = engine, generation
        known = before._known if before is not None and before._generation == generation else {}
        self._known = {name: known[name] for name in named if name in known}

    def read(self, name: str) -> bytes:
        """Give what is in a file. Raises `StoreError` where it was removed: the view is too old."""
        body = self._known.get(name)
        if body is None:
            body = self._known[name] = self._asked(name)
        return body

    @once_more
    def _asked(self, name: str) -> bytes:
        with asking(self._engine) as cursor:
            found = read(cursor, self._generation, [name])
        if name not in found:
            raise outlived()
        return found[name]

    def file(self, name: str) -> File:
        """Give one that is read later."""
        return File(self, name)


class File:
    """One that is read when it is needed."""

    def __init__(self, files: Files, name: str) -> None:
        self._files, self._name = files, name

    def read(self) -> bytes:
        """Give what is in it."""
        return self._files.read(self._name)


class Held:
    """One that was read already."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def read(self) -> bytes:
        """Give what is in it."""
        return self._body


def read(cursor: Cursor, generation: int, names: Sequence[str]) -> dict[str, bytes]:
    """Give those of these files that are there."""
    query = "SELECT name, data FROM index_files WHERE generation = %s AND name = ANY(%s)"
    return dict(cursor.execute(query, (generation, list(names))).fetchall())


def write(cursor: Cursor, generation: int, name: str, body: bytes) -> None:
    """Write a file."""
    cursor.execute("INSERT INTO index_files (generation, name, data) VALUES (%s, %s, %s)", (generation, name, body))


def outlived() -> StoreError:
    """Make the error of a view whose state was removed."""
    return StoreError("The view is older than what the index keeps.", hint="Take a new view.")
