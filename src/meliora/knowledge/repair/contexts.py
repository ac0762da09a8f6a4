"""Which older words stood where a new one stands now: two words are put for one another where the rest of the query is the same.

Wang and Zhai (CIKM 2008) mine logs of searches for what can be put in a term's place; here by the nearest older query of each new one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping

import numpy as np

MOST_QUERIES = 20_000
"""Older queries that are held against the new ones, those asked most."""
NEAREST = 50
"""Older queries with the most in common with a new one that are looked at."""
POWER = 2
"""A query that has half in common says a quarter of what the same one says."""
_NOWHERE = np.array([], dtype=np.int32)


class Contexts:
    """Older queries by their words."""

    def __init__(self, queries: Iterable[Collection[str]], knows: Callable[[str], bool]) -> None:
        """Take the terms of older queries, each as often as it was asked; `knows` tells whether any document has a term."""
        asked = Counter(frozenset(terms) for terms in queries if terms)
        most = sorted(asked.items(), key=lambda one: (-one[1], sorted(one[0])))[:MOST_QUERIES]
        self._queries = [terms for terms, _ in most]
        having: dict[str, list[int]] = {}
        for at, terms in enumerate(self._queries):
            for term in terms:
                having.setdefault(term, []).append(at)
        self._having = {term: np.array(places, dtype=np.int32) for term, places in having.items()}
        self._knows = knows
        self._all = np.array([math.fsum(map(self._worth, terms)) for terms in self._queries])
        self._read: dict[frozenset[str], Mapping[str, float]] = {}

    def instead(self, term: str, queries: Iterable[Collection[str]]) -> dict[str, float]:
        """Give, for words that a new term may stand for, how far its queries are older ones with that word in its place: 0 to 1."""
        distinct = {frozenset(one) for one in queries}
        seen: dict[str, list[float]] = {}
        for one in distinct:
            for word, near in self._missing(one).items():
                seen.setdefault(word, []).append(near)
        return {word: math.fsum(near) / len(distinct) for word, near in seen.items() if word != term}

    def _missing(self, asked: frozenset[str]) -> Mapping[str, float]:
        """Give the words of older queries that a new one lacks, with the likeness of what else the two have."""
        found = self._read.get(asked)
        if found is None:
            found = self._read[asked] = self._compared(asked)
        return found

    def _compared(self, asked: frozenset[str]) -> Mapping[str, float]:
        own = {term: self._worth(term) for term in sorted(asked) if self._knows(term)}
        common = np.zeros(len(self._queries))
        for term, worth in own.items():
            common[self._having.get(term, _NOWHERE)] += worth
        whole = math.fsum(own.values())
        nearest = np.argsort(-common / (whole + self._all), kind="stable")[:NEAREST]
        best: dict[str, float] = {}
        for at in nearest[common[nearest] > 0].tolist():
            for word in self._queries[at]:
                if word not in asked and self._knows(word):
                    either = whole + self._all[at] - self._worth(word) - common[at]
                    best[word] = max(best.get(word, 0.0), float((common[at] / either) ** POWER))
        return best

    def _worth(self, term: str) -> float:
        """Give what a term in common counts: much where few queries have it, always above 0."""
        return math.log(1 + len(self._queries) / (len(self._having.get(term, _NOWHERE)) + 0.5))
