"""From what was said to terms: content words as stems. Words that every conversation is made of are left out, question words too."""

from __future__ import annotations

import re

import msgspec

from meliora.knowledge.memory.forms import base_terms
from meliora.knowledge.text.analysis import analyse, grams
from meliora.knowledge.text.languages import language_of

MOST_TERMS = 32
"""Of a query that are asked; the rarest ones."""
QUESTION = 400
"""Characters of the longest turn that counts as a question."""
_COMMON = frozenset(
    " ".join(
        [
            "i me my we us our you your he him his she her they them their its these those there here",
            "do does did doing done have had having been being am will would could should can may might must shall",
            "what when where who whom whose why how if so but not no nor then than just about into out up too very also",
            "s t d m ll re ve don didn doesn isn wasn aren weren couldn wouldn shouldn hasn haven",
            "any some all both each other such only own same",
        ]
    ).split()
)
_WHEN = frozenset(["when", "date", "day", "month", "year", "long", "often", "time", "since", "until", "ago"])
_WHICH = frozenset(["who", "whom", "whose", "where", "which", "name", "names", "named", "called", "title", "titles"])
_WORD = re.compile(r"[^\W_]+")
_WITHIN = re.compile(r"(?<=[^\W\d_] |[^\W\d_],) ?([^\W\d_]{3,})")
_QUOTED = re.compile(r'"[^"]+"|“[^”]+”|«[^»]+»')
_TIMED = re.compile(
    r"\b(?:yesterday|today|tonight|tomorrow|last|next|ago|weeks?|weekend|months?|years?|since|recently"
    r"|mon|tues|wednes|thurs|fri|satur|sunday|monday|tuesday|wednesday|thursday|friday|saturday"
    r"|january|february|march|april|may|june|july|august|september|october|november|december|(?:19|20)\d\d)\b",
    re.IGNORECASE,
)


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """A query as the recall index is asked."""

    terms: tuple[str, ...]
    """Distinct ones, without those that name a speaker."""
    named: tuple[str, ...]
    """Terms that name a speaker."""
    asks_when: bool
    asks_name: bool
    """It asks who, where or which, or for a name."""


def terms(text: str) -> tuple[str, ...]:
    """Give the content terms of a text in their order. Raises `MissingExtra`."""
    return tuple(term for term, word in _pairs(text) if word not in _COMMON)


def name_terms(speaker: str) -> frozenset[str]:
    """Give the terms that name a speaker: "Dr. Ada Byron" is named by each of three."""
    return frozenset(term for term, _ in _pairs(speaker))


def _pairs(text: str) -> list[tuple[str, str]]:
    """Give terms with the words that they come of; an English word's irregular forms have its term."""
    language = language_of(text)
    found = analyse(text, language)
    base = base_terms() if language == "en" else {}
    return [(base.get(word, term), word) for term, word in zip(found.terms, found.written, strict=True)]


def read_query(text: str, names: frozenset[str]) -> Query:
    """Read a query; `names` are the terms that name speakers. One of names alone is taken by its names."""
    found = tuple(dict.fromkeys(terms(text)))
    named = tuple(term for term in found if term in names)
    rest = tuple(term for term in found if term not in names)
    words = _WORD.findall(text.lower())
    return Query(
        terms=rest or named,
        named=named,
        asks_when=not _WHEN.isdisjoint(words),
        asks_name=not _WHICH.isdisjoint(words),
    )


def tells_time(text: str) -> bool:
    """Say whether a text has words of time."""
    return _TIMED.search(text) is not None


def names_in(text: str) -> tuple[str, ...]:
    """Give the words within a sentence that are written as names are, and what stands in quotes. In scripts without case: only that."""
    inside = (word for word in _WITHIN.findall(text) if word.istitle() and not tells_time(word))
    return (*inside, *_QUOTED.findall(text))


def asks(text: str) -> bool:
    """Say whether a text is a question: short, and ends as one. A long answer that ends in one is no question."""
    return text.rstrip().endswith(("?", "？", "؟")) and len(text) < QUESTION and len(text.split()) < 40


def similar(left: str, right: str) -> float:
    """Give how much two words share of their character trigrams (Dice), between 0 and 1."""
    one, other = set(grams([left], 3)), set(grams([right], 3))
    return 2 * len(one & other) / (len(one) + len(other))
