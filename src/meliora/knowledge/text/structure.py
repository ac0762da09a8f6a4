"""The blocks of a text by its lines: paragraphs, headings of Markdown, list entries, code. Offsets are exact and nothing is left out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

import msgspec

Kind = Literal["paragraph", "heading", "code"]

DEEPEST = 6
LONGEST = 120
"""Characters of a heading that are kept."""

_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(\S.{0,500})")
_FENCE = re.compile(r"[ \t]{0,8}(`{3,}|~{3,})")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t]*\r?\n?$")
_ENTRY = re.compile(r"[ \t]{0,12}(?:[-*+•]|\d{1,4}[.)])[ \t]+\S|\|")


class Block(msgspec.Struct, frozen=True, gc=False):
    """Lines that belong together, and the headings that they stand below, the outermost first; a heading is below itself."""

    start: int
    end: int
    kind: Kind
    headings: tuple[str, ...]


def blocks(text: str, *, headed: bool = True) -> Iterator[Block]:
    """Give the blocks of a text, in order and without gaps, in one pass. Without `headed` no line is a heading, as in code."""
    reader = _Reader(text, headed)
    for line in _LINE.finditer(text):
        yield from reader.line(line.start(), line.end())
    yield from reader.flush(len(text))


class _Reader:
    def __init__(self, text: str, headed: bool) -> None:
        self._text, self._headed = text, headed
        self._start, self._lines = 0, 0
        self._fence = ""
        self._headings: list[tuple[int, str]] = []
        self._blank = False

    def line(self, start: int, end: int) -> Iterator[Block]:
        head = self._text[start : min(end, start + 600)]
        if self._fence:
            self._lines += 1
            if head.strip().startswith(self._fence) and not head.strip().strip(self._fence[0]):
                yield from self.flush(end, "code")
                self._fence = ""
            return
        fence, heading = _FENCE.match(head), self._headed and _HEADING.match(head)
        if fence:
            yield from self.flush(start)
            self._fence = fence[1]
        elif heading:
            yield from self.flush(start)
            yield self._heading(start, end, len(heading[1]), heading[2])
            return
        elif head.isspace():
            self._blank = True
            return
        elif self._blank or _ENTRY.match(head):
            yield from self.flush(start)
        elif (
            self._headed
            and self._lines == 1
            and (line := _UNDERLINE.match(head))
            and start - self._start <= LONGEST + 2
        ):
            title = self._text[self._start : start]
            if title.strip():
                yield self._heading(self._start, end, 1 if line[1][0] == "=" else 2, title)
                return
        self._lines += 1

    def flush(self, end: int, kind: Kind = "paragraph") -> Iterator[Block]:
        """Give what was gathered up to here, with the blank lines after it."""
        if self._fence:
            kind = "code"
        if end > self._start and (self._lines or kind == "code" or end == len(self._text)):
            yield Block(self._start, end, kind, tuple(title for _, title in self._headings))
            self._start = end
        self._lines, self._blank = 0, False

    def _heading(self, start: int, end: int, level: int, title: str) -> Block:
        kept = [(above, name) for above, name in self._headings if above < level][:DEEPEST]
        self._headings = [*kept, (level, title.strip().rstrip("#").strip()[:LONGEST])]
        begun, self._start, self._lines, self._blank = self._start, end, 0, False
        return Block(min(begun, start), end, "heading", tuple(name for _, name in self._headings))
