"""From a document to the passages that it is searched by: cut where the text itself pauses, each under the headings it stands below."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec

from meliora.knowledge.documents import Document, Passage
from meliora.knowledge.text.folding import UNSPACED
from meliora.knowledge.text.structure import Block, blocks

SIZE, OVERLAP = 400, 40
LONGEST_WORD = 1_000
"""Characters after which a word is cut after all: it is none."""
TITLE = 300
"""Characters of a passage's title."""

_COMMENTED = re.compile(
    r"\.(?:py|pyi|sh|bash|zsh|fish|toml|ya?ml|rb|pl|pm|r|jl|conf|cfg|ini|env|properties|tf|mk|cmake|awk|sed|m4|ps1|nix|log)$"
    r"|(?:^|/)(?:Dockerfile|Makefile|Containerfile)$",
    re.IGNORECASE,
)
"""Sources in which a line that begins with `#` is a remark, and no heading."""
_UNSPACED = re.compile(f"[{UNSPACED}]")
_SENTENCE_END = re.compile(r"[.!?…][\"'”’)\]]{0,3}\s+(?=[^\sa-z,;])|[。！？][」』”）]{0,3}")
_WORD = re.compile(rf"\S{{1,{LONGEST_WORD}}}\s*")


class _Piece(msgspec.Struct, frozen=True, gc=False):
    """A stretch that is not cut any further."""

    start: int
    end: int
    words: int
    opens: bool
    """A heading stands before it."""
    headings: tuple[str, ...]


def chunk(document: Document, size: int = SIZE, overlap: int = OVERLAP) -> tuple[Passage, ...]:
    """Cut a document into passages of up to about `size` words, in time linear in its length; a short one is one passage.

    `document.text[passage.start:passage.end] == passage.text`. Cut at headings, paragraphs, sentences, then words; code blocks of up
    to twice the size stay whole. Within a section the last sentences, of up to `overlap` words, begin the next passage as well.
    The title is the document's with the headings above the passage. A document without text is one empty passage.
    """
    if size < 1 or not 0 <= overlap < size:
        raise ValueError(f"A passage of {size} words cannot have {overlap} in common with the one before it.")
    text = document.text
    if not text.strip():
        return (_passage(document, 0, 0, 0, ()),)
    short = size + size // 4
    if len(text) <= short * 2 or (len(text) <= short * 40 and count_words(text) <= short):
        return (_passage(document, 0, 0, len(text), _first_heading(document)),)
    pieces = list(_pieces(text, size, headed=not _is_code(document)))
    cut = _packed(pieces, size, overlap)
    return tuple(
        _passage(document, number, pieces[first].start, pieces[last].end, _headings(pieces, first, last))
        for number, (first, last) in enumerate(cut)
    )


def count_words(text: str) -> int:
    """Count words by the spaces between them; two letters of a script without spaces are one."""
    words = len(text.split())
    return words if text.isascii() else words + len(_UNSPACED.findall(text)) // 2


