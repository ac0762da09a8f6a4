"""Which older words stood where a new one stands now: two words are put for one another where the rest of the query is the same.

Wang and Zhai (CIKM 2008) mine logs of searches for what can be put in a term's place; here by the nearest older query of each new one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from heapq import nlargest

MOST_QUERIES = 20_000
"""Older queries that are held against the new ones, those asked most."""
NEAREST = 50
"""Older queries with the most in common with a new one that are looked at."""
POWER = 2
"""A query that has half in common says a quarter of what the same one says."""


class Contexts:
    """Older queries by their words."""

    def __init__(self, queries: Iterable[Collection[str]], knows: Callable[[str], bool]) -> None:
        """Take the terms of older queries, each as often as it was asked; `knows` tells whether any document has a term."""
        asked = Counter(frozenset(terms) for terms in queries)
        most = sorted(asked.items(), key=lambda one: (-one[1], sorted(one[0])))[:MOST_QUERIES]
        self._queries = [terms for terms, _ in most]
        self._having: dict[str, list[int]] = {}
        for at, terms in enumerate(self._queries):
            for term in terms:
                self._having.setdefault(term, []).append(at)
        self._knows = knows
        self._all = [sum(map(self._worth, terms)) for terms in self._queries]
        self._read: dict[frozenset[str], Mapping[str, float]] = {}

    def instead(self, term: str, queries: Iterable[Collection[str]]) -> dict[str, float]:
        """Give, for words that a new term may stand for, how far its queries are older ones with that word in its place: 0 to 1."""
        sums: Counter[str] = Counter()
        distinct = {frozenset(one) for one in queries}
        for one in distinct:
            sums.update({word: near for word, near in self._missing(one).items() if word != term})
        return {word: near / len(distinct) for word, near in sums.items()}

    def _missing(self, asked: frozenset[str]) -> Mapping[str, float]:
        """Give the words of older queries that a new one lacks, with the likeness of what else the two have."""
        found = self._read.get(asked)
        if found is None:
            found = self._read[asked] = self._compared(asked)
        return found

    def _compared(self, asked: frozenset[str]) -> Mapping[str, float]:
        own = {term: self._worth(term) for term in asked if self._knows(term)}
        common: dict[int, float] = {}
        for term, worth in own.items():
            for at in self._having.get(term, ()):
                common[at] = common.get(at, 0.0) + worth
        best: dict[str, float] = {}
        whole = sum(own.values())
        for at, shared in nlargest(
            NEAREST, common.items(), key=lambda one: (one[1] / (whole + self._all[one[0]]), -one[0])
        ):
            for word in self._queries[at]:
                if word not in asked and self._knows(word):
                    either = whole + self._all[at] - self._worth(word) - shared
                    best[word] = max(best.get(word, 0.0), (shared / either) ** POWER)
        return best

    def _worth(self, term: str) -> float:
        """Give what a term in common counts: much where few queries have it, always above 0."""
        return math.log(1 + len(self._queries) / (len(self._having.get(term, ())) + 0.5))
