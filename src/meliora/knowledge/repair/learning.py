"""What a word means that no document has, learned from the documents that people used when they asked with it.

Translation from queries to documents (Berger and Lafferty, SIGIR 1999) by the first IBM model (Brown et al., 1993). Words that documents
know explain themselves and what usually stands beside them, noise explains what stands everywhere, and the new word takes what is left.
Old traffic says which words are asked for no more, and which stood where the new one stands (`contexts`). New words compete for what they
may mean: two of them seldom came for the same old one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache

import msgspec

from meliora.knowledge.repair.background import Background
from meliora.knowledge.repair.contexts import Contexts
from meliora.knowledge.repair.expansion import MOST_TERMS, Table

_TINY = 1e-7


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """A query, and what answered it."""

    asked: tuple[str, ...]
    """Terms of the query."""
    found: tuple[str, ...]
    """Terms of a document that somebody used for it, or of the query that it was put into and that was answered."""
    weight: float = 1.0
    """Corrected for the position at which the document was shown."""
    again: bool = False
    """Whether `found` is a query: then each of its words counts for more than one of a whole document."""


class Asking(msgspec.Struct, frozen=True, kw_only=True):
    """How many queries had a term, before the new words came and since: a word no longer asked for may be one that was replaced."""

    before: Mapping[str, int] = {}
    now: Mapping[str, int] = {}
    contexts: Contexts | None = None
    """The queries of before."""

    def gone(self) -> Callable[[str], float]:
        """Give what tells of a term the log-odds of before against now in standard errors, from -1 to 3 (Monroe and others 2008)."""
        scale = (sum(self.now.values()) + 1) / (sum(self.before.values()) + 1)

        @cache
        def told(term: str) -> float:
            before, now = self.before.get(term, 0) + 0.5, self.now.get(term, 0) + 0.5
            return max(-1.0, min(3.0, math.log(before * scale / now) / math.sqrt(1 / before + 1 / now)))

        return told


class Learning(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a table is learned."""

    least: int = 2
    """Different queries that a word must stand in."""
    terms: int = 100
    """Words that are learned at once: those that stand in most queries."""
    words: int = 4
    """That one is translated to."""
    total: float = 0.8
    """What they weigh together, beside 1 of a word that the documents have."""
    rounds: int = 4
    most_weight: float = 3.0
    """Of one example: a rare position does not outweigh all others."""
    identity: float = 1.0
    """How much of a known word's document words is itself."""
    beside: float = 2.0
    """How much of them is what usually stands beside it."""
    noise: float = 1.0
    """How much of what a document has is said by no word of the query, for each of these."""
    again: float = 20.0
    """Words of a document that one of another query counts as."""
    doubt: float = 0.01
    """Share of what is left over that any word may have: no witness alone rules a word out."""
    apart: float = 0.02
    """Likeness that a word may have which never stood in the new one's place."""
    meetings: int = 3
    """How often new words compete."""
    nothing: float = 0.1
    """How far a word is taken to be meant by none of them."""


def learn(
    examples: Iterable[Example],
    weak: Collection[str],
    background: Background,
    *,
    asking: Asking | None = None,
    rules: Learning | None = None,
) -> Table | None:
    """Give a table for the weak terms that stand in enough different queries; None where there is none to learn for.

    `weak` are terms that no document has, or new ones; no other word is translated.
    """
    rules = rules or Learning()
    wanted = frozenset(weak)
    by_term: dict[str, dict[tuple[str, ...], list[Example]]] = {}
    for one in examples:
        if one.weight > 0 and math.isfinite(one.weight) and one.found:
            for term in wanted.intersection(one.asked):
                by_term.setdefault(term, {}).setdefault(tuple(sorted(set(one.asked))), []).append(one)
    enough = {term: queries for term, queries in by_term.items() if len(queries) >= rules.least}
    most = sorted(enough, key=lambda term: (-len(enough[term]), term))[: min(rules.terms, MOST_TERMS)]
    gone = None if asking is None else asking.gone()
    meant = _competed({term: _meant(term, enough[term], background, asking, gone, rules) for term in most}, rules)
    words = {term: _weights(shares, rules) for term, shares in meant.items()}
    kept = {term: own for term, own in words.items() if own}
    return Table(words=kept, notes={"method": "ibm1"}) if kept else None


