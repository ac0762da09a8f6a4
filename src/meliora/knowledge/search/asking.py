"""From the words of a person to what an index is asked: analysed, cut to what matters, repaired."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from meliora.knowledge.answers import Matched, Rewrite
from meliora.knowledge.index.base import Asked, View
from meliora.knowledge.search.parts import Origin, Rewritten
from meliora.knowledge.text.analysis import Analysed, analyse, grams

MOST_WORDS = 64
"""Different words of a query that are asked for: of a longer one the rarest, which tell the most."""
MOST_TEXT = 200_000
"""Characters of a query that are read."""


@dataclass(frozen=True, slots=True)
class Question:
    """A query, ready to be asked."""

    analysed: Analysed
    asked: Asked
    origins: Mapping[str, Origin]
    rewrites: tuple[Rewrite, ...]
    unknown: tuple[str, ...]
    cut: int
    """Different words that were left out."""

    def matched(self, terms: frozenset[str]) -> tuple[Matched, ...]:
        """Give the terms that a passage with these terms has, the weightiest first."""
        found = [
            Matched(term, _stage(self.origins.get(term)), weight, self._written(term))
            for term, weight in self.asked.terms.items()
            if term in terms
        ]
        return tuple(sorted(found, key=lambda one: (-one.weight, one.term)))

    def _written(self, term: str) -> str:
        origin = self.origins.get(term)
        if origin is not None:
            return origin.written
        pairs = zip(self.analysed.terms, self.analysed.written, strict=True)
        return next((written for own, written in pairs if own == term), term)


def read(text: str, view: View, language: str = "") -> tuple[Analysed, int]:
    """Analyse a query, and give with it how many different words were left out of a very long one."""
    analysed = analyse(text[:MOST_TEXT], language)
    kinds = dict.fromkeys(analysed.terms)
    if len(kinds) <= MOST_WORDS:
        return analysed, 0
    # A word that no passage has asks for nothing, but may be one to repair: it comes after those that are known.
    known = {term: view.frequency(term) for term in kinds}
    kept = frozenset(sorted(kinds, key=lambda term: (known[term] == 0, known[term]))[:MOST_WORDS])
    pairs = [pair for pair in zip(analysed.terms, analysed.written, strict=True) if pair[0] in kept]
    return Analysed(tuple(term for term, _ in pairs), tuple(written for _, written in pairs)), len(kinds) - len(kept)


def as_it_is(query: Analysed) -> Rewritten:
    """Give a query without any repair: each word as often as it stands there."""
    return Rewritten(terms={term: float(times) for term, times in Counter(query.terms).items()}, words=query.written)


def question(query: Analysed, rewritten: Rewritten, view: View, cut: int = 0) -> Question:
    """Put a question together."""
    unknown = tuple(term for term in dict.fromkeys(query.terms) if not view.frequency(term))
    counted = Counter(grams(dict.fromkeys(rewritten.words)))
    asked = Asked(
        terms=rewritten.terms,
        grams={gram: float(times) for gram, times in counted.items()},
        text=" ".join(rewritten.words),
    )
    return Question(query, asked, rewritten.origins, rewritten.rewrites, unknown, cut)


def _stage(origin: Origin | None):
    if origin is None:
        return "query"
    return "spelling" if origin.stage == "spelling" else "expansion"
