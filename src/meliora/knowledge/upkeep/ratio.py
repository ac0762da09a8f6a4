"""How much two texts have in common: the share of letters in a longest common subsequence of their sorted words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

_LONG = 20_000
"""Letters up to which letters are compared; beyond, words."""


def token_sort_ratio(a: Iterable[str], b: Iterable[str]) -> float:
    """Give 2 x common / total in [0, 1] of the sorted words, 1 for equal ones; 1 for two empty texts.

    The common subsequence by bit-parallelism (Hyyrö 2004, "Bit-parallel LCS-length computation revisited").
    """
    left, right = sorted(a), sorted(b)
    one, other = " ".join(left), " ".join(right)
    if one == other:
        return 1.0
    total = len(one) + len(other)
    if max(len(one), len(other)) > _LONG:
        common = sum((len(word) + 1) * n for word, n in (Counter(left) & Counter(right)).items())
        return min(1.0, 2 * common / total)
    return 2 * _common(one, other) / total


def most(length: int, other: int) -> float:
    """Give the highest ratio that texts of such lengths can have."""
    return 2 * min(length, other) / (length + other) if length + other else 1.0


def _common(a: str, b: str) -> int:
    start = 0
    shorter = min(len(a), len(b))
    while start < shorter and a[start] == b[start]:
        start += 1
    a, b = a[start:], b[start:]
    where: dict[str, int] = {}
    for at, letter in enumerate(a):
        where[letter] = where.get(letter, 0) | 1 << at
    whole = (1 << len(a)) - 1
    row = whole
    for letter in b:
        hit = row & where.get(letter, 0)
        row = ((row + hit) | (row - hit)) & whole
    return start + len(a) - row.bit_count()
