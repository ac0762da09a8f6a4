"""Replaces words that the index does not know by words that it does: misspelled ones, and those written together or apart.

A word that the documents have is theirs and stays. So does what is no word: numbers, identifiers, codes, addresses, and anything very long.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from heapq import nlargest

from meliora.knowledge.config import Spelling
from meliora.knowledge.repair.channel import cost
from meliora.knowledge.repair.deletes import Deletes

LONGEST = 40
"""Letters of the longest word that is repaired."""
MOST_WORDS = 200_000
"""Of a larger vocabulary only the most frequent words are repaired to."""
CANDIDATES = 4
_LEAST_WEIGHT = 0.15
"""Of the likeliest: less likely candidates are left out."""
_PRIOR = 0.4
"""How much a word's frequency counts beside the cost of the edits."""
_APART = 4.0
"""Cost of a space that is missing."""
_PART = 3
"""Letters of the shortest part of a word that was written together."""


class Speller:
    """Repairs words by a vocabulary as it is written. Immutable: make one for each view of an index."""

    def __init__(self, written: Mapping[str, int], rules: Spelling) -> None:
        """Take words in lower case, with the passages that have them."""
        self._written = written
        self._rules = rules
        able = {word: count for word, count in written.items() if _able(word, count, rules)}
        self._deletes = Deletes(nlargest(MOST_WORDS, able, key=lambda word: (able[word], word)), rules.distance)

    def knows(self, word: str) -> bool:
        """Tell whether the documents have a word."""
        return word in self._written

    def repair(self, word: str) -> tuple[tuple[str, float], ...]:
        """Give what a word was meant to be, the likeliest first with weights that sum to 1; nothing where it is to be left alone.

        A meaning of two words has a space between them.
        """
        if word in self._written or not _repairable(word, self._rules.least):
            return ()
        scored = {meant: self._prior(meant) - price for meant, price in self._near(word).items()}
        scored |= self._apart(word)
        return _weighted(scored)

    def near(self, word: str) -> bool:
        """Tell whether the vocabulary has a word that this one may be a misspelling of, itself not counted."""
        return _repairable(word, self._rules.least) and any(meant != word for meant in self._near(word))

    def joined(self, left: str, right: str) -> str | None:
        """Give the word that two neighbours make when written together, where the documents have that rather than the rarer of both."""
        both = left + right
        if len(left) < 2 or len(right) < 2 or not _repairable(both, self._rules.least):
            return None
        apart = min(self._written.get(left, 0), self._written.get(right, 0))
        return both if self._written.get(both, 0) >= max(self._rules.documents, apart + 1) else None

    def _near(self, word: str) -> dict[str, float]:
        most = self._rules.distance if len(word) >= self._rules.long else min(1, self._rules.distance)
        prices = ((meant, cost(word, meant, most)) for meant in self._deletes.near(word, most))
        return {meant: price[1] for meant, price in prices if price is not None}

    def _apart(self, word: str) -> dict[str, float]:
        found: dict[str, float] = {}
        for at in range(_PART, len(word) - _PART + 1):
            left, right = word[:at], word[at:]
            if min(self._written.get(left, 0), self._written.get(right, 0)) >= self._rules.documents:
                found[f"{left} {right}"] = min(self._prior(left), self._prior(right)) - _APART
        return found

    def _prior(self, word: str) -> float:
        return _PRIOR * math.log(self._written[word])


def unknown_share(words: Mapping[str, int], vocabulary: Mapping[str, int]) -> float:
    """Give the share of words, counted as often as they were asked, that the vocabulary does not have; 0 for no words."""
    asked = sum(words.values())
    return sum(times for word, times in words.items() if word not in vocabulary) / asked if asked else 0.0


def _able(word: str, count: int, rules: Spelling) -> bool:
    return count >= max(1, rules.documents) and _repairable(word, max(1, rules.least - 1))


def _repairable(word: str, least: int) -> bool:
    return least <= len(word) <= LONGEST and word.isalpha()


def _weighted(scored: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    if not scored:
        return ()
    ranked = sorted(scored.items(), key=lambda one: (-one[1], one[0]))[:CANDIDATES]
    likely = [(word, math.exp(score - ranked[0][1])) for word, score in ranked]
    kept = [(word, share) for word, share in likely if share >= _LEAST_WEIGHT]
    total = sum(share for _, share in kept)
    return tuple((word, share / total) for word, share in kept)
