"""How much two texts have in common: the share of letters in a longest common subsequence of their sorted words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from meliora.errors import MissingExtra

_LONG = 20_000
"""Letters up to which letters are compared; beyond, words."""


def token_sort_ratio(a: Iterable[str], b: Iterable[str], at_least: float = 0.0) -> float:
    """Give 2 x common / total in [0, 1] of the sorted words, 1 for equal ones and for two empty texts; 0 where it is under `at_least`.

    Raises `MissingExtra`.
    """
    try:
        from rapidfuzz.distance import Indel
    except ImportError as error:
        raise MissingExtra("Upkeep needs RapidFuzz.", hint="pip install 'meliora[knowledge]'") from error
    left, right = sorted(a), sorted(b)
    one, other = " ".join(left), " ".join(right)
    if max(len(one), len(other)) <= _LONG:
        return Indel.normalized_similarity(one, other, score_cutoff=at_least)
    common = sum((len(word) + 1) * n for word, n in (Counter(left) & Counter(right)).items())
    ratio = min(1.0, 2 * common / (len(one) + len(other)))
    return ratio if ratio >= at_least else 0.0


def most(length: int, other: int) -> float:
    """Give the highest ratio that texts of such lengths can have."""
    return 2 * min(length, other) / (length + other) if length + other else 1.0
