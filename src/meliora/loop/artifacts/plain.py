"""Plain data as JSON and YAML in one form: the same data, the same bytes. What is no finite number is null."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORDS = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})


def to_json(value: Any) -> bytes:
    """Give indented JSON with a line break at its end."""
    return msgspec.json.format(msgspec.json.encode(_finite(value)), indent=2) + b"\n"


def to_yaml(value: Mapping[str, Any]) -> bytes:
    """Give YAML in blocks, for readers of 1.1 and 1.2; texts are written as JSON writes them, so that none is taken for something else."""
    return ("\n".join(_block(_finite(value), 0)) + "\n").encode()


def _block(value: Any, depth: int) -> Iterator[str]:
    pad = "  " * depth
    if isinstance(value, dict):
        for name, one in value.items():
            yield from _entry(f"{pad}{_key(str(name))}:", one, depth)
    else:
        for one in value:
            yield from _entry(f"{pad}-", one, depth)


def _entry(head: str, value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, dict | list) and value:
        yield head
        yield from _block(value, depth + 1)
    else:
        yield f"{head} {_scalar(value)}"


def _scalar(value: Any) -> str:
    """Give a value as JSON writes it, but a power of ten with its point and sign: YAML 1.1 reads `1e-6` as a text (type `float`)."""
    said = msgspec.json.encode(value).decode()
    if not isinstance(value, float) or "e" not in said:
        return said
    digits, power = said.split("e")
    return f"{digits if '.' in digits else f'{digits}.0'}e{power if power[0] in '+-' else f'+{power}'}"


def _key(name: str) -> str:
    return name if _PLAIN.fullmatch(name) and name.lower() not in _WORDS else msgspec.json.encode(name).decode()


def _finite(value: Any) -> Any:
    """Give built-in data, what is no finite number as null: that is what it is worth."""
    plain = msgspec.to_builtins(value)
    if isinstance(plain, dict):
        return {name: _finite(one) for name, one in plain.items()}
    if isinstance(plain, list | tuple):
        return [_finite(one) for one in plain]
    return None if isinstance(plain, float) and not math.isfinite(plain) else plain
