"""What a prompt looks like, as numbers: hand features, and hashed n-grams of its bytes and words. Refuses nothing: any text works.

Hashing is arithmetic on bytes, so that the same text has the same ids in every process and release of `FEATURES_VERSION`.
"""

from __future__ import annotations

import math
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
"""Byte 4-grams, words."""

IDS = BLOCKS * BUCKETS

TASKS = ("chat", "code", "reasoning", "research", "creative", "system", "simple")
NEEDS = ("tools", "vision", "json")

_MARKS = (
    "?", "$", "\\", "=", "```", "\n\n", "(", "{", ";", "_", "%", "^", ",", ":",
    "def ", "return", "import ", "==", "assert", "print(",
    "Answer:", "Q:", "A)", "A.", "B)", "B.", "D)", "D.", "E)", "E.", "G)", "G.", "J)", "J.", "I.",
    "how many", "how much", "Which of", " not ", "xcept", "what is", "why", "prove", "Find", "alculate", "true", "False",
)  # fmt: skip
"""Counted by `log(1 + n)`: punctuation of maths and code, options, words of questions."""

_CLASSES = 8
_CLASS = np.full(256, 7, np.uint8)  # 7: beyond ASCII
_CLASS[:128] = 6  # other punctuation and controls
_CLASS[[9, 32]] = 0
_CLASS[[10, 13]] = 1
_CLASS[48:58] = 2
_CLASS[65:91] = 3
_CLASS[97:123] = 4
_CLASS[[ord(mark) for mark in "+-*/=<>^|&"]] = 5

_LOWER = np.arange(256, dtype=np.uint32)
_LOWER[65:91] += 32
_WORDLIKE = np.isin(_CLASS, (2, 3, 4, 7))

HAND = 5 + _CLASSES + len(_MARKS) + 2 + len(TASKS) + len(NEEDS)
"""How many hand features there are."""

_MIX = np.uint32(2654435761)
_PRIME = np.uint32(16777619)


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
    if length > CUT:
        text = f"{text[: CUT // 2]}\n{text[-(CUT // 2) :]}"
    data = text.encode("utf-8", "surrogatepass")
    if len(data) > CUT:
        data = data[: CUT // 2] + data[-(CUT // 2) :]
    letters = np.frombuffer(data, np.uint8)
    ids, weights = _hashed(letters)
    return Features(_hand(text, letters, length, context), ids, weights)


def _hand(text: str, letters: NDArray[np.uint8], length: int, context: Context) -> NDArray[np.float32]:
    shares = np.bincount(_CLASS[letters], minlength=_CLASSES) / max(1, len(letters))
    count = text.count
    lines = text.rsplit("\n", 1)
    turn = context.hour / 12 * math.pi
    values = [
        math.log1p(length),
        math.log1p(context.input_tokens or length / 4),
        math.log1p(len(lines[-1])),
        math.log1p(count("\n")),
        math.log1p(count(" ")),
        *shares.tolist(),
        *[math.log1p(count(mark)) for mark in _MARKS],
        math.sin(turn),
        math.cos(turn),
        *[float(context.task == task) for task in TASKS],
        *[float(need in context.needs) for need in NEEDS],
    ]
    return np.array(values, np.float32)


def _hashed(letters: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    if len(letters) < 4:
        letters = np.pad(letters, (0, 4 - len(letters)), constant_values=32)
    low = _LOWER[letters]
    grams = (low[:-3] | (low[1:-2] << 8) | (low[2:-1] << 16) | (low[3:] << 24)) * _MIX >> np.uint32(19)
    found = np.bincount(np.concatenate((grams, _words(letters, low) + np.uint32(BUCKETS))), minlength=IDS)
    ids = np.flatnonzero(found)
    return ids, (1 + np.log(found[ids])).astype(np.float32)


def _words(letters: NDArray[np.uint8], low: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Hash each run of letters and digits: the sum of its bytes, each times a power of a prime by its place in the word."""
    inside = _WORDLIKE[letters]
    edges = np.flatnonzero(inside[1:] != inside[:-1]) + 1
    if inside[0]:
        edges = np.concatenate((np.zeros(1, edges.dtype), edges))
    starts, ends = edges[::2], edges[1::2]
    if not len(starts):
        return np.zeros(0, np.uint32)
    if len(ends) < len(starts):
        ends = np.concatenate((ends, np.array([len(letters)])))
    powers = _POWERS[: len(letters)]
    summed = np.concatenate((np.zeros(1, np.uint32), np.cumsum(low * powers, dtype=np.uint32)))
    # The sum over a word starts at its place in the text; the inverse power moves it to the beginning.
    return (summed[ends] - summed[starts]) * _INVERSES[starts] * _MIX >> np.uint32(19)


def _powers(base: int) -> NDArray[np.uint32]:
    found = np.empty(CUT + 8, np.uint32)
    value = 1
    for index in range(len(found)):
        found[index] = value
        value = value * base & 0xFFFFFFFF
    return found


_POWERS = _powers(16777619)
_INVERSES = _powers(pow(16777619, -1, 2**32))
