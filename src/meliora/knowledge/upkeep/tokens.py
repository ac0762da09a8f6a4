"""A text as the words that count, in their order. Marks that change nothing are left out; every sign that may, stays.

A word of letters is read in lower case; what has digits, signs or capitals within, a unit behind a number and a single letter stay as
they are written. Digits of any script are one; superscripts and fractions are none of them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import pairwise

import msgspec

from meliora.knowledge.upkeep.words import CASED, DAYS, EMPTY, GREETING, NEGATIONS, NUMBERS, OPENERS

_SENTENCE = re.compile(r"(?<=[.!?])[\"'”’)]*\s+|\n+")
_GROUPS = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_ROMAN = re.compile(r"[IVXLCDM]+")
_CLAUSE = re.compile(r"[,!:;.\n–—-]")
_QUOTES = "\"'“”‘’„«»`´"
_TRAILING = ".,!:…" + _QUOTES
_DASHES = frozenset({"-", "–", "—", "--", "…"})
_HYPHENS = dict.fromkeys(map(ord, "‐‑‒−"), "-")
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad"))


class Token(msgspec.Struct, frozen=True):
    """A word as it is compared; `name` and `number` say that it stands for something of its own."""

    text: str
    name: bool = False
    number: bool = False


Sentence = tuple[Token, ...]


class Reading(msgspec.Struct, frozen=True):
    """A text by its sentences, without greetings and words that say nothing."""

    sentences: tuple[Sentence, ...]

    @property
    def tokens(self) -> tuple[Token, ...]:
        """Give all words in their order."""
        return tuple(token for sentence in self.sentences for token in sentence)


def read(text: str) -> Reading:
    """Read a text."""
    plain = _plain(text)
    parts = [part for part in _SENTENCE.split(plain) if part.strip()]
    sentences = (tuple(_tokens(_without_greeting(part))) for part in parts)
    return Reading(tuple(sentence for sentence in sentences if sentence))


def _plain(text: str) -> str:
    if text.isascii():
        return text
    text = unicodedata.normalize("NFC", text.translate(_HYPHENS).translate(_INVISIBLE)).replace("’", "'")
    return "".join(map(_letter, text))


def _letter(letter: str) -> str:
    if letter.isascii():
        return letter
    digit = unicodedata.decimal(letter, None)
    if digit is not None:
        return str(digit)
    if unicodedata.decomposition(letter).startswith(("<wide>", "<narrow>", "<noBreak>", "<font>")):
        return unicodedata.normalize("NFKC", letter)
    return letter


def _without_greeting(sentence: str) -> str:
    """Cut a greeting off the beginning of a sentence: whole clauses of greeting words."""
    while True:
        found = _CLAUSE.search(sentence)
        head = sentence[: found.start()] if found else sentence
        words = head.casefold().split()
        greets = bool(words) and all(word in GREETING for word in words)
        if not greets or not (OPENERS.intersection(words) or words[:2] == ["good", "morning"]):
            return sentence
        if found is None:
            return ""
        sentence = sentence[found.end() :].lstrip()


def _tokens(sentence: str) -> Iterator[Token]:
    pieces = list(_pieces(sentence))
    quoted = False
    for at, piece in enumerate(pieces):
        before = pieces[at - 1] if at else ""
        core = piece.lstrip(_QUOTES)
        opened = len(core) < len(piece)
        quoted = quoted or opened
        bare = core.rstrip(_TRAILING)
        token = _token(bare, core, first=at == 0, unit=_numeric(before.rstrip(_TRAILING)), quoted=quoted)
        if core.rstrip(".,!:…") != core.rstrip(_TRAILING) or core[-1:] in _QUOTES:
            quoted = False
        if token is None or (piece in _DASHES and (piece == "…" or not _beside_number(pieces, at))):
            continue
        if token.text not in EMPTY or (quoted and token.name):
            yield token


def _pieces(sentence: str) -> Iterator[str]:
    for piece in sentence.split():
        core = piece.rstrip(_TRAILING)
        body = core.rstrip("?")
        if body:
            # what is stripped is put back: a mark behind a negation counts
            yield body + piece[len(core) :]
        if len(body) < len(core):
            yield "?"
        if not core and piece in _DASHES:
            yield piece


def _beside_number(pieces: list[str], at: int) -> bool:
    around = pieces[max(at - 1, 0) : at] + pieces[at + 1 : at + 2]
    return any(_numeric(piece) for piece in around)


def _numeric(word: str) -> bool:
    return any(letter.isnumeric() for letter in word)


def _token(bare: str, core: str, *, first: bool, unit: bool, quoted: bool) -> Token | None:
    if not bare:
        return Token(core) if core in _DASHES else None
    if _numeric(bare):
        text = bare.replace(",", "") if _GROUPS.fullmatch(bare) else bare
        mark = core[len(bare) : len(bare) + 1]
        text += mark if mark in ("'", '"') and not quoted else ""  # feet and inches
        return Token(text, name=not text.isdecimal(), number=True)
    low = bare.casefold()
    if low in NEGATIONS and len(core) > len(bare) and core[len(bare)] in ",.!:":
        return Token(low + core[len(bare)])
    if not bare.replace("'", "").isalpha():
        return Token(bare + ("!" if core[len(bare) : len(bare) + 1] == "!" else ""), name=True)
    return _word(bare, low, first=first, unit=unit, quoted=quoted)


def _word(bare: str, low: str, *, first: bool, unit: bool, quoted: bool) -> Token:
    if low in NUMBERS or low in DAYS:
        return Token(low, number=True)
    capital = bare[0].isupper()
    if (
        unit
        or (len(bare) == 1 and not (first and low in "ai"))
        or any(a.islower() and b.isupper() for a, b in pairwise(bare))
    ):
        return Token(bare, name=True)
    if low in CASED and capital and not first:
        return Token(bare, name=True)
    roman = bool(_ROMAN.fullmatch(bare)) and len(bare) > 1
    return Token(low, name=quoted or (capital and not first), number=roman)
