"""Words within a few edits of another, by letters left out of both: Garbe's symmetric deletes (2012), kept as sorted numbers.

Only the first letters of a word are keyed, so that long words cost no more than short ones; what is found is verified by the caller.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from meliora.stats.distinct import distinct

_PREFIX = 7
_BASE = 1_000_003
_LIMIT = 0xFFFFFFFF


class Deletes:
    """An index of words by what is left of them without some letters. Immutable, 12 bytes a key and about 29 keys a word."""

    def __init__(self, words: Sequence[str], most: int) -> None:
        """Index words that are reached by at most `most` edits."""
        self._words = tuple(words)
        self._most = most
        self._lengths = np.fromiter(map(len, words), np.int32, len(words))
        self._masks = np.fromiter(map(_letters, words), np.uint64, len(words))
        keys, owners = _keyed(words, self._lengths, most)
        order = np.argsort(keys, kind="stable")
        self._keys, self._owners = keys[order], owners[order]

    def near(self, word: str, most: int) -> Iterator[str]:
        """Give the words that may be within `most` edits: all that are, and some that are not."""
        most = min(most, self._most)
        if not self._words:
            return
        keys = np.array(sorted({_key(rest) for rest in _rests(word[:_PREFIX], most)}), dtype=np.uint32)
        starts, ends = np.searchsorted(self._keys, keys, "left"), np.searchsorted(self._keys, keys, "right")
        parts = [self._owners[start:end] for start, end in zip(starts, ends, strict=True) if end > start]
        if not parts:
            return
        found = distinct(np.concatenate(parts))
        found = found[np.abs(self._lengths[found] - len(word)) <= most]
        # An edit takes one kind of letter out and brings one in, at most.
        differ = np.bitwise_count(self._masks[found] ^ np.uint64(_letters(word)))
        for at in found[differ <= 2 * most]:
            yield self._words[at]


def _keyed(words: Sequence[str], lengths: NDArray[np.int32], most: int) -> tuple[NDArray[np.uint32], NDArray[np.int32]]:
    if not words:
        return np.zeros(0, np.uint32), np.zeros(0, np.int32)
    letters = np.array(words, dtype=f"<U{_PREFIX}").view(np.uint32).reshape(len(words), _PREFIX)
    keys: list[NDArray[np.uint32]] = []
    owners: list[NDArray[np.int32]] = []
    for left_out in (gone for times in range(most + 1) for gone in combinations(range(_PREFIX), times)):
        long = np.flatnonzero(lengths > (left_out[-1] if left_out else -1)).astype(np.int32)
        key = np.zeros(len(long), np.uint32)
        for column in range(_PREFIX):
            if column not in left_out:
                letter = letters[long, column]
                key = np.where(letter == 0, key, key * np.uint32(_BASE) + letter)
        keys.append(key)
        owners.append(long)
    return np.concatenate(keys), np.concatenate(owners)


def _rests(word: str, most: int) -> Iterator[str]:
    for times in range(min(most, len(word)) + 1):
        for gone in combinations(range(len(word)), times):
            yield "".join(letter for at, letter in enumerate(word) if at not in gone)


def _key(rest: str) -> int:
    key = 0
    for letter in rest:
        key = (key * _BASE + ord(letter)) & _LIMIT
    return key


def _letters(word: str) -> int:
    mask = 0
    for letter in word:
        mask |= 1 << (ord(letter) & 63)
    return mask