def _packed(pieces: Sequence[_Piece], size: int, overlap: int) -> Iterator[tuple[int, int]]:
    """Give the first and last piece of each passage: filled up, but a new section begins a new one, unless it is very short."""
    first, words = 0, 0
    for number, piece in enumerate(pieces):
        if number > first and (words + piece.words > size or (piece.opens and words >= size // 4)):
            yield first, number - 1
            first, words = number, 0
            if not piece.opens:
                first, words = _taken_again(pieces, number, min(overlap, size - piece.words))
        words += piece.words
    if pieces:
        yield first, len(pieces) - 1


def _taken_again(pieces: Sequence[_Piece], number: int, overlap: int) -> tuple[int, int]:
    """Give from which piece on the passage begins, and the words before its own."""
    first, words = number, 0
    while first > 0 and words + pieces[first - 1].words <= overlap and not pieces[first].opens:
        first -= 1
        words += pieces[first].words
    return first, words


def _pieces(text: str, size: int, headed: bool) -> Iterator[_Piece]:
    opens = False
    for block in blocks(text, headed=headed):
        opens = opens or block.kind == "heading"
        for start, end, words in _parts(text, block, size):
            yield _Piece(start, end, words, opens, block.headings)
            opens = False


def _parts(text: str, block: Block, size: int) -> Iterator[tuple[int, int, int]]:
    """Cut a block as far as it must be."""
    words = count_words(text[block.start : block.end])
    if words <= size // 4 or (block.kind == "code" and words <= 2 * size and not _run_on(block, words)):
        if words and not _run_on(block, words):
            yield block.start, block.end, words
            return
        if not words:
            return
    for start, end in _lines(text, block) if block.kind == "code" else _sentences(text, block):
        counted = count_words(text[start:end])
        if counted <= size // 2 and end - start <= size * 10:
            yield from [(start, end, counted)] if counted else []
        else:
            yield from _stretches(text, start, end, max(size // 8, 1))


def _run_on(block: Block, words: int) -> bool:
    """Tell whether a block has a word longer than any word is, as far as its length tells."""
    return block.end - block.start > words * 40 + LONGEST_WORD


def _sentences(text: str, block: Block) -> Iterator[tuple[int, int]]:
    start = block.start
    for end in _SENTENCE_END.finditer(text, block.start, block.end):
        yield start, end.end()
        start = end.end()
    if start < block.end:
        yield start, block.end


def _lines(text: str, block: Block) -> Iterator[tuple[int, int]]:
    start = block.start
    while start < block.end:
        found = text.find("\n", start, block.end)
        end = block.end if found < 0 else found + 1
        yield start, end
        start = end


def _stretches(text: str, start: int, end: int, most: int) -> Iterator[tuple[int, int, int]]:
    """Give stretches of a few words each; in a script without spaces, of twice as many letters."""
    words, begun = 0, start
    for word in _WORD.finditer(text, start, end):
        for place, weight in _weighed(text, word.start(), word.end(), most):
            words += weight
            if words >= most:
                yield begun, place, words
                words, begun = 0, place
    if begun < end and text[begun:end].strip():
        yield begun, end, max(words, 1)


def _weighed(text: str, start: int, end: int, most: int) -> Iterator[tuple[int, int]]:
    """Give a word as one, or cut where letters need no space between them; with what each part weighs."""
    letters = [] if text[start:end].isascii() else [one.end() for one in _UNSPACED.finditer(text, start, end)]
    done = start
    for place in letters[2 * most - 1 :: 2 * most]:
        yield place, most
        done = place
    if done < end:
        # What is long without being words counts for as many as its characters would make.
        yield end, 1 + (len(letters) % (2 * most)) // 2 + (end - done) // 40


def _passage(document: Document, number: int, start: int, end: int, headings: Sequence[str]) -> Passage:
    title = " > ".join(dict.fromkeys(one for one in (document.title, *headings) if one))[:TITLE]
    start += len(document.text[start:end]) - len(document.text[start:end].lstrip())
    text = document.text[start:end].rstrip()
    return Passage(document=document.id, number=number, title=title, text=text, start=start, end=start + len(text))


def _headings(pieces: Sequence[_Piece], first: int, last: int) -> tuple[str, ...]:
    """Give the headings above a passage; of one with several short sections, those that all of them stand under, or the first's."""
    above = pieces[first].headings
    common = next(
        (n for n, both in enumerate(zip(above, pieces[last].headings, strict=False)) if both[0] != both[1]),
        min(len(above), len(pieces[last].headings)),
    )
    return above[:common] if common else above


def _is_code(document: Document) -> bool:
    return document.text.startswith("#!") or _COMMENTED.search(document.source) is not None


def _first_heading(document: Document) -> tuple[str, ...]:
    """Give the first heading of a short document that has no title of its own."""
    if document.title or "#" not in document.text[:200] or _is_code(document):
        return ()
    return next((block.headings[-1:] for block in blocks(document.text[:2_000]) if block.headings), ())
