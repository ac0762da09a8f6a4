"""Words that stand where a word stands, learned from the collection's own texts: what may be said in a word's place.

Two words are neighbours where they have the same words around them (PPMI of positions, cosine; Levy and Goldberg 2014, section 3) and
are so for each other. What has the same words around it may also be the opposite: those stand beside each other, "convex and concave",
and are left out (Lin et al. 2003, on contrast by patterns of co-occurrence).
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from meliora.knowledge.text.analysis import analyse

LEAST = 8
"""How often a word must stand in the texts."""
SHARED = 20
"""Places around them that two neighbours must have in common."""
COSINE = 0.2
FIRST = 3
"""Each must be among so many nearest of the other."""
BESIDE = 0.01
"""Share of the rarer word's places with the other one close by, above which they are told apart."""
_SPAN, _CLOSE = 2, 6
_COMMON = 3_000
"""Words that count as what stands around."""
_LETTERS = 2_000_000
"""Letters of the texts that are read."""
_TOKEN = re.compile(r"[^\W\d_]{1,40}|\d{1,20}|[^\s\w]")

_Place = tuple[int, str]


class CollectionNeighbours:
    """Implements `Neighbours` over the texts of a collection. Few texts tell nothing: then no word has any."""

    def __init__(self, texts: Iterable[str]) -> None:
        sentences = _read(texts)
        counts = Counter(word for words in sentences for word in words if word.isalpha())
        self._counts = {word: count for word, count in counts.items() if count >= LEAST and _may(word)}
        common = frozenset(word for word, _ in counts.most_common(_COMMON))
        self._vectors = _vectors(sentences, self._counts, common)
        self._having: dict[_Place, list[str]] = defaultdict(list)
        for word, vector in self._vectors.items():
            for place in vector:
                self._having[place].append(word)
        self._beside = _beside(sentences, self._counts)
        self._nearest = lru_cache(4096)(self._look)

    def __call__(self, word: str, /) -> Sequence[str]:
        """Give them, the nearest first."""
        return tuple(one for one in self._nearest(word) if word in self._nearest(one) and not self._apart(word, one))

    def _look(self, word: str) -> tuple[str, ...]:
        mine = self._vectors.get(word, {})
        shared: Counter[str] = Counter()
        cosine: defaultdict[str, float] = defaultdict(float)
        for place, weight in mine.items():
            for other in self._having[place]:
                shared[other] += 1
                cosine[other] += weight * self._vectors[other][place]
        stems = analyse(word).terms
        near = [
            (value, other)
            for other, value in cosine.items()
            if value >= COSINE and shared[other] >= SHARED and analyse(other).terms != stems
        ]
        return tuple(other for _, other in sorted(near, key=lambda one: (-one[0], one[1]))[:FIRST])

    def _apart(self, word: str, other: str) -> bool:
        beside = self._beside.get((min(word, other), max(word, other)), 0)
        return beside > BESIDE * min(self._counts[word], self._counts[other])


def _may(word: str) -> bool:
    return len(word) > 3 and bool(analyse(word).terms)


def _read(texts: Iterable[str]) -> list[list[str]]:
    found: list[list[str]] = []
    left = _LETTERS
    for text in texts:
        found.append(_TOKEN.findall(text[:left].casefold()))
        left -= len(text)
        if left <= 0:
            break
    return found


def _vectors(
    texts: Sequence[Sequence[str]], counts: Mapping[str, int], common: frozenset[str]
) -> dict[str, dict[_Place, float]]:
    """Give each word's places by positive pointwise mutual information, of length 1; rare places are smoothed by the power .75."""
    around: defaultdict[str, Counter[_Place]] = defaultdict(Counter)
    for words in texts:
        for at, word in enumerate(words):
            if word in counts:
                for step in (*range(-_SPAN, 0), *range(1, _SPAN + 1)):
                    if 0 <= at + step < len(words) and words[at + step] in common:
                        around[word][step, words[at + step]] += 1
    total: Counter[_Place] = Counter()
    for places in around.values():
        total.update(places)
    smoothed = {place: count**0.75 for place, count in total.items()}
    whole = sum(smoothed.values())
    found: dict[str, dict[_Place, float]] = {}
    for word, places in around.items():
        seen = sum(places.values())
        weights = {
            place: weight
            for place, count in places.items()
            if (weight := math.log(count / seen * whole / smoothed[place])) > 0
        }
        norm = math.sqrt(sum(weight * weight for weight in weights.values()))
        if norm:
            found[word] = {place: weight / norm for place, weight in weights.items()}
    return found


def _beside(texts: Sequence[Sequence[str]], counts: Mapping[str, int]) -> Counter[tuple[str, str]]:
    """Count how often two words stand close to each other in a sentence."""
    found: Counter[tuple[str, str]] = Counter()
    for words in texts:
        for at, word in enumerate(words):
            if word not in counts:
                continue
            for other in words[at + 1 : at + _CLOSE]:
                if other == ".":
                    break
                if other in counts and other != word:
                    found[min(word, other), max(word, other)] += 1
    return found
