"""Whether two texts say the same: the same words in the same order, but for what changes nothing. In doubt they do not.

Nothing but empty words, greetings, marks, case, order of sentences that lean on none, and misspellings that are surely some may differ.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import msgspec

from meliora.knowledge.upkeep.tokens import Reading, Sentence, Token
from meliora.knowledge.upkeep.words import CONFUSED, NEGATIONS, ORDERED, STATING, SUBJECTS

Why = Literal["numbers", "names", "negation", "order", "words", "sentence", "fields"]

_LEAST = 6
"""Letters of the shortest word that may be misspelled."""
_KNOWN = 3
"""Documents that must have the word it should be."""
_MOST_LEFT = 40


class Disagreement(msgspec.Struct, frozen=True):
    """What two texts differ in; `said` shows it, cut to a line."""

    why: Why
    said: str


def disagreement(a: Reading, b: Reading, known: Callable[[str], int]) -> Disagreement | None:
    """Give the first thing in which two texts differ; None where they say the same. `known` gives how many documents have a word."""
    left, right = a.tokens, b.tokens
    if _same(left, right, known):
        return None
    for why in ("numbers", "names"):
        one, other = _marked(left, why), _marked(right, why)
        # a name of one text may stand at a sentence's beginning of the other: compared by the words, then
        if why == "numbers" and one != other:
            return _said("numbers", one - other, other - one)
        if why == "names":
            words, others = Counter(t.text for t in left), Counter(t.text for t in right)
            lost, gained = _only(one, others), _only(other, words)
            if lost or gained:
                return _said("names", lost, gained)
    one, other = (Counter(t.text for t in tokens if t.text.rstrip(",.!:") in NEGATIONS) for tokens in (left, right))
    if one != other:
        return _said("negation", one - other, other - one)
    return _sentences(a.sentences, b.sentences, known)


def _sentences(a: Sequence[Sentence], b: Sequence[Sentence], known: Callable[[str], int]) -> Disagreement | None:
    left, right = Counter(map(_text, a)), Counter(map(_text, b))
    mine = _rest(a, left - right)
    theirs = _rest(b, right - left)
    if len(mine) > _MOST_LEFT or len(theirs) > _MOST_LEFT:
        return Disagreement("words", f"{len(mine)} and {len(theirs)} sentences differ")
    for sentence in mine:
        match = next((one for one in theirs if _same(sentence, one, known)), None)
        if match is None:
            return _differing(sentence, theirs)
        theirs.remove(match)
    if theirs:
        return Disagreement("sentence", _cut(" ".join(_text(theirs[0]))))
    if all(map(_movable, a)) and all(map(_movable, b)):
        return None
    return Disagreement("order", "the same sentences in another order")


def _differing(sentence: Sentence, others: Sequence[Sentence]) -> Disagreement:
    mine = Counter(_text(sentence))
    for one in others:
        theirs = Counter(_text(one))
        if mine == theirs:
            return Disagreement("order", _cut(" ".join(_text(sentence))))
        if 2 * (mine & theirs).total() > max(mine.total(), theirs.total()):
            return _said("words", mine - theirs, theirs - mine)
    return Disagreement("sentence", _cut(" ".join(_text(sentence))))


def _movable(sentence: Sentence) -> bool:
    words = _text(sentence)
    if ORDERED.intersection(words):
        return False
    return bool(STATING.intersection(words)) or words[0] in SUBJECTS


def _rest(sentences: Iterable[Sentence], wanted: Counter[tuple[str, ...]]) -> list[Sentence]:
    rest: list[Sentence] = []
    for sentence in sentences:
        if wanted[_text(sentence)] > 0:
            wanted[_text(sentence)] -= 1
            rest.append(sentence)
    return rest


def _text(sentence: Sentence) -> tuple[str, ...]:
    return tuple(token.text for token in sentence)


def _same(a: Sequence[Token], b: Sequence[Token], known: Callable[[str], int]) -> bool:
    if len(a) != len(b):
        return False
    return all(one.text == other.text or _misspelled(one, other, known) for one, other in zip(a, b, strict=True))


def _misspelled(a: Token, b: Token, known: Callable[[str], int]) -> bool:
    """Tell whether one is surely the other, misspelled: one edit within, a word that no other document has for one that many have."""
    if a.name or b.name or a.number or b.number or min(len(a.text), len(b.text)) < _LEAST:
        return False
    if a.text in CONFUSED or b.text in CONFUSED or not (a.text.isalpha() and b.text.isalpha()):
        return False
    counts = sorted((known(a.text), known(b.text)))
    return counts[0] <= 1 and counts[1] >= _KNOWN and _one_edit_within(a.text, b.text)


def _one_edit_within(a: str, b: str) -> bool:
    """Tell whether one edit does it that leaves the first and last two letters: a letter more, less, another, two exchanged."""
    if a[:2] != b[:2] or a[-2:] != b[-2:] or abs(len(a) - len(b)) > 1:
        return False
    start = next((at for at, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    x, y = a[start:], b[start:]
    if len(x) == len(y):
        return x[1:] == y[1:] or (x[:2] == y[1::-1] and x[2:] == y[2:])
    longer, shorter = (x, y) if len(x) > len(y) else (y, x)
    return longer[1:] == shorter


def _marked(tokens: Iterable[Token], why: str) -> Counter[str]:
    return Counter(t.text for t in tokens if (t.number if why == "numbers" else t.name))


def _only(names: Counter[str], words: Counter[str]) -> Counter[str]:
    return Counter({name: n - words[name] for name, n in names.items() if n > words[name]})


def _said(why: Why, lost: Counter[str], gained: Counter[str]) -> Disagreement:
    one, other = (", ".join(sorted(each.elements())[:5]) or "nothing" for each in (lost, gained))
    return Disagreement(why, _cut(f"{one} / {other}"))


def _cut(text: str) -> str:
    return text if len(text) <= 160 else text[:159] + "…"
