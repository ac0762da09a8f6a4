"""Reformulations: people found nothing and asked again in other words. What they used of the later answer answers the first query too.

A chain is two searches of one person or session, the second soon after the first, the first unused and the second used, that have
something to do with each other: a word in common, or words that are alike (Huang and Efthimiadis, CIKM 2009, on reformulations).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from difflib import SequenceMatcher

from meliora.knowledge.quality.evidence import JudgedQuery, Pair, normal
from meliora.knowledge.quality.records import Searched

WITHIN_US = 180_000_000
"""Three minutes: whoever asks later asks something else."""
ALIKE = 0.5
"""Similarity of two queries from which the one is the other in other words."""
MOST_STEPS = 4
"""Queries of one chain."""
SHARED = 0.15
"""Part of those who used the most used document of a query who must have used another one, for that to be an answer, too."""
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


def judged(searches: Iterable[Searched], known: Iterable[Searched] = ()) -> list[JudgedQuery]:
    """Give the queries that people found an answer to, at once or by other words; each text once.

    What answers a query is what anybody used for it, or for the words that people found it by, in these searches or in those `known`
    from before: one click tells little, those of all who asked the same tell more. `again` says whether a query went unanswered until
    it was put in other words. What was used at once was picked from what this order showed, and is no fair witness for another order.
    """
    found = list(searches)
    linked: dict[str, set[str]] = {}
    people: dict[str, set[str]] = {}
    last: dict[str, tuple[str, int]] = {}
    times: Counter[str] = Counter()
    asked_again: set[str] = set()
    for chain in chains(found):
        answered = normal(chain[-1].query)
        for one in chain:
            text = normal(one.query)
            linked.setdefault(text, set()).add(answered)
            people.setdefault(text, set()).add(one.person)
            times[text] += 1
            last[text] = max(last.get(text, (one.query, 0)), (one.query, one.at_us), key=lambda seen: seen[1])
            if one is not chain[-1]:
                asked_again.add(text)
    direct = _direct((*found, *known))
    queries: list[JudgedQuery] = []
    for text, answered in sorted(linked.items()):
        grades: Counter[str] = Counter()
        who = people[text]
        for other in answered | {text}:
            used_it = direct.get(other, {})
            grades.update({document: len(own) for document, own in used_it.items()})
            who = who.union(*used_it.values())
        written, at_us = last[text]
        queries.append(
            JudgedQuery(
                id=text,
                text=written,
                grades=graded(grades),
                origin="used",
                at_us=at_us,
                weight=float(times[text]),
                again=text in asked_again,
                people=frozenset(who),
            )
        )
    return queries


def graded(people: Mapping[str, int]) -> dict[str, float]:
    """Give grades by how many used a document: one of many may be a slip of the finger, and counts where nobody used another more."""
    most = max(people.values(), default=0)
    return {document: 1.0 for document, count in people.items() if count >= max(1, SHARED * most)}


def _direct(searches: Iterable[Searched]) -> dict[str, dict[str, set[str]]]:
    """Give the people who used a document for a query."""
    found: dict[str, dict[str, set[str]]] = {}
    for one in searches:
        if one.error is None:
            for document in used(one):
                found.setdefault(normal(one.query), {}).setdefault(document, set()).add(one.person)
    return found


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
        if normal(one.query) != normal(last.query):
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
