"""Takes people out of what was learned from their searches: words that only they asked with, their part in a model.

Works on a kept file as it lies there: one of another version, which no search can take any more, may hold what somebody wants gone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import msgspec

MOST = 20
"""People that are kept of one word: of more, somebody always remains."""
SOMEBODY = ""
"""Stands for people who are not known by name, and for more than `MOST`."""


class Remainder(msgspec.Struct, frozen=True, kw_only=True):
    """A file without some people."""

    data: bytes
    words: tuple[str, ...] = ()
    """That went."""


def support(people: Iterable[str]) -> tuple[str, ...]:
    """Give who stands behind a word as it is kept, `people` being keyed hashes, `SOMEBODY` among them for those without a name."""
    found = sorted(set(people))
    return tuple(found) if len(found) <= MOST else (SOMEBODY, *[one for one in found if one][:MOST])


def parted(
    people: Mapping[str, Collection[str]], gone: Collection[str]
) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """Give who remains behind each word, and the words behind which somebody stood and nobody does any more."""
    left = {word: tuple(one for one in own if one not in gone) for word, own in people.items()}
    lone = sorted(word for word, own in left.items() if people[word] and not own)
    return {word: own for word, own in left.items() if word not in lone}, lone


def without(kind: str, data: bytes, gone: Collection[str]) -> Remainder | None:
    """Give a kept artifact without people (keyed hashes); None where it holds nothing of them, or is of a kind that holds nobody."""
    if not any(one.encode() in data for one in gone):
        return None
    return {"expansion": _table, "reranker": _model}.get(kind, _nobody)(data, gone)


def known_only(kind: str, data: bytes, known: Callable[[str], bool]) -> Remainder | None:
    """Give an expansion whose translations are all words that some document still has; None where they are, or it is none."""
    said = _object(data) if kind == "expansion" else {}
    words: dict[str, dict[str, float]] = said.get("words", {})
    lost = sorted({one for own in words.values() for one in own if not known(one)})
    if not lost:
        return None
    left = {word: {one: weight for one, weight in own.items() if one not in lost} for word, own in words.items()}
    return Remainder(data=msgspec.json.encode(said | {"words": left}, order="sorted"), words=tuple(lost))


def read_until(kind: str, data: bytes) -> int | None:
    """Give until when searches were read for an artifact; None for one that does not say."""
    line = data.partition(b"\n")[0] if kind == "reranker" else data if kind == "expansion" else b""
    said = _object(line)
    found = said.get("training", {}).get("until_us") if kind == "reranker" else said.get("until_us")
    return found if isinstance(found, int) else None


def erased_of(model: bytes) -> int:
    """Give how many of the people that a reranker learned from were erased since; 0 for a file that does not say."""
    return int(_object(model.partition(b"\n")[0]).get("training", {}).get("erased", 0))


def _table(data: bytes, gone: Collection[str]) -> Remainder | None:
    """Take out of an expansion the words that only these people asked with. The others keep what they mean."""
    said = _object(data)
    left, lone = parted(said.get("people", {}), gone)
    words = {word: own for word, own in said.get("words", {}).items() if word not in lone}
    return Remainder(
        data=msgspec.json.encode(said | {"words": words, "people": left}, order="sorted"), words=tuple(lone)
    )


def _model(data: bytes, gone: Collection[str]) -> Remainder | None:
    """Take people off a reranker, and mark it: its trees hold numbers alone, but they learned from what is gone."""
    line, _, trees = data.partition(b"\n")
    head = _object(line)
    training: dict[str, Any] = head.get("training", {})
    left = [one for one in training.get("people", ()) if one not in gone]
    erased = training.get("erased", 0) + len(training.get("people", ())) - len(left)
    marked = head | {"training": training | {"people": left, "erased": erased}}
    return Remainder(data=b"\n".join([msgspec.json.encode(marked), trees]))


def _nobody(data: bytes, gone: Collection[str]) -> Remainder | None:
    return None


def _object(text: bytes) -> dict[str, Any]:
    try:
        said = msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return {}
    return said if isinstance(said, dict) else {}
