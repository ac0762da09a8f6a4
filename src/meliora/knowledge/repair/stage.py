"""A query as it is asked after its repair: misspelled words put right, words that were learned put into those of the documents.

Pure: knows no index but what is told of it. A word that the documents have stays as it is, but for one that a table translates.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

from meliora.knowledge.answers import Rewrite
from meliora.knowledge.repair.expansion import Table
from meliora.knowledge.repair.spelling import Speller
from meliora.knowledge.search.parts import Origin, Rewritten
from meliora.knowledge.text.analysis import Analysed

Analyse = Callable[[str], Analysed]
_JOINED = 0.5
"""Weight of two neighbours written together, where the documents have each alone as well."""
_STRONG = 0.5
"""Weight from which a learned word is asked for by its characters, too."""


@dataclass(slots=True)
class _Draft:
    terms: dict[str, float] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)
    origins: dict[str, Origin] = field(default_factory=dict)
    rewrites: list[Rewrite] = field(default_factory=list)

    def add(self, term: str, weight: float) -> None:
        self.terms[term] = self.terms.get(term, 0.0) + weight

    def rewrite(self, stage: str, written: str, terms: dict[str, float]) -> None:
        for term, weight in terms.items():
            self.add(term, weight)
            self.origins.setdefault(term, Origin(stage, written))
        made = Rewrite("spelling" if stage == "spelling" else "expansion", written, terms)
        if made not in self.rewrites:
            self.rewrites.append(made)


def repaired(
    query: Analysed,
    speller: Speller | None,
    table: Table | None,
    analyse: Analyse,
    *,
    frequency: Callable[[str], int],
    weight: float = 1.0,
) -> Rewritten:
    """Give a query as it is to be asked; as it is, where there is nothing to repair.

    `frequency` tells in how many passages a term stands; `weight` scales what the table says. A term that is in the query itself
    keeps that origin.
    """
    draft = _Draft()
    for term, written in zip(query.terms, query.written, strict=True):
        learned = table.of(term) if table is not None else {}
        known = frequency(term) > 0
        if learned:
            _expand(draft, written, {word: share * weight for word, share in learned.items()})
        if known or not (learned or (speller is not None and _spell(draft, speller, written, analyse))):
            draft.add(term, 1.0)
            draft.words.append(written)
    if speller is not None:
        _join(draft, speller, query, analyse, frequency)
    own = frozenset(query.terms)
    origins = {term: origin for term, origin in draft.origins.items() if term not in own}
    return Rewritten(terms=draft.terms, words=tuple(draft.words), origins=origins, rewrites=tuple(draft.rewrites))


def _expand(draft: _Draft, written: str, words: dict[str, float]) -> None:
    draft.rewrite("expansion", written, words)
    draft.words.extend(word for word, share in words.items() if share >= _STRONG)


def _spell(draft: _Draft, speller: Speller, written: str, analyse: Analyse) -> bool:
    terms: dict[str, float] = {}
    meanings = speller.repair(written)
    for meant, share in meanings:
        for term in analyse(meant).terms:
            terms[term] = terms.get(term, 0.0) + share
    if not terms:
        return False
    draft.rewrite("spelling", written, terms)
    draft.words.extend(meanings[0][0].split())
    return True


def _join(draft: _Draft, speller: Speller, query: Analysed, analyse: Analyse, frequency: Callable[[str], int]) -> None:
    own = frozenset(query.written)
    pairs = list(zip(query.terms, query.written, strict=True))
    for (one, left), (two, right) in pairwise(pairs):
        both = speller.joined(left, right)
        if both is not None and both not in own:
            weight = _JOINED if frequency(one) and frequency(two) else 1.0
            draft.rewrite("spelling", f"{left} {right}", dict.fromkeys(analyse(both).terms, weight))
            draft.words.append(both)
