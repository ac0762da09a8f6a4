"""Reads the vectors of an embeddings answer. Refuses what is not what was asked for, rather than guess."""

from __future__ import annotations

from typing import Any

from meliora.errors import UpstreamBroken

_LARGEST = 1e30
"""Greater numbers than this do not come from a model, and do not fit into 32 bits for long. Infinity and nan are not smaller."""


def vectors_of(body: Any, count: int) -> list[list[float]]:
    """Give the vectors of `count` texts in the order of the texts, all of one length.

    Raises `UpstreamBroken` where there are more or fewer, or one is empty or has something else than finite numbers.
    """
    data = body.get("data") if isinstance(body, dict) else None
    if not isinstance(data, list) or len(data) != count:
        raise UpstreamBroken(f"The embeddings of {count} texts were asked for, and not {count} were answered.")
    found: dict[int, list[float]] = {}
    for at, one in enumerate(data):
        vector = one.get("embedding") if isinstance(one, dict) else None
        if not isinstance(vector, list) or not vector or not all(map(_is_number, vector)):
            raise UpstreamBroken("An embedding is no list of finite numbers.")
        place = one.get("index", at)
        found[place if isinstance(place, int) else at] = vector
    if set(found) != set(range(count)) or len({len(vector) for vector in found.values()}) > 1:
        raise UpstreamBroken("The embeddings are not one of each text, or of different lengths.")
    return [found[at] for at in range(count)]


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= _LARGEST
