"""Words as written, and terms, with the passages that have them: one whole table and changes to it, added up when asked."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from meliora.knowledge.index.embedded.columns import File

MOST_CHANGES = 8
"""Files of changes before they are added up into a whole one."""


class Counts(msgspec.Struct, array_like=True):
    """Passages by term and by written word; in a change, what is added to them."""

    terms: dict[str, int]
    written: dict[str, int]


class Tally:
    """Counts while passages come and go."""

    def __init__(self) -> None:
        self.terms: Counter[str] = Counter()
        self.written: Counter[str] = Counter()

    def add(self, terms: Sequence[str], written: Sequence[str]) -> None:
        """Count a passage."""
        self.terms.update(set(terms))
        self.written.update(set(written))

    def remove(self, terms: Sequence[str], written: Sequence[str]) -> None:
        """Count a passage no longer."""
        self.terms.subtract(set(terms))
        self.written.subtract(set(written))

    def encoded(self, before: CountsOf | None = None) -> bytes:
        """Give the file: with `before`, its counts added, so that it is whole."""
        terms: Mapping[str, int] = self.terms
        written: Mapping[str, int] = self.written
        if before is not None:
            terms, written = _added([before.vocabulary(), terms]), _added([before.written(), written])
        return msgspec.msgpack.encode(Counts(_nonzero(terms), _nonzero(written)))


class CountsOf:
    """The counts of a state. Read when first asked for; the whole table is shared with the state before."""

    def __init__(self, files: Mapping[str, File], before: CountsOf | None = None) -> None:
        """Take files by name, the whole one first."""
        self._names, self._files = tuple(files), tuple(files.values())
        self._parts: list[Counts] | None = None
        self._lock = threading.Lock()
        self._vocabulary: Mapping[str, int] | None = None
        self._written: Mapping[str, int] | None = None
        self._known: dict[str, Counts] = before.read_already() if before is not None else {}

    def read_already(self) -> dict[str, Counts]:
        """Give the files that were read, by name."""
        return dict(zip(self._names, self._parts or (), strict=False))

    def frequency(self, term: str) -> int:
        """Give the passages that have a term."""
        return sum(one.terms.get(term, 0) for one in self._read())

    def vocabulary(self) -> Mapping[str, int]:
        """Give every term with its passages."""
        if self._vocabulary is None:
            self._vocabulary = _added([one.terms for one in self._read()])
        return self._vocabulary

    def written(self) -> Mapping[str, int]:
        """Give every written word with its passages."""
        if self._written is None:
            self._written = _added([one.written for one in self._read()])
        return self._written

    def _read(self) -> list[Counts]:
        if self._parts is None:
            with self._lock:
                if self._parts is None:
                    self._parts = [
                        self._known.get(name) or msgspec.msgpack.decode(file.read(), type=Counts)
                        for name, file in zip(self._names, self._files, strict=True)
                    ]
                    self._known = {}
        return self._parts


def _added(parts: Sequence[Mapping[str, int]]) -> Mapping[str, int]:
    if len(parts) == 1:
        return parts[0]
    whole = dict(parts[0]) if parts else {}
    for part in parts[1:]:
        for word, count in part.items():
            whole[word] = whole.get(word, 0) + count
    return _nonzero(whole)


def _nonzero(counts: Mapping[str, int]) -> dict[str, int]:
    return {word: count for word, count in counts.items() if count}
