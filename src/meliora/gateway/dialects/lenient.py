"""Decode JSON as providers do, who take more than the strictest parser: half of a surrogate pair, where a text was cut in an emoji.

Refuses everything else that is not JSON: NaN, trailing bytes, invalid UTF-8.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec


def decode(raw: bytes) -> Any:
    """Decode; a lone half of a surrogate pair becomes U+FFFD.

    Raises `msgspec.DecodeError` or `ValueError` for what is no JSON, `RecursionError` for what is nested too deep.
    """
    try:
        return msgspec.json.decode(raw)
    except msgspec.DecodeError:
        if b"\\ud" not in raw and b"\\uD" not in raw:
            raise
    return _whole(json.loads(raw, parse_constant=_refuse))


def deeper_than(value: Any, limit: int) -> bool:
    """Say whether decoded JSON is nested deeper than `limit`; looks at one level after the other, without recursion."""
    level = [value]
    for _ in range(limit + 1):
        below: list[Any] = []
        for item in level:
            if type(item) is dict:
                below.extend(item.values())
            elif type(item) is list:
                below.extend(item)
        if not below:
            return False
        level = below
    return True


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _whole(value: Any) -> Any:
    """Put U+FFFD in the place of what cannot be encoded, in every string."""
    root = [value]
    waiting: list[Any] = [root]
    while waiting:
        holder = waiting.pop()
        for place in range(len(holder)) if type(holder) is list else list(holder):
            item = holder[place]
            if type(item) is str:
                holder[place] = _text(item)
            elif type(item) is list:
                waiting.append(item)
            elif type(item) is dict:
                holder[place] = fresh = {_text(name): content for name, content in item.items()}
                waiting.append(fresh)
    return root[0]


def _text(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if not text.isascii() else text
