"""What a prompt looks like, as numbers: hand features, and hashed n-grams of its bytes and words. Refuses nothing: any text works.

Hashing is arithmetic on bytes, so that the same text has the same ids in every process and release of `FEATURES_VERSION`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import msgspec
import numpy as np
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

_DIGIT = _CLASS == 2
_SHARES = np.eye(_CLASSES)[_CLASS]
_PLACES = np.frombuffer(_BYTES, np.uint8)

_LOWER = np.arange(256, dtype=np.uint32)
_LOWER[65:91] += 32
_WORDLIKE = np.isin(_CLASS, (2, 3, 4, 7))
_WORD = re.compile(rb"[0-9A-Za-z\x80-\xff]+")

HAND = 15 + len(_BYTES) + len(_MARKS) + _CLASSES + 2 + len(TASKS) + len(NEEDS)
"""How many hand features there are."""

_BLANK = ("\n\n", "\\n\\n")
"""What ends a block: an empty line, also an escaped one, as in prompts that were written out as a list or as JSON."""
_LEAST_BLOCK = 24
_COUNTED = 1600
"""Characters at the end in which marks are counted."""

_MIX = np.uint32(2654435761)


class Context(msgspec.Struct, frozen=True):
    """What is known of a call besides its text."""

    task: str = "general"
    hour: float = 0.0
    """Of the day, UTC, 0 to 24."""
    input_tokens: int = 0
    """0 where nobody counted."""
    needs: frozenset[str] = frozenset()


NOTHING = Context()


@dataclass(frozen=True, slots=True)
class Features:
    """`hand` is float32[HAND]; `ids` int64[n] are the hashed n-grams found, each once, `weights` float32[n] how often (log scale)."""

    hand: NDArray[np.float32]
    ids: NDArray[np.int64]
    weights: NDArray[np.float32]


def read(text: str, context: Context = NOTHING) -> Features:
    """Read a prompt and what is known of its call."""
    length = len(text)
    text = cut(text)
    letters = _letters(text)
    asked = _last_block(text)
    last = letters if len(asked) == len(text) else _letters(asked)
    words, sizes = _words(letters)
    ids, weights = _counted(np.concatenate((_grams(last), words + np.uint32(BUCKETS))))
    return Features(_hand(text, asked, last, length, sizes, context), ids, weights)


def cut(text: str) -> str:
    """Give what is read of a text."""
    return text if len(text) <= CUT else f"{text[: CUT // 2]}\n{text[-(CUT // 2) :]}"


def words(text: str) -> tuple[list[bytes], NDArray[np.int64]]:
    """Give the words that `read` hashes of a text, as often as they are there, A to Z in lower case; and the id of each."""
    letters = _letters(cut(text))
    hashed, _ = _words(letters)
    return _WORD.findall(letters.tobytes().lower()), hashed.astype(np.int64) + BUCKETS


def _counted(found: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Give each id once, and 1 + the logarithm of how often it was there. By sorting: looking through all buckets takes longer."""
    found.sort()
    first = np.empty(len(found), np.bool_)
    first[0] = True
    np.not_equal(found[1:], found[:-1], out=first[1:])
    places = first.nonzero()[0]
    counts = np.empty(len(places), np.int64)
    np.subtract(places[1:], places[:-1], out=counts[:-1])
    counts[-1] = len(found) - places[-1]
    return found[places].astype(np.int64), _WEIGHTS[counts]


def _letters(text: str) -> NDArray[np.uint8]:
    data = text.encode("utf-8", "surrogatepass")
    if len(data) > CUT:
        data = data[: CUT // 2] + data[-(CUT // 2) :]
    if len(data) < 4:
        data = data.ljust(4)
    return np.frombuffer(data, np.uint8)


def _last_block(text: str) -> str:
    """Give what is asked in the end: examples and context come before an empty line, the question after it."""
    end = len(text) - _LEAST_BLOCK
    start = max(text.rfind(blank, 0, end) + len(blank) if blank in text else 0 for blank in _BLANK)
    return text[start:]


def _hand(
    text: str, asked: str, last: NDArray[np.uint8], length: int, sizes: NDArray[np.int64], context: Context
) -> NDArray[np.float32]:
    bytes_seen = np.bincount(last, minlength=256)
    digits = _DIGIT[last]
    numbers = np.flatnonzero(digits[1:] != digits[:-1])
    runs = numbers[int(digits[0]) :]
    pairs = len(runs) // 2 * 2
    longest = int((runs[1:pairs:2] - runs[0:pairs:2]).max()) if pairs else 0
    words = len(sizes)
    count = asked[-_COUNTED:].count
    turn = context.hour / 12 * math.pi
    counted = [
        length,
        context.input_tokens or length / 4,
        len(asked),
        len(asked) - asked.rfind("\n"),
        int(bytes_seen[10]),
        int(bytes_seen[32]),
        text.count("\n\n"),
        text.count("\\n\\n"),
        len(numbers) / 2,
        longest,
        count(". "),
        int(sizes.max()) if words else 0,
        np.count_nonzero(sizes > 8),
        *[count(mark) for mark in _MARKS],
    ]
    told = [
        len(last) / (words + 1),
        float(asked[-1:] in "?:"),
        math.sin(turn),
        math.cos(turn),
        *[float(context.task == task) for task in TASKS],
        *[float(need in context.needs) for need in NEEDS],
    ]
    logs = np.log1p(np.concatenate((counted, bytes_seen[_PLACES])))
    return np.concatenate((logs, bytes_seen @ _SHARES / len(last), told)).astype(np.float32)


def _grams(letters: NDArray[np.uint8]) -> NDArray[np.integer]:
    low = _LOWER[letters]
    return (low[:-3] | (low[1:-2] << 8) | (low[2:-1] << 16) | (low[3:] << 24)) * _MIX >> np.uint32(19)


def _words(letters: NDArray[np.uint8]) -> tuple[NDArray[np.integer], NDArray[np.int64]]:
    """Hash each run of letters and digits: the sum of its bytes, each times a power of a prime by its place in the word.

    Also give the length of each.
    """
    low = _LOWER[letters]
    inside = _WORDLIKE[letters]
    edges = np.flatnonzero(inside[1:] != inside[:-1]) + 1
    if inside[0]:
        edges = np.concatenate((np.zeros(1, edges.dtype), edges))
    starts, ends = edges[::2], edges[1::2]
    if not len(starts):
        return np.zeros(0, np.uint32), np.zeros(0, np.int64)
    if len(ends) < len(starts):
        ends = np.concatenate((ends, np.array([len(letters)])))
    powers = _POWERS[: len(letters)]
    summed = np.concatenate((np.zeros(1, np.uint32), np.cumsum(low * powers, dtype=np.uint32)))
    # The sum over a word starts at its place in the text; the inverse power moves it to the beginning.
    return (summed[ends] - summed[starts]) * _INVERSES[starts] * _MIX >> np.uint32(19), ends - starts


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
