"""From text to terms: words in lower case, without stop words, reduced to their stems. The same for documents and queries."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

import msgspec

from meliora.errors import MissingExtra

VERSION = "1"
"""Of the analysis: an index or model made by another one is not used."""
_WORD = re.compile(r"[^\W_]+")
_STOP = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "by",
        "for",
        "from",
        "has",
        "in",
        "is",
        "it",
        "of",
        "on",
        "or",
        "that",
        "the",
        "this",
        "to",
        "was",
        "were",
        "which",
        "with",
    ]
)


class Analysed(msgspec.Struct, frozen=True):
    """A text as terms, in their order; `written` has the word, in lower case, that each comes of."""

    terms: tuple[str, ...]
    written: tuple[str, ...]


def analyse(text: str, language: str = "") -> Analysed:
    """Give the terms of a text. `language` has two letters; empty: English. Raises `MissingExtra`."""
    stem = _stemmer()
    kept = [word for word in _WORD.findall(text.lower()) if word not in _STOP]
    return Analysed(tuple(map(stem, kept)), tuple(kept))


def grams(words: Iterable[str], n: int = 4) -> list[str]:
    """Give the character n-grams of words, each padded by `_`; a word too short for one is its own."""
    found: list[str] = []
    for word in words:
        padded = f"_{word}_"
        found.extend([padded] if len(padded) <= n else (padded[i : i + n] for i in range(len(padded) - n + 1)))
    return found


@lru_cache(1)
def _stemmer():
    try:
        from Stemmer import Stemmer
    except ImportError as error:
        raise MissingExtra("Search needs PyStemmer.", hint="pip install 'meliora[knowledge]'") from error
    return Stemmer("english").stemWord
