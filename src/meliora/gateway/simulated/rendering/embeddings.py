"""Simulated embeddings: texts that share words and beginnings of words get near vectors. No meaning is known."""

from __future__ import annotations

import base64
import math
import re
import struct
import zlib
from typing import Any

from meliora.errors import InvalidRequest

READ_CHARS = 32_000
MOST_INPUTS = 2048
MOST_DIMENSIONS = 4096

_WORD = re.compile(r"\w{1,40}")
_PLAIN = re.compile(
    "an?|and|are|as|at|be|by|can|for|from|has|in|is|its?|of|on|or|that|the|this|to|was|will|with|you|your"
)
"""Words that say little: they count a fifth, so that texts are near for what they are about."""


def embeddings_body(body: dict[str, Any], usual: int, seed: int) -> dict[str, Any]:
    """Give the vectors, as lists of numbers or as base64 of little-endian 32-bit floats.

    `usual` is the length of a vector where the request names none. Raises `InvalidRequest` naming the field at fault.
    """
    texts = _inputs(body.get("input"))
    size = body.get("dimensions", usual)
    if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= MOST_DIMENSIONS:
        raise InvalidRequest(f"`dimensions` is not an integer from 1 to {MOST_DIMENSIONS}.", field="dimensions")
    form = body.get("encoding_format") or "float"
    if form not in ("float", "base64"):
        raise InvalidRequest("`encoding_format` is neither `float` nor `base64`.", field="encoding_format")
    data = [
        {"object": "embedding", "index": i, "embedding": _encoded(vector(text, size, seed), form)}
        for i, text in enumerate(texts)
    ]
    tokens = sum(-(-len(text) // 4) for text in texts)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": body.get("model"), "usage": usage}


def vector(text: str, size: int, seed: int) -> list[float]:
    """Give the unit vector of a text: each word, and its first four letters, adds to four places by its checksum.

    The same words in another order have the same vector.
    """
    places = [0.0] * size
    for word in _WORD.findall(text[:READ_CHARS].lower()) or [text[:64]]:
        share = 0.2 if _PLAIN.fullmatch(word) else 1.0
        for part, weight in ((word, share), (word[:4], share / 2)):
            start = zlib.crc32(part.encode("utf-8", "surrogatepass"), seed & 0xFFFFFFFF)
            for turn in range(4):
                mixed = (start * 2654435761 + turn * 40503) & 0xFFFFFFFF
                start = mixed ^ (mixed >> 15)
                places[start % size] += weight if start & 0x10000 else -weight
    norm = math.sqrt(sum(x * x for x in places))
    return [x / norm for x in places] if norm else [1.0, *places[1:]]


def _encoded(numbers: list[float], form: str) -> list[float] | str:
    if form == "float":
        return numbers
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def _inputs(given: Any) -> list[str]:
    """Take a text, texts, tokens or lists of tokens."""
    if isinstance(given, str):
        return [given]
    if isinstance(given, list) and 0 < len(given) <= MOST_INPUTS:
        if all(isinstance(each, str) for each in given):
            return given
        if all(isinstance(each, int) for each in given):
            return [" ".join(map(str, given))]
        if all(isinstance(each, list) and all(isinstance(token, int) for token in each) for each in given):
            return [" ".join(map(str, each)) for each in given]
    raise InvalidRequest(f"`input` is not a text or a list of 1 to {MOST_INPUTS} texts.", field="input")
