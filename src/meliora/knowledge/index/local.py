"""An index of a few passages in memory: for the results of another engine, for a proof on a sample, and for tests. Keeps nothing."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from meliora.errors import InvalidRequest
from meliora.knowledge.config import Leg
from meliora.knowledge.filters import OWN, Filter, passes
from meliora.knowledge.index.base import Asked, Hit, Stored
from meliora.knowledge.text.analysis import analyse, grams

K1, B = 1.2, 0.75


class LocalView:
    """Passages, searched one by one: BM25 of words and of character n-grams (Robertson and Zaragoza, 2009). Has no vectors."""

    generation = "local"
    watermark = 0
    fitted = True

    def __init__(self, passages: Sequence[Stored], hashes: Mapping[str, str] | None = None) -> None:
        """Take passages; `hashes` are those of their documents, for an audit."""
        self._kept = {f"{one.document}#{one.number}": one for one in passages}
        self._hashes = dict(hashes or {})
        self._words = _Postings({name: (*one.title_terms, *one.terms) for name, one in self._kept.items()})
        self._written: dict[str, Counter[str]] = {
            name: Counter(analyse(f"{one.title} {one.text}").written) for name, one in self._kept.items()
        }
        self._grams = _Postings({name: grams(words.elements()) for name, words in self._written.items()})
        self.passages = len(self._kept)
        self.documents = len({one.document for one in passages})
        self.average_length = self._words.average

    def retrieve(self, leg: Leg, asked: Asked, limit: int, where: Filter | None = None) -> Sequence[Hit]:
        """Give the best passages; nothing by `dense`. Raises `InvalidRequest` for a filter on an unknown field."""
        if leg == "dense":
            return ()
        allowed = None if where is None else self._allowed(where)
        postings, terms = (self._words, asked.terms) if leg == "words" else (self._grams, asked.grams)
        scores = postings.scores(terms)
        found = ((name, score) for name, score in scores.items() if allowed is None or name in allowed)
        return [Hit(name, score) for name, score in sorted(found, key=lambda one: (-one[1], one[0]))[:limit]]

    def stored(self, passages: Sequence[str]) -> Sequence[Stored | None]:
        """Give what is kept of passages."""
        return [self._kept.get(name) for name in passages]

    def frequency(self, term: str) -> int:
        """Give in how many passages a term stands."""
        return len(self._words.by_term.get(term, ()))

    def written(self) -> Mapping[str, int]:
        """Give the words as written, with the passages that have them."""
        return Counter(word for words in self._written.values() for word in words)

    def vocabulary(self) -> Mapping[str, int]:
        """Give the terms with the passages that have them."""
        return {term: len(where) for term, where in self._words.by_term.items()}

    def vector(self, terms: Mapping[str, float]) -> Sequence[float] | None:
        """Give None: there are no vectors."""
        return None

    def similarity(self, terms: Mapping[str, float], passages: Sequence[str]) -> Sequence[float]:
        """Give zeros: there are no vectors."""
        return [0.0] * len(passages)

    def hashes(self) -> Iterator[tuple[str, str]]:
        """Give id and hash of the documents whose hash was given."""
        return iter(self._hashes.items())

    def _allowed(self, where: Filter) -> set[str]:
        known = {*OWN, *(field for one in self._kept.values() for field in one.metadata)}
        for condition in where.conditions:
            if condition.field not in known:
                raise InvalidRequest(
                    f"No document has the field {condition.field!r}.",
                    hint=f"There are: {', '.join(sorted(known))}.",
                    field=f"filter.{condition.field}",
                )
        return {name for name, one in self._kept.items() if passes(where, _own(one), one.metadata)}


class _Postings:
    """Which passage has a term how often."""

    def __init__(self, terms: Mapping[str, Sequence[str]]) -> None:
        self.by_term: dict[str, dict[str, int]] = {}
        self._lengths = {name: len(own) for name, own in terms.items()}
        for name, own in terms.items():
            for term, times in Counter(own).items():
                self.by_term.setdefault(term, {})[name] = times
        self.average = sum(self._lengths.values()) / len(self._lengths) if self._lengths else 0.0

    def scores(self, asked: Mapping[str, float]) -> dict[str, float]:
        scores: dict[str, float] = {}
        for term, weight in asked.items():
            where = self.by_term.get(term, {})
            idf = math.log(1 + (len(self._lengths) - len(where) + 0.5) / (len(where) + 0.5))
            for name, times in where.items():
                long = 1 - B + B * self._lengths[name] / self.average
                scores[name] = scores.get(name, 0.0) + weight * idf * times * (K1 + 1) / (times + K1 * long)
        return scores


def _own(one: Stored) -> dict[str, str | int | float | bool]:
    return {"id": one.document, "source": one.source, "updated_us": one.updated_us}
