"""The parts of a written word: `getUserName`, `snake_case`, `v1.2.3`, `E1234`, a path, an address. The whole comes first."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator

from meliora.knowledge.text.folding import LONGEST, plain

Part = tuple[str, int, int]
"""A part in its one form, and where in the word it starts and ends."""

_JOINTS = re.compile(r"[._\-/@:\\'’‐‑]+")
_APOSTROPHES = ("'", "’")
_NUMBER = re.compile(r"\d+(?:\.\d+)*")
_VERSION = re.compile(r"[vV]?(\d+\.\d+)(?:\.\d+)+")
_HEX = re.compile(r"0[xX][0-9a-fA-F]+")
_HUMPS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_BOUND = re.compile(r"[^\W\d][A-Z]|[^\W\d_]\d|\d[^\W\d_]")
_WEAK = "_-‐‑"
"""Joints that are left out of the whole: `user_name`, `user-name` and `userName` are one name."""


def pieces(word: str, stopped: Container[str] = ()) -> Iterator[Part]:
    """Give the whole of a written word and then its parts, where it has some. `stopped` are words with which an elision may end."""
    if word.isalpha() and (word.islower() or word[1:].islower() or word.isupper()):
        yield plain(word), 0, len(word)
    elif any(mark in word for mark in _APOSTROPHES):
        yield from _elided(word, stopped)
    else:
        yield from _split(word)


def _elided(word: str, stopped: Container[str]) -> Iterator[Part]:
    """Take `user's` for `user`, `l'homme` for `homme`, `don't` for nothing where it is a stop word."""
    joined = plain(word.replace("'", "").replace("’", ""))
    if joined in stopped:
        return
    start = 0
    parts: list[tuple[str, int]] = []
    for part in re.split("['’]", word):
        if part:
            parts.append((part, start))
        start += len(part) + 1
    long = [one for one in parts if len(one[0]) > 2] or parts
    for part, place in long:
        for form, begins, ends in pieces(part):
            yield form, place + begins, place + ends


def _split(word: str) -> Iterator[Part]:
    parts = _joined(word)
    if len(parts) == 1:
        part, start = parts[0]
        yield from ((form, start + begins, start + ends) for form, begins, ends in _humps(part, word[-1]))
        return
    if all(len(part) == 1 and part.isalpha() for part, _ in parts):
        yield plain("".join(part for part, _ in parts)), 0, len(word)
        return
    yield _whole(word), 0, len(word)
    version = _VERSION.fullmatch(word)
    if version:
        if word[0] in "vV":
            yield plain(word[1:]) or word[1:], 1, len(word)
        yield version[1], version.start(1), version.end(1)
    elif not _NUMBER.fullmatch(word):
        for part, start in parts:
            if len(part) > 1 or part.isdigit():
                yield from ((form, start + begins, start + ends) for form, begins, ends in _humps(part))


def _joined(word: str) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    start = 0
    for joint in _JOINTS.finditer(word):
        found.append((word[start : joint.start()], start))
        start = joint.end()
    found.append((word[start:], start))
    return [one for one in found if one[0]]


def _whole(word: str) -> str:
    """Give a joined word whole: its weak joints left out, its strong ones kept as they are."""
    kept = [plain(part) if part not in "./@:\\" else part for part in re.split(r"([./@:\\])|[_\-‐‑]+", word) if part]
    return "".join(kept)[:LONGEST]


def _humps(part: str, last: str = "") -> Iterator[Part]:
    """Give a part, and what it is put together of by capitals, or by letters and one number."""
    whole = part.lower() if last and last in "+#" else plain(part)
    yield whole, 0, len(part)
    if not part.isascii() or not _BOUND.search(part):
        return
    if _HEX.fullmatch(part):
        yield whole[2:], 2, len(part)
        return
    found = [(one[0], one.start(), one.end()) for one in _HUMPS.finditer(part)]
    numbers = sum(text.isdigit() for text, *_ in found)
    if len(found) < 2 or numbers > 1 or (numbers and not found[-1][0].isdigit()):
        return
    for text, start, end in found:
        if len(text) > 1:
            yield text.lower(), start, end