def _meant(
    term: str,
    queries: Mapping[tuple[str, ...], Sequence[Example]],
    background: Background,
    asking: Asking | None,
    gone: Callable[[str], float] | None,
    rules: Learning,
) -> dict[str, float]:
    """Give how likely a term means each word: shares that sum to 1, by what answered its queries and by old traffic."""
    seen = [(_explained(asked, term, background, rules), _counted(own, rules)) for asked, own in queries.items()]
    shares = {word: share for word, share in _left_over(seen, rules.rounds).items() if background.knows(word)}
    if asking is not None and gone is not None:
        instead = {} if asking.contexts is None else asking.contexts.instead(term, queries)
        for word in shares.keys() | instead.keys():
            place = 1.0 if asking.contexts is None else rules.apart + instead.get(word, 0.0)
            shares[word] = (shares.get(word, 0.0) + rules.doubt) * place * math.exp(gone(word))
    shares.pop(term, None)
    return _normal(sorted(shares.items()))


def _competed(meant: Mapping[str, Mapping[str, float]], rules: Learning) -> Mapping[str, Mapping[str, float]]:
    """Let new words compete: each keeps of a word what its share is of all that mean it."""
    for _ in range(rules.meetings):
        every: Counter[str] = Counter()
        for shares in meant.values():
            every.update(shares)
        meant = {
            term: _normal((word, share * share / (every[word] + rules.nothing)) for word, share in shares.items())
            for term, shares in meant.items()
        }
    return meant


def _weights(shares: Mapping[str, float], rules: Learning) -> dict[str, float]:
    """Give the words that a term is asked as, with weights that sum to at most `rules.total`; each is at most 1."""
    best = sorted(shares.items(), key=lambda one: (-one[1], one[0]))[: rules.words]
    total = sum(share for _, share in best)
    scaled = {word: round(min(1.0, share / total * rules.total), 4) for word, share in best} if total else {}
    return {word: weight for word, weight in scaled.items() if weight > 0}


def _counted(examples: Sequence[Example], rules: Learning) -> dict[str, float]:
    """Count the words that answered one query: each example by its share, so that a query counts once however often it was asked."""
    weights = [min(one.weight, rules.most_weight) for one in examples]
    total = sum(weights)
    counted: dict[str, float] = {}
    for one, weight in zip(examples, weights, strict=True):
        for word, times in Counter(one.found).items():
            worth = rules.again if one.again else 1 + math.log(times)
            counted[word] = counted.get(word, 0.0) + weight / total * worth
    return counted


class _Explained:
    """How likely each word is to be said by the other words of a query, or by none."""

    def __init__(self, asked: Sequence[str], term: str, background: Background, rules: Learning) -> None:
        self._others = frozenset(word for word in asked if word != term and background.knows(word))
        self._beside = [background.beside(word) for word in sorted(self._others)]
        self._background, self._rules, self._noise = background, rules, rules.noise * len(asked)

    def __call__(self, word: str) -> float:
        near = sum(shares.get(word, 0.0) for shares in self._beside)
        own = self._rules.identity if word in self._others else 0.0
        return self._noise * self._background.share(word) + self._rules.beside * near + own


def _explained(asked: Sequence[str], term: str, background: Background, rules: Learning) -> _Explained:
    return _Explained(asked, term, background, rules)


def _left_over(seen: Sequence[tuple[_Explained, Mapping[str, float]]], rounds: int) -> dict[str, float]:
    """Give what the new word says: what the others leave over, by expectation and maximisation."""
    priced = [[(word, times, explained(word)) for word, times in counted.items()] for explained, counted in seen]
    shares = _normal([(word, times) for counted in priced for word, times, _ in counted])
    for _ in range(rounds):
        taken: list[tuple[str, float]] = []
        for counted in priced:
            for word, times, others in counted:
                share = shares.get(word, 0.0)
                if share > _TINY:
                    taken.append((word, times * share / (share + others)))
        shares = _normal(taken)
    return shares


def _normal(counted: Iterable[tuple[str, float]]) -> dict[str, float]:
    sums: dict[str, float] = {}
    for word, times in counted:
        sums[word] = sums.get(word, 0.0) + times
    total = sum(sums.values())
    return {word: times / total for word, times in sums.items()} if total else {}
