"""What people did when an answer was none: they asked again in other words. Then what they used of that answer answers the first query too.

A chain is two searches of one person or session, the second soon after the first, the first unused and the second used, that have
something to do with each other: a word in common, or words that are alike (Huang and Efthimiadis, CIKM 2009, on reformulations).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher

from meliora.knowledge.quality.evidence import JudgedQuery, Pair
from meliora.knowledge.quality.records import Searched

WITHIN_US = 180_000_000
"""Three minutes: whoever asks later asks something else."""
ALIKE = 0.5
"""Similarity of two queries from which the one is the other in other words."""
MOST_STEPS = 4
"""Queries of one chain."""
CLIP = 5.0
"""Most that the place of one click counts."""


def pairs(searches: Iterable[Searched]) -> list[Pair]:
    """Give what people used, for the query that found it and for the queries that should have."""
    found: list[Pair] = []
    for chain in chains(searches):
        last = chain[-1]
        for document in used(last):
            weight = _weight(last, document)
            at = last.at_us
            found.append(Pair(query=last.query, document=document, weight=weight, at_us=at))
            found.extend(
                Pair(query=one.query, document=document, weight=weight, again=last.query, at_us=one.at_us)
                for one in chain[:-1]
            )
    return found


def judged(searches: Iterable[Searched]) -> list[JudgedQuery]:
    """Give the queries that people found an answer to, at once or by other words; each text once, with all that was used for it."""
    grades: dict[str, dict[str, float]] = {}
    when: dict[str, int] = {}
    text: dict[str, str] = {}
    times: dict[str, int] = {}
    for one in pairs(searches):
        key = " ".join(one.query.casefold().split())
        grades.setdefault(key, {})[one.document] = 1.0
        when[key] = max(when.get(key, 0), one.at_us)
        text.setdefault(key, one.query)
        times[key] = times.get(key, 0) + 1
    return [
        JudgedQuery(id=key, text=text[key], grades=own, origin="used", at_us=when[key], weight=float(times[key]))
        for key, own in sorted(grades.items())
    ]


def chains(searches: Iterable[Searched]) -> list[list[Searched]]:
    """Give each used search with the unused ones before it that asked the same in other words, the first one first."""
    by_person: dict[str, list[Searched]] = {}
    for one in sorted(searches, key=lambda one: (one.at_us, one.id)):
        if one.error is None and one.query.strip():
            by_person.setdefault(one.session or one.person, []).append(one)
    found: list[list[Searched]] = []
    for own in by_person.values():
        for at, one in enumerate(own):
            if used(one):
                found.append([*_before(own[:at], one), one])
    return found


def used(search: Searched) -> tuple[str, ...]:
    """Give the documents that somebody used of an answer; none where it was refused as a whole."""
    return () if search.accepted is False else search.clicked


def _before(earlier: Sequence[Searched], last: Searched) -> list[Searched]:
    chain: list[Searched] = []
    after = last
    for one in reversed(earlier[-MOST_STEPS:]):
        if used(one) or after.at_us - one.at_us > WITHIN_US or not related(one, last):
            break
        if " ".join(one.query.casefold().split()) != " ".join(last.query.casefold().split()):
            chain.append(one)
        after = one
    return chain[::-1]


def related(one: Searched, other: Searched) -> bool:
    """Tell whether two queries have to do with each other."""
    if set(one.terms) & set(other.terms):
        return True
    first, second = one.query.casefold()[:500], other.query.casefold()[:500]
    return SequenceMatcher(None, first, second, autojunk=False).ratio() >= ALIKE


def _weight(search: Searched, document: str) -> float:
    """Give what a click counts by the place of its document: looked at with a chance of about 1 / place, clipped."""
    place = search.shown.index(document) + 1 if document in search.shown else 1
    return min(CLIP, float(place))
