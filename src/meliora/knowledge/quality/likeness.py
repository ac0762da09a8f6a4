"""Finds the older query that a new one equals but for words that no passage has: what answers the older one answers the new one too.

A slip or a new word stands in the place of one that is missing. All other words must be the same, two at least and half of them all.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from meliora.knowledge.quality.evidence import JudgedQuery

LEAST = 2
"""Words in common."""
COMMON = 0.5
"""Part of the older query's words that the new one has."""


def linked(
    texts: Mapping[str, Sequence[str]],
    older: Iterable[JudgedQuery],
    terms_of: Callable[[str], Sequence[str]],
    knows: Callable[[str], bool],
) -> dict[str, JudgedQuery]:
    """Give the older query of each text that is one but for its unknown words; nothing where two would do that are answered otherwise.

    `texts` has the terms of each text, `knows` tells whether any passage has a term. What an older query has and the new one lacks must
    be words that passages know: where it is not certain since when words are new, some of the older ones have them.
    """
    asked = [(one, frozenset(terms_of(one.text))) for one in older if any(grade > 0 for grade in one.grades.values())]
    having: dict[str, list[int]] = defaultdict(list)
    for at, (_, terms) in enumerate(asked):
        for term in terms:
            having[term].append(at)
    found: dict[str, JudgedQuery] = {}
    for text, terms in texts.items():
        own = frozenset(terms)
        known = frozenset(term for term in own if knows(term))
        if len(known) >= LEAST and known != own:
            common = Counter(at for term in known for at in having.get(term, ()))
            near = [asked[at] for at, count in common.items() if count == len(known)]
            one = _one(own, known, near, knows)
            if one is not None:
                found[text] = one
    return found


def _one(
    own: frozenset[str],
    known: frozenset[str],
    near: Iterable[tuple[JudgedQuery, frozenset[str]]],
    knows: Callable[[str], bool],
) -> JudgedQuery | None:
    """Give the one that fits, of those that have all known words."""
    fitting: list[tuple[int, str, frozenset[str], JudgedQuery]] = []
    for one, terms in near:
        missing, new = terms - own, own - terms
        if 0 < len(missing) <= len(new) and len(known) >= COMMON * len(terms) and all(knows(term) for term in missing):
            fitting.append((len(new) - len(missing), one.id, terms, one))
    # Of several the one whose missing words are as many as the unknown ones; two that are as near must have the same answer.
    fitting.sort(key=lambda fit: fit[:2])
    nearest = [fit for fit in fitting if fit[0] == fitting[0][0]]
    return nearest[0][3] if len({terms for _, _, terms, _ in nearest}) == 1 else None
