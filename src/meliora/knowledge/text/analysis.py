"""From text to terms: words in one form, without stop words, reduced to their stems. The same for documents and queries."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from itertools import chain, pairwise
from operator import itemgetter

import msgspec

from meliora.errors import MissingExtra
from meliora.knowledge.text.folding import INDIC, JOINERS, LONGEST, MARKS, UNSPACED, fold, plain
from meliora.knowledge.text.identifiers import pieces
from meliora.knowledge.text.languages import UNKNOWN, language_of
from meliora.knowledge.text.remembered import Remembered
from meliora.knowledge.text.stopwords import STEMMERS, stop_words

VERSION = "2"
"""Of the analysis: an index or model made by another one is not used."""

_LETTER = f"(?:[^\\W_{UNSPACED}]|[{JOINERS}{MARKS}{INDIC}])"
_ASCII_LETTER = "[^\\W_]"


def _shape(letter: str) -> str:
    """Give the pattern of a written word: parts of letters and digits, joined by what joins identifiers, versions, paths, addresses.

    Every step either takes a character or ends, so that time is linear; of a longer word the rest is passed over.
    """
    part = f"{letter}{{1,{LONGEST}}}"
    joined = r"(?:\.|[_\-/@:\\'’‐‑]{1,2})"
    return f"(?<!{letter}){part}(?:{joined}{part}){{0,12}}(?:(?<=[cC])\\+\\+|(?<=[cCfF])\\#)?"


_ASCII = re.compile(_shape(_ASCII_LETTER), re.ASCII)
_WRITTEN = re.compile(f"(?P<unspaced>[{UNSPACED}][{UNSPACED}{JOINERS}]*)|{_shape(_LETTER)}")

Piece = tuple[str, str, int, int]
"""A term, the word it comes of, and where in the text that starts and ends."""


class Analysed(msgspec.Struct, frozen=True):
    """A text as terms, in their order; `written` has the word, in lower case and without accents, that each comes of.

    An identifier, a path, a version gives itself whole and then its parts. Scripts without spaces give pairs of letters.
    """

    terms: tuple[str, ...]
    written: tuple[str, ...]


def analyse(text: str, language: str = "", *, otherwise: str = "en") -> Analysed:
    """Give the terms of a text, in time linear in its length. Raises `MissingExtra`.

    `language` has two letters; empty: told from the text, and `otherwise` where that is too short to tell. Of an unknown language
    words are taken as they are.
    """
    # No word goes beyond white space, and what stands between two spaces comes again and again.
    known = _analyser(language or language_of(text, otherwise))[1]
    found = list(map(known.__getitem__, text.split()))
    terms = chain.from_iterable(map(itemgetter(0), found))
    return Analysed(tuple(terms), tuple(chain.from_iterable(map(itemgetter(1), found))))


def spans(text: str, language: str = "", *, otherwise: str = "en") -> tuple[Piece, ...]:
    """Give the same terms, each with its word and where that stands: `text[start:end]`. Raises `MissingExtra`."""
    pieces_of = _analyser(language or language_of(text, otherwise))[0]
    pattern = _ASCII if text.isascii() else _WRITTEN
    found: list[Piece] = []
    for one in pattern.finditer(text):
        unspaced = pattern is _WRITTEN and one["unspaced"]
        own = _unspaced(one[0]) if unspaced else pieces_of(one[0])
        found.extend((term, written, one.start() + start, one.start() + end) for term, written, start, end in own)
    return tuple(found)


def grams(words: Iterable[str], n: int = 4) -> list[str]:
    """Give the character n-grams of words, each padded by `_`; a word too short for one is its own."""
    found: list[str] = []
    for word in words:
        padded = f"_{word}_"
        found.extend([padded] if len(padded) <= n else (padded[i : i + n] for i in range(len(padded) - n + 1)))
    return found


def _unspaced(run: str) -> list[Piece]:
    letters = [(form, place) for place, letter in enumerate(run) for form in plain(letter)]
    if len(letters) == 1:
        form, place = letters[0]
        return [(form, form, place, place + 1)]
    return [(one + two, one + two, start, end + 1) for (one, start), (two, end) in pairwise(letters)]


@lru_cache(32)
def _analyser(language: str) -> tuple[Callable, Remembered[tuple[tuple[str, ...], tuple[str, ...]]]]:
    """Give what tells the pieces of a written word, and the terms and words of a stretch of text without white space."""
    stem, stopped = _stemmer(language), stop_words().get(language, frozenset())

    def pieces_of(word: str) -> tuple[Piece, ...]:
        found: list[Piece] = []
        for part, start, end in pieces(word, stopped):
            bare = fold(part)
            if bare and bare not in stopped:
                found.append((stem(part), bare, start, end))
        return tuple(found)

    def terms_of(stretch: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        pattern = _ASCII if stretch.isascii() else _WRITTEN
        found: list[Piece] = []
        for one in pattern.finditer(stretch):
            unspaced = pattern is _WRITTEN and one["unspaced"]
            found.extend(_unspaced(one[0]) if unspaced else pieces_of(one[0]))
        return tuple(term for term, *_ in found), tuple(written for _, written, *_ in found)

    return pieces_of, Remembered(terms_of, 50_000, LONGEST)


@lru_cache(64)
def _stemmer(language: str) -> Callable[[str], str]:
    """Give what reduces a word to its stem without accents, the same for a word written with and without them."""
    try:
        from Stemmer import Stemmer
    except ImportError as error:
        raise MissingExtra("Search needs PyStemmer.", hint="pip install 'meliora[knowledge]'") from error
    if language not in STEMMERS or language == UNKNOWN:
        return fold
    stem = Stemmer(STEMMERS[language], 0).stemWord

    def reduced(word: str) -> str:
        bare = fold(word)
        if not bare.isalpha():
            return bare
        # With its accents a word loses the right ending; a second time, what was written without them follows.
        return stem(bare) if language == "en" else fold(stem(fold(stem(word))))

    return reduced
