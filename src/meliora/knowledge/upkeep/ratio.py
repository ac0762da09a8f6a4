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
    """Give the length of a longest common subsequence. What both begin and end with is part of one."""
    if len(a) < len(b):
        a, b = b, a
    start = 0
    while start < len(b) and a[start] == b[start]:
        start += 1
    end = 0
    while end < len(b) - start and a[-1 - end] == b[-1 - end]:
        end += 1
    a, b = a[start : len(a) - end], b[start : len(b) - end]
    where: dict[str, int] = {}
    bit = 1
    for letter in a:
        where[letter] = where.get(letter, 0) | bit
        bit <<= 1
    whole = row = bit - 1
    for mask in map(where.get, b):
        if mask is not None:
            hit = row & mask
            row = (row + hit) | (row - hit)  # what is carried beyond the end of `a` meets no mask, and is not counted
    return start + end + len(a) - (row & whole).bit_count()
