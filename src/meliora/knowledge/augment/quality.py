"""What a made query keeps of its source, how much a set differs within, and what is too near to the test set."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from meliora.knowledge.augment.examples import Example
from meliora.knowledge.upkeep.ratio import token_sort_ratio

_WORD = re.compile(r"[^\W_]+")
NEAR = 0.9
"""Token-sort ratio from which on a query is one of the test set."""
CONTAINED = 0.8
"""The same of words: share of the shorter one's that the other has."""
_PAIRS = 2_000


def words(text: str) -> list[str]:
    """Give the words of a text in lower case."""
    return _WORD.findall(text.casefold())


def quality(example: Example, found: Callable[[str], Sequence[str]] | None = None) -> float:
    """Give how good an example is, in [0, 1]: how much it keeps, halved where a search for it does not give its document back.

    What it keeps: the share of the words of a query that are there, letter by letter, so that one misspelled counts; all of those of
    a made query that its text has, where it was made of a document. A number that is lost or new makes it 0.
    """
    mine, source = words(example.query), words(example.made_of)
    if not mine or not source:
        return 0.0
    whole = example.method in ("query_from_document", "query_generation")
    numbers, others = (Counter(word for word in each if _number(word)) for each in (mine, source))
    if numbers - others or (not whole and others - numbers):
        return 0.0
    if whole:
        kept = 0.5 + 0.5 * sum(word in set(source) for word in mine) / len(mine)
    else:
        kept = token_sort_ratio(mine, source)
        kept = max(kept, 0.6) if example.method in ("paraphrase", "back_translation", "synonyms") else kept
    if found is None:
        return kept
    return kept if example.document in list(found(example.query))[:10] else kept / 2


def _number(word: str) -> bool:
    return any(map(str.isnumeric, word))


def distinct(queries: Iterable[str], n: int = 2) -> float | None:
    """Give the share of different n-grams of words among all (distinct-n; Li et al. 2016); None where there are none."""
    grams = [
        tuple(each[at : at + n]) for query in queries for each in [words(query)] for at in range(len(each) - n + 1)
    ]
    return len(set(grams)) / len(grams) if grams else None


def diversity(queries: Sequence[str]) -> float | None:
    """Give the mean of distinct-1, distinct-2 and the distance of pairs (1 - Jaccard of words, evenly drawn); None below two."""
    if len(queries) < 2:
        return None
    sets = [frozenset(words(query)) for query in queries]
    total = len(sets) * (len(sets) - 1) // 2
    step = max(1, total // _PAIRS)
    drawn = [_apart(*_pair(at, len(sets)), sets) for at in range(0, total, step)]
    parts = [sum(drawn) / len(drawn), distinct(queries, 1), distinct(queries, 2)]
    known = [one for one in parts if one is not None]
    return sum(known) / len(known)


def _pair(at: int, n: int) -> tuple[int, int]:
    """Give the pair of a number: first those one apart, then two apart, and so on around."""
    gap, one = divmod(at, n)
    return one, (one + gap + 1) % n


def _apart(a: int, b: int, sets: Sequence[frozenset[str]]) -> float:
    union = sets[a] | sets[b]
    return 1 - len(sets[a] & sets[b]) / len(union) if union else 0.0


class ForbiddenQueries:
    """Queries that must not be learned from: those of the frozen judgments."""

    def __init__(self, queries: Iterable[str]) -> None:
        self._words = [(frozenset(found), tuple(found)) for query in queries if (found := words(query))]
        self._normal = {" ".join(found) for _, found in self._words}
        self._having: dict[str, list[int]] = {}
        for at, (each, _) in enumerate(self._words):
            for word in each:
                self._having.setdefault(word, []).append(at)

    def has(self, query: str) -> bool:
        """Tell whether a query is one of them, or nearly: by its words, its letters, or what it holds."""
        mine = words(query)
        if not mine or " ".join(mine) in self._normal:
            return bool(mine)
        shared = Counter(at for word in set(mine) for at in self._having.get(word, ()))
        for at, common in shared.items():
            theirs, ordered = self._words[at]
            least = min(len(theirs), len(set(mine)))
            if least >= 3 and common >= CONTAINED * least:
                return True
            if token_sort_ratio(mine, ordered) >= NEAR:
                return True
        letters = "".join(sorted(mine))
        return any(
            abs(len(letters) - sum(map(len, one))) <= 2 and token_sort_ratio(mine, one) >= NEAR
            for _, one in self._words
        )
