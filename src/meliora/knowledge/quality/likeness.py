"""Which older query a new one is, but for words that no passage has: then what answers the older one answers the new one, too.

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

    `texts` has the terms of each text, `knows` tells whether any passage has a term.
    """
    asked = [(one, frozenset(terms_of(one.text))) for one in older if any(grade > 0 for grade in one.grades.values())]
    having: dict[str, list[int]] = defaultdict(list)
    for at, (_, terms) in enumerate(asked):
        for term in terms:
            having[term].append(at)
    found: dict[str, JudgedQuery] = {}
    for text, terms in texts.items():
        known = frozenset(term for term in terms if knows(term))
        unknown = len(frozenset(terms)) - len(known)
        if unknown and len(known) >= LEAST:
            one = _one(asked, having, known, unknown)
            if one is not None:
                found[text] = one
    return found


def _one(
    asked: Sequence[tuple[JudgedQuery, frozenset[str]]],
    having: Mapping[str, Sequence[int]],
    known: frozenset[str],
    unknown: int,
) -> JudgedQuery | None:
    common = Counter(at for term in known for at in having.get(term, ()))
    fitting = [
        at
        for at, count in common.items()
        if count == len(known) and 0 < len(asked[at][1]) - count <= unknown and count >= COMMON * len(asked[at][1])
    ]
    # Of several the one whose missing words are as many as the unknown ones; two that are as near must have the same answer.
    fitting.sort(key=lambda at: (unknown - (len(asked[at][1]) - len(known)), asked[at][0].id))
    nearest = [at for at in fitting if len(asked[at][1]) == len(asked[fitting[0]][1])]
    terms = {asked[at][1] for at in nearest}
    return asked[nearest[0]][0] if len(terms) == 1 else None
