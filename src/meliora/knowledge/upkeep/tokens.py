"""A text as its words and the marks between them, as they are written. What is folded is what is never a difference in meaning.

One are: forms of a letter that Unicode holds for one, digits of all scripts, a space and two, a line and those that it was wrapped to, a
stop, an exclamation mark and the end of a line, forms of a quotation mark and of a bullet, and the capital of an article that begins a
sentence.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import groupby

import msgspec

from meliora.knowledge.upkeep.words import DAYS, GREETING, NUMBERS, OPENERS, OPENING, STARTING

_NARROWEST = 40
"""Letters of the narrowest page that lines are wrapped to; the breaks of a narrower one mean something."""
_FAREWELL = 80
"""Letters of the longest sentence of greetings at a text's end, and of what is around it."""
_CLAUSE = re.compile(r"[,!:.](?=\s)|\n")
_GAP = re.compile(r" *\t\s*|\s{3,}")
"""What stands between columns."""
_QUOTES = "\"'`"
_TRAILING = ",.!:;…" + _QUOTES
_BULLETS = frozenset("-–—*•")
_DASHES = frozenset({"-", "–", "—", "--"})
_FOLDED = str.maketrans(
    dict.fromkeys("‐‑‒−", "-")
    | dict.fromkeys("\u2060\ufeff\u00ad")
    | dict.fromkeys("‘’‚‹›´", "'")
    | dict.fromkeys("“”„«»", '"')
)

STOP, PARAGRAPH = ".", "\n\n"
ENDS = frozenset({STOP, "?", PARAGRAPH})
"""Marks after which a sentence begins; so it does after a step in or out."""


class Token(msgspec.Struct, frozen=True):
    """A word or a mark as it is compared; `name` and `number` say that it stands for something of its own."""

    text: str
    name: bool = False
    number: bool = False
    mark: bool = False

    @property
    def ends(self) -> bool:
        """Tell whether a sentence begins after it."""
        return self.mark and (self.text in ENDS or self.text.startswith("\n"))


class Reading(msgspec.Struct, frozen=True):
    """A text as it is compared."""

    tokens: tuple[Token, ...]
    written: tuple[str, ...]
    """The words and marks in their order: equal for texts that say the same."""

    @property
    def words(self) -> tuple[str, ...]:
        """Give the words in their order."""
        return tuple(token.text for token in self.tokens if not token.mark)

    @property
    def sentences(self) -> Iterator[tuple[str, ...]]:
        """Give the words of each sentence, line or heading."""
        for ends, tokens in groupby(self.tokens, lambda token: token.ends):
            words = tuple(token.text for token in tokens if not token.mark)
            if words and not ends:
                yield words


def read(*texts: str) -> Reading:
    """Read the parts of a document, as title and text, each without a greeting at its beginning or end."""
    tokens: list[Token] = []
    for text in texts:
        tokens += [Token(PARAGRAPH, mark=True)] if tokens else []
        tokens += _tokens(_without_greeting(_plain(text)))
        if tokens and tokens[-1].mark and tokens[-1].text == STOP:
            tokens.pop()
    return Reading(tuple(tokens), tuple(token.text for token in tokens))


def _plain(text: str) -> str:
    if text.isascii():
        return text
    return "".join(map(_letter, unicodedata.normalize("NFC", text.translate(_FOLDED))))


def _letter(letter: str) -> str:
    if letter.isascii():
        return letter
    digit = unicodedata.decimal(letter, None)
    if digit is not None:
        return str(digit)
    if unicodedata.decomposition(letter).startswith(("<wide>", "<narrow>", "<noBreak>")):
        return unicodedata.normalize("NFKC", letter)
    return letter


def _without_greeting(text: str) -> str:
    """Cut clauses off the beginning, and sentences off the end, that are greetings and nothing else."""
    begin, end = 0, len(text)
    while (found := _CLAUSE.search(text, begin)) and _greets(text[begin : found.start()], found[0]):
        begin = found.end()
    while end > begin:
        near = max(begin, end - _FAREWELL)
        last = text[near:end].rstrip(" \t\n.!,")
        at = max(map(last.rfind, ".!?\n"))
        if at < 0 or not _greets(last[at + 1 :], "."):
            break
        end = near + at + 1
    return text[begin:end]


