"""How often words stand in the documents at all, and beside one another: what learning holds against what it sees."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

KEPT = 500
"""Terms whose neighbours are kept at hand: the words of queries come again and again."""
ENOUGH = 200
"""Documents of a term, spread over all that have it, that tell what stands beside it."""


class Background:
    """A sample of the collection, as analysed words. Some thousand documents tell enough."""

    def __init__(self, documents: Iterable[Sequence[str]]) -> None:
        """Take the terms of documents, or of passages."""
        self._documents = [frozenset(terms) for terms in documents]
        self._holding: dict[str, list[int]] = {}
        for at, terms in enumerate(self._documents):
            for term in terms:
                self._holding.setdefault(term, []).append(at)
        self._known: dict[str, Mapping[str, float]] = {}
        self._all = sum(map(len, self._documents))

    def knows(self, term: str) -> bool:
        """Tell whether any document has a term."""
        return term in self._holding

    def share(self, term: str) -> float:
        """Give a term's share of all that stands in the documents, each term counted once a document; smoothed, never 0."""
        return (len(self._holding.get(term, ())) + 0.5) / (self._all + 1)

    def beside(self, term: str) -> Mapping[str, float]:
        """Give what a word drawn from a document that has this term is: shares that sum to 1; empty for an unknown term."""
        found = self._known.pop(term, None)
        if found is None:
            found = self._beside(term)
            if len(self._known) >= KEPT:
                del self._known[next(iter(self._known))]  # the one that was asked for the longest ago
        self._known[term] = found
        return found

    def _beside(self, term: str) -> Mapping[str, float]:
        holding = self._holding.get(term, ())
        holding = holding[:: max(1, len(holding) // ENOUGH)]
        shares: dict[str, float] = {}
        for at in holding:
            own = self._documents[at]
            each = 1 / (len(own) * len(holding))
            for other in own:
                shares[other] = shares.get(other, 0.0) + each
        return shares
