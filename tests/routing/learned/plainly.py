"""The features of `FEATURES_VERSION` 1 written out one by one: what stored policies were fitted on, whatever makes it fast."""

from __future__ import annotations

import math
import re
from collections import Counter

from meliora.routing.learned.features import Context

_PRIME, _MIX = 16777619, 2654435761
_WORD = re.compile(rb"[0-9A-Za-z\x80-\xff]+")
_MARKS = (
    *("def ", "return", "import ", "==", "assert", "Answer:", "A)", "B)", "D)", "A.", "B.", "D.", "E.", "G.", "J."),
    *("how many", "how much", "hich of", " not ", "xcept", "hat is", "rove", "alculate", "rue", "alse"),
)
_CLASSES = (rb"[\t ]", rb"[\r\n]", rb"[0-9]", rb"[A-Z]", rb"[a-z]", rb"[-+*/=<>^|&]", None, rb"[\x80-\xff]")
_TASKS = ("chat", "code", "reasoning", "research", "creative", "system", "simple")


def ids(text: str) -> Counter[int]:
    """Count the hashed n-grams: each four bytes of the last block, each word of the whole."""
    letters, last = _bytes(_cut(text)).lower(), _bytes(_asked(_cut(text))).lower()
    found = Counter(_hash(int.from_bytes(last[at : at + 4], "little")) for at in range(len(last) - 3))
    for word in _WORD.findall(letters):
        found[8192 + _hash(sum(byte * pow(_PRIME, place, 2**32) for place, byte in enumerate(word)))] += 1
    return found


def hand(text: str, context: Context) -> list[float]:
    """Give the hand features."""
    read, asked = _cut(text), _asked(_cut(text))
    last, words = _bytes(asked), [len(word) for word in _WORD.findall(_bytes(read))]
    end, counts = asked[-1600:], [len(re.findall(kind, last)) for kind in _CLASSES if kind is not None]
    counts.insert(6, len(last) - sum(counts))
    turn = context.hour / 12 * math.pi
    logs = (
        *(len(text), context.input_tokens or len(text) / 4, len(asked), len(asked) - asked.rfind("\n")),
        *(last.count(b"\n"), last.count(b" "), read.count("\n\n"), read.count("\\n\\n")),
        *_numbers(last),
        *(end.count(". "), max(words, default=0), sum(size > 8 for size in words)),
        *(end.count(mark) for mark in _MARKS),
        *(last.count(byte) for byte in b"?$\\=`({;_%^,:[+*/<|&'"),
    )
    return [
        *(math.log1p(count) for count in logs),
        *(count / len(last) for count in counts),
        *(len(last) / (len(words) + 1), float(asked[-1:] in "?:"), math.sin(turn), math.cos(turn)),
        *(float(context.task == task) for task in _TASKS),
        *(float(need in context.needs) for need in ("tools", "vision", "json")),
    ]


def _hash(value: int) -> int:
    return (value * _MIX & 0xFFFFFFFF) >> 19


def _cut(text: str) -> str:
    return text if len(text) <= 4096 else f"{text[:2048]}\n{text[-2048:]}"


def _bytes(text: str) -> bytes:
    data = text.encode("utf-8", "surrogatepass")
    return (data[:2048] + data[-2048:] if len(data) > 4096 else data).ljust(4)


def _asked(text: str) -> str:
    starts = [text.rfind(blank, 0, len(text) - 24) + len(blank) for blank in ("\n\n", "\\n\\n") if blank in text]
    return text[max(starts, default=0) :]


def _numbers(last: bytes) -> tuple[float, int]:
    """Half of how often digits begin or end within the text, and the longest run that both begins and ends there or begins it."""
    edges = [at for at in range(1, len(last)) if last[at : at + 1].isdigit() != last[at - 1 : at].isdigit()]
    runs = edges[last[:1].isdigit() :]
    return len(edges) / 2, max((end - start for start, end in zip(runs[::2], runs[1::2], strict=False)), default=0)
