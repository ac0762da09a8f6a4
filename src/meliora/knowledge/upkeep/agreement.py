"""Whether two texts say the same: the same words and marks in the same order. In doubt they do not, and a person decides.

A comma, a capital, a sentence in another place or a letter in another one may change who does what, so none of them is taken for nothing;
no list of words says which misspelling is surely one, for a rare word may be the right one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Literal

import msgspec

from meliora.knowledge.upkeep.tokens import Reading, Token
from meliora.knowledge.upkeep.words import NEGATIONS

Why = Literal["numbers", "names", "negation", "marks", "case", "order", "words", "sentence", "fields"]

_AROUND = 3
"""Words and marks that are shown before and after one that differs."""


class Disagreement(msgspec.Struct, frozen=True):
    """What two texts differ in; `said` shows it, cut to a line."""

    why: Why
    said: str


def disagreement(a: Reading, b: Reading) -> Disagreement | None:
    """Give the first thing in which two texts differ; None where they say the same."""
    if a.written == b.written:
        return None
    numbers = [Counter(t.text for t in one.tokens if t.number) for one in (a, b)]
    if numbers[0] != numbers[1]:
        return _said("numbers", *numbers)
    words, others = a.words, b.words
    if words == others:
        return Disagreement("marks", _shown(a.written, b.written))
    if [word.lower() for word in words] == [word.lower() for word in others]:
        return Disagreement("case", _shown(words, others))
    mine, theirs = Counter(words), Counter(others)
    # a name of one text may begin a sentence of the other, where it does not show: it is looked for among all words
    lost, gained = (_names(one.tokens) - of for one, of in ((a, theirs), (b, mine)))
    if lost or gained:
        return _said("names", lost, gained)
    negations = [Counter({word: n for word, n in one.items() if word.lower() in NEGATIONS}) for one in (mine, theirs)]
    if negations[0] != negations[1]:
        return _said("negation", *negations)
    if mine == theirs:
        return Disagreement("order", _shown(words, others))
    return _sentences(tuple(a.sentences), tuple(b.sentences))


def _names(tokens: Iterable[Token]) -> Counter[str]:
    return Counter(token.text for token in tokens if token.name)


def _sentences(a: Sequence[tuple[str, ...]], b: Sequence[tuple[str, ...]]) -> Disagreement:
    """Tell the words in which a sentence differs from its like, or else a sentence that only one text has."""
    lost, gained = (list((Counter(one) - Counter(other)).elements()) for one, other in ((a, b), (b, a)))
    if not lost or not gained:
        return Disagreement("sentence", _cut(" ".join((lost or gained)[0])))
    one = Counter(lost[0])
    likest = max((Counter(sentence) for sentence in gained), key=lambda other: (one & other).total())
    if 2 * (one & likest).total() > max(one.total(), likest.total()):
        return _said("words", one, likest)
    return Disagreement("sentence", _cut(" ".join(lost[0])))


def _shown(a: Sequence[str], b: Sequence[str]) -> str:
    """Show both texts where they first differ."""
    at = next(at for at, (one, other) in enumerate(zip_longest(a, b)) if one != other)
    begin, end = max(at - _AROUND, 0), at + _AROUND
    return _cut(" / ".join(" ".join("⏎" if t.startswith("\n") else t for t in each[begin:end]) for each in (a, b)))


def _said(why: Why, a: Counter[str], b: Counter[str]) -> Disagreement:
    one, other = (", ".join(sorted(each.elements())[:5]) or "nothing" for each in (a - b, b - a))
    return Disagreement(why, _cut(f"{one} / {other}"))


def _cut(text: str) -> str:
    return text if len(text) <= 160 else text[:159] + "…"