def _greets(clause: str, mark: str) -> bool:
    words = clause.lower().split()
    if not all(word in GREETING for word in words):
        return False
    if mark == ":":
        return "fyi" in words
    return bool(OPENERS.intersection(words)) or words[:2] == ["good", "morning"]


def _tokens(text: str) -> Iterator[Token]:
    first, last = True, Token(STOP, mark=True)
    for between, line in _lines(text):
        for token in _words(line, first=first, before=between):
            if token.text != STOP or not last.mark or last.text != STOP:
                yield token
            last = token
        first = last.ends


def _lines(text: str) -> Iterator[tuple[str, str]]:
    """Give the lines, and what the break before each means: nothing, a stop, another paragraph, a step in or out."""
    lines = [line.rstrip() for line in text.splitlines()]
    width = max(map(len, lines), default=0)
    blank, before, margin = False, 0, -1
    for whole in lines:
        line = whole.lstrip()
        if not line:
            blank = margin >= 0
            continue
        inset = len(whole.expandtabs()) - len(line.expandtabs())
        between = STOP
        if margin < 0:
            between = ""
        elif inset != margin:
            between = f"\n{inset - margin:+d}"
        elif blank:
            between = PARAGRAPH
        elif width >= _NARROWEST and not _bullet(line) and before + 1 + len(line.split(maxsplit=1)[0]) > width:
            between = ""
        yield between, line
        blank, before, margin = False, len(whole), inset


def _bullet(line: str) -> bool:
    return line[0] in _BULLETS and line[1:2].isspace()


def _words(line: str, *, first: bool, before: str) -> Iterator[Token]:
    """Give words and marks of a line; a paragraph's end adds nothing to a stop."""
    if before and not (first and before == PARAGRAPH):
        yield Token(before, mark=True)
    first = first or bool(before)
    begun = 0
    for gap in _GAP.finditer(line):
        yield from _pieces(line[begun : gap.start()].split(), first=first, opens=not begun)
        yield Token(f" {gap[0].count(chr(9)) or len(gap[0])}", mark=True)
        first, begun = False, gap.end()
    yield from _pieces(line[begun:].split(), first=first, opens=not begun)


def _pieces(pieces: list[str], *, first: bool, opens: bool) -> Iterator[Token]:
    for at, piece in enumerate(pieces):
        if piece in _DASHES or piece in _BULLETS or piece in ("…", "..."):
            if any(map(_numeric, pieces[max(at - 1, 0) : at] + pieces[at + 1 : at + 2])):
                yield Token(piece, mark=True)
            elif piece in ("…", "..."):
                yield Token(STOP, mark=True)
                first = True
            elif opens and not at:
                yield Token("•", mark=True)
            else:
                yield Token("–" if piece in _DASHES else piece, mark=True)
            continue
        core = piece.lstrip(_QUOTES)
        yield from (Token(mark, mark=True) for mark in piece[: len(piece) - len(core)])
        word = core.rstrip(_TRAILING + "?")
        if word:
            low = word.lower()
            if not first and low in STARTING and word.istitle():
                yield Token(STOP, mark=True)
                first = True
            yield _word(word, low, first=first)
            first = False
        plain = len(word) > 1 and word.isalpha()
        for mark in core[len(word) :]:
            stops = mark in ".…" or (mark == "!" and plain)
            yield Token(STOP if stops else mark, mark=True)
            first = first or stops or mark == "?"


def _numeric(word: str) -> bool:
    return any(letter.isnumeric() for letter in word)


def _word(word: str, low: str, *, first: bool) -> Token:
    if _numeric(word):
        return Token(word, name=not word.isdecimal(), number=True)
    if low in NUMBERS or low in DAYS:
        return Token(word, number=True)
    if first and word.istitle():
        return Token(low if low in OPENING else word)
    return Token(word, name=word != low or not word.replace("'", "").isalpha())
