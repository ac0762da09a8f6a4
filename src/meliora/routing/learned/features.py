"""What a prompt looks like, as numbers: hand features, and hashed n-grams of its bytes and words. Refuses nothing: any text works.

Hashing is arithmetic on bytes, so that the same text has the same ids in every process and release of `FEATURES_VERSION`.
"""

from __future__ import annotations

import math
import re
from functools import cache, lru_cache

import msgspec
import numpy as np
import re2
from numpy.typing import NDArray

FEATURES_VERSION = 1
"""Of all that this module computes: a policy fitted on another version is refused."""

CUT = 4096
"""Characters, and then bytes, that are read of a prompt: from a longer one half of this from either end, and its length."""

BUCKETS = 8192
"""Hash buckets of a block of ids; ids run from 0 to `IDS`."""

BLOCKS = 2
"""Byte 4-grams of the last block of the prompt, words of all of it."""

IDS = BLOCKS * BUCKETS

TASKS = ("chat", "code", "reasoning", "research", "creative", "system", "simple")
NEEDS = ("tools", "vision", "json")

_BYTES = b"?$\\=`({;_%^,:[+*/<|&'"
"""Counted by `log(1 + n)`: punctuation of questions, maths and code."""

_MARKS = (
    "def ", "return", "import ", "==", "assert",
    "Answer:", "A)", "B)", "D)", "A.", "B.", "D.", "E.", "G.", "J.",
    "how many", "how much", "hich of", " not ", "xcept", "hat is", "rove", "alculate", "rue", "alse",
)  # fmt: skip
"""Counted likewise: words of code, options, words of questions."""

_CLASSES = 8
_CLASS = np.full(256, 7, np.uint8)  # 7: beyond ASCII
_CLASS[:128] = 6  # other punctuation and controls
_CLASS[[9, 32]] = 0
_CLASS[[10, 13]] = 1
_CLASS[48:58] = 2
_CLASS[65:91] = 3
_CLASS[97:123] = 4
_CLASS[[ord(mark) for mark in "+-*/=<>^|&"]] = 5

_BY_CLASS = np.argsort(_CLASS, kind="stable")
_BEGINS = np.searchsorted(_CLASS[_BY_CLASS], np.arange(_CLASSES))
"""All bytes in the order of their classes, and where in it each class begins."""
_PLACES = np.frombuffer(_BYTES, np.uint8)
_IS_DIGIT = bytes(_CLASS == 2)
_IS_WORD = bytes(np.isin(_CLASS, (2, 3, 4, 7)))
_ONLY_WORDS = bytes(byte if _IS_WORD[byte] else 0 for byte in range(256)).lower()
"""What `bytes.translate` takes to say of each byte whether it is a digit, or part of a word; and to leave nothing but words."""
_WORD = re.compile(rb"[0-9A-Za-z\x80-\xff]+")

HAND = 15 + len(_BYTES) + len(_MARKS) + _CLASSES + 2 + len(TASKS) + len(NEEDS)
"""How many hand features there are."""

_BLANK = ("\n\n", "\\n\\n")
"""What ends a block: an empty line, also an escaped one, as in prompts that were written out as a list or as JSON."""
_LEAST_BLOCK = 24
_COUNTED = 1600
"""Characters at the end in which marks are counted."""

_MIX = np.uint32(2654435761)
_SHIFT = np.uint32(19)
_BLOCK = np.uint32(BUCKETS)
_NO_WORDS, _NO_SIZES = np.zeros(0, np.uint32), np.zeros(0, np.int64)

_COUNTS = 13
"""Counts that the marks and bytes come after, before the logarithm is taken."""
_NOTHING_COUNTED = np.zeros(_COUNTS + len(_MARKS) + len(_BYTES))


class Context(msgspec.Struct, frozen=True):
    """What is known of a call besides its text."""

    task: str = "general"
    hour: float = 0.0
    """Of the day, UTC, 0 to 24."""
    input_tokens: int = 0
    """0 where nobody counted."""
    needs: frozenset[str] = frozenset()


NOTHING = Context()


class Features(msgspec.Struct, frozen=True):
    """`hand` is float32[HAND]; `ids` int64[n] are the hashed n-grams found, each once, `weights` float32[n] how often (log scale)."""

    hand: NDArray[np.float32]
    ids: NDArray[np.int64]
    weights: NDArray[np.float32]


def read(text: str, context: Context = NOTHING) -> Features:
    """Read a prompt and what is known of its call."""
    length = len(text)
    text = cut(text)
    letters = _letters(text)
    blanks = tuple(text.count(blank) if blank[0] in text else 0 for blank in _BLANK)
    asked = _last_block(text, blanks)
    last = letters if len(asked) == len(text) else _letters(asked)
    words, sizes = _words(letters)
    ids, weights = _counted(_hashed(last, words))
    return Features(_hand(asked, last, blanks, length, sizes, context), ids, weights)


def cut(text: str) -> str:
    """Give what is read of a text."""
    return text if len(text) <= CUT else f"{text[: CUT // 2]}\n{text[-(CUT // 2) :]}"


def words(text: str) -> tuple[list[bytes], NDArray[np.int64]]:
    """Give the words that `read` hashes of a text, as often as they are there, A to Z in lower case; and the id of each."""
    letters = _letters(cut(text))
    summed, _ = _words(letters)
    return _WORD.findall(letters.lower()), (summed * _MIX >> _SHIFT).astype(np.int64) + BUCKETS


