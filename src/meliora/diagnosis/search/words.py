"""Unknown words of searches, told apart: a slip is near a known word that is asked for more often, a new word recurs by itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from meliora.diagnosis.search.records import Unknown
from meliora.diagnosis.search.seen import SearchSeen, Vocabulary
from meliora.stats.drift import share_rise_z

RECURS = 3
"""Searches from which an unknown word recurs; and a hundredth of those that have one, in large windows."""
SLIPPED = 0.5
"""How often a recurring word is asked for at most, beside the known one that it is near to, to be a slip of that."""
_NAMED = 50


@dataclass(frozen=True)
class Words:
    """The terms of both windows, and what the vocabulary says of them; each is asked once."""

    unknown: frozenset[str]
    near: frozenset[str]
    """Unknown ones that are slips."""
    recurring: tuple[str, ...]
    """Unknown ones that recur now, the commonest first."""

    @classmethod
    def of(cls, before: Sequence[SearchSeen], now: Sequence[SearchSeen], vocabulary: Vocabulary) -> Words:
        """Ask the vocabulary about all words of both windows."""
        terms = {term for searches in (before, now) for one in searches for term in one.terms}
        unknown = frozenset(term for term in terms if vocabulary.frequency(term) <= 0)
        seen = _counted(now, unknown)
        having = sum(not unknown.isdisjoint(one.terms) for one in now)
        often = {term for term, count in seen.items() if count >= max(RECURS, 0.01 * having)}
        written = _written((*before, *now), unknown)
        asked = Counter(term for one in (*before, *now) for term in set(one.terms).difference(unknown))

        def slip(term: str) -> bool:
            # A word that is often asked for is often misspelt, in the same way, too; one that came to be used is not near such.
            meant = vocabulary.meant(written.get(term, term))
            most = max((asked[one] for one in meant), default=0)
            return bool(meant) and (term not in often or seen[term] <= SLIPPED * most)

        near = frozenset(term for term in sorted(unknown) if slip(term))
        recurring = tuple(term for term, _ in seen.most_common() if term in often and term not in near)
        return cls(unknown, near, recurring)


def unknown_words(words: Words, before: Sequence[SearchSeen], now: Sequence[SearchSeen]) -> Unknown:
    """Give the share of searches with unknown words in both windows, and which these are."""
    hits = [sum(not words.unknown.isdisjoint(one.terms) for one in searches) for searches in (before, now)]
    seen = _counted(now, words.unknown)
    slips = sum(count for term, count in seen.items() if term in words.near)
    all_words = sum(len(one.terms) for one in now)
    covered = sum(term not in words.unknown for one in now for term in one.terms)
    return Unknown(
        share_before=hits[0] / len(before) if before else None,
        share_now=hits[1] / len(now) if now else None,
        rise_z=share_rise_z(hits[1], len(now), hits[0], len(before)),
        near_share_now=slips / seen.total() if seen else None,
        new=words.recurring[:_NAMED],
        slips=sum(term in words.near for term in seen),
        coverage=covered / all_words if all_words else None,
    )


def _counted(searches: Iterable[SearchSeen], among: frozenset[str]) -> Counter[str]:
    return Counter(term for one in searches for term in sorted(among.intersection(one.terms)))


def _written(searches: Iterable[SearchSeen], among: frozenset[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in searches:
        if len(one.written) == len(one.terms):
            found.update((term, word) for term, word in zip(one.terms, one.written, strict=True) if term in among)
    return found
