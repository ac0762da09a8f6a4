"""What was worked out for a word once is not worked out again, as long as it is used."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")


class Remembered(dict[str, _T]):
    """Answers by key, made when they are first asked for: `map(remembered.__getitem__, keys)` runs without a step of Python.

    Two tables of at most `most` keys: when the newer is full, what the older has and nobody asked for since is forgotten. Keys longer
    than `longest` are not kept. Safe to use from several threads where `make` is.
    """

    def __init__(self, make: Callable[[str], _T], most: int, longest: int) -> None:
        super().__init__()
        self._make, self._most, self._longest = make, most, longest
        self._older: dict[str, _T] = {}

    def __missing__(self, key: str) -> _T:
        """Give what the older table has, or make it."""
        found = self._older.get(key)
        if found is None:
            found = self._make(key)
        if len(key) <= self._longest:
            if len(self) >= self._most:
                self._older = dict(self)
                self.clear()
            self[key] = found
        return found