def _hashed(letters: bytes, words: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Give the ids of the four bytes from each place on (A to Z in lower case, as one little-endian number), and of the words."""
    grams = len(letters) - 3
    found = np.empty(grams + len(words), np.uint32)
    found[:grams] = np.ndarray((grams,), "<u4", letters.lower(), 0, (1,))
    hashed = found[grams:]
    hashed[:] = words
    found *= _MIX
    found >>= _SHIFT
    hashed += _BLOCK
    return found


def _counted(found: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Give each id once, and 1 + the logarithm of how often it was there. By sorting: looking through all buckets takes longer."""
    found.sort()
    first = np.empty(len(found), np.bool_)
    first[0] = True
    np.not_equal(found[1:], found[:-1], out=first[1:])
    places = first.nonzero()[0]
    counts = np.empty_like(places)
    np.subtract(places[1:], places[:-1], out=counts[:-1])
    counts[-1] = len(found) - places[-1]
    return found.take(places).astype(np.int64), _WEIGHTS.take(counts)


def _letters(text: str) -> bytes:
    data = text.encode("utf-8", "surrogatepass")
    if len(data) > CUT:
        data = data[: CUT // 2] + data[-(CUT // 2) :]
    return data if len(data) >= 4 else data.ljust(4)


def _last_block(text: str, blanks: tuple[int, ...]) -> str:
    """Give what is asked in the end: examples and context come before an empty line, the question after it.

    `blanks`: how many there are of each kind. Where the only ones end a block that is too short, one character, or three, is lost.
    """
    if not any(blanks):
        return text
    end = len(text) - _LEAST_BLOCK
    start = max(
        text.rfind(blank, 0, end) + len(blank) if count else 0 for blank, count in zip(_BLANK, blanks, strict=True)
    )
    return text[start:]


def _hand(
    asked: str, last: bytes, blanks: tuple[int, ...], length: int, sizes: NDArray[np.int64], context: Context
) -> NDArray[np.float32]:
    seen = np.bincount(np.frombuffer(last, np.uint8), minlength=256)
    classes = np.add.reduceat(seen.take(_BY_CLASS), _BEGINS)
    numbers, longest = _numbers(last) if classes[2] else (0.0, 0)
    words = len(sizes)
    end = asked[-_COUNTED:]
    counted = _NOTHING_COUNTED.copy()
    counted[:_COUNTS] = (
        length,
        context.input_tokens or length / 4,
        len(asked),
        len(asked) - asked.rfind("\n"),
        seen[10],
        seen[32],
        *blanks,
        numbers,
        longest,
        end.count(". "),
        np.maximum.reduce(sizes) if words else 0,
        np.count_nonzero(sizes > 8),
    )
    for mark in _marks().Match(end.encode("utf-8", "surrogatepass")) or ():
        counted[_COUNTS + mark] = end.count(_MARKS[mark])
    counted[-len(_BYTES) :] = seen.take(_PLACES)
    turn = context.hour / 12 * math.pi
    told = (
        len(last) / (words + 1),
        asked[-1:] in "?:",
        math.sin(turn),
        math.cos(turn),
        *_known(context.task, context.needs),
    )
    hand = np.empty(HAND, np.float32)
    hand[: len(counted)] = np.log1p(counted)
    hand[len(counted) : -len(told)] = classes / len(last)
    hand[-len(told) :] = told
    return hand


def _numbers(letters: bytes) -> tuple[float, int]:
    """Give half of how often digits begin or end, and the length of the longest run of digits that ends within the text."""
    digits = np.frombuffer(letters.translate(_IS_DIGIT), np.bool_)
    edges = (digits[1:] != digits[:-1]).nonzero()[0]
    if not len(edges):
        return 0.0, 0
    runs = edges[int(digits[0]) :]
    pairs = len(runs) // 2 * 2
    return len(edges) / 2, int((runs[1:pairs:2] - runs[0:pairs:2]).max()) if pairs else 0


@cache
def _marks() -> re2.Set:
    """Compile the marks into one set, so that only those that a text has are counted in it; few have more than two."""
    options = re2.Options()
    options.log_errors = False
    options.literal = True
    options.encoding = re2.Options.Encoding.LATIN1  # byte by byte: a text may hold what is no UTF-8
    marks = re2.Set.SearchSet(options)
    for mark in _MARKS:
        marks.Add(mark)
    marks.Compile()
    return marks


@lru_cache(256)
def _known(task: str, needs: frozenset[str]) -> tuple[float, ...]:
    return (*(float(task == one) for one in TASKS), *(float(need in needs) for need in NEEDS))


def _words(letters: bytes) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Give for each run of letters and digits the sum of its bytes, each times a power of a prime by its place in the word.

    Also give the length of each.
    """
    inside = np.frombuffer(b"".join((b"\0", letters.translate(_IS_WORD), b"\0")), np.bool_)
    edges = (inside[1:] != inside[:-1]).nonzero()[0]
    if not len(edges):
        return _NO_WORDS, _NO_SIZES
    starts = edges[::2]
    # What is between the words is 0, so that a sum may run on to the next word's start.
    summed = np.add.reduceat(
        np.frombuffer(letters.translate(_ONLY_WORDS), np.uint8) * _POWERS[: len(letters)], starts, dtype=np.uint32
    )
    # The sum over a word starts at its place in the text; the inverse power moves it to the beginning.
    summed *= _INVERSES.take(starts)
    return summed, edges[1::2] - starts


def _powers(base: int) -> NDArray[np.uint32]:
    found = np.empty(CUT + 8, np.uint32)
    value = 1
    for index in range(len(found)):
        found[index] = value
        value = value * base & 0xFFFFFFFF
    return found


_WEIGHTS = (1 + np.log(np.maximum(1, np.arange(2 * CUT + 8)))).astype(np.float32)
_POWERS = _powers(16777619)
_INVERSES = _powers(pow(16777619, -1, 2**32))
