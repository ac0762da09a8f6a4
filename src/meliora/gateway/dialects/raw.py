"""Changes to a request's raw JSON that leave every other byte alone, and the refusal of keys that are there twice.

Takes JSON that was already decoded without error; gives no opinion on JSON that was not.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from meliora.errors import InvalidRequest

GUARDED = (
    "model",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "messages",
    "input",
    "system",
    "instructions",
    "tools",
    "response_format",
    "text",
    "n",
    "user",
    "metadata",
    "safety_identifier",
    "previous_response_id",
    "service_tier",
    "prompt",
)
"""Top-level names that the gateway decides by. Twice in one body, they could mean one thing to it and another upstream."""

# These patterns run over JSON known to be well-formed; each is linear: no two of its parts can take the same byte.
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]', re.DOTALL)
_ESCAPED_LETTER = re.compile(rb"\\u00(?:5[fF]|6[1-9a-fA-F]|7[0-9aA])")
_SPACE = re.compile(rb"[ \t\r\n]*")
_KEYS = {name: re.compile(b'"' + name.encode() + rb'"[ \t\r\n]*:') for name in GUARDED}
_QUOTED = {name: b'"' + name.encode() + b'"' for name in GUARDED}
_WANTED_USAGE = b'"stream_options":{"include_usage":true}'


class Member(msgspec.Struct, frozen=True):
    """One member of a raw JSON object: its decoded key, and where its value begins and ends."""

    key: str
    start: int
    end: int


def members(raw: bytes, start: int = 0) -> list[Member]:
    """List the members of the object that begins at or after `start`, duplicates included, in one linear scan."""
    found: list[Member] = []
    depth = 0
    key: bytes | None = None
    value = -1
    last = b""
    for token in _TOKEN.finditer(raw, start):
        mark = token.group()
        if mark in (b"{", b"["):
            depth += 1
        elif depth == 1 and mark == b":":
            key, value = last, token.end()
        elif mark in (b"}", b"]", b","):
            if depth == 1 and key is not None:
                found.append(_member(raw, key, value, token.start()))
                key = None
            if mark != b",":
                depth -= 1
                if depth == 0:
                    break
        if depth == 1:
            last = mark
    return found


def _member(raw: bytes, key: bytes, start: int, end: int) -> Member:
    begin = _SPACE.match(raw, start)
    value = raw[begin.end() if begin else start : end].rstrip(b" \t\r\n")
    first = begin.end() if begin else start
    return Member(msgspec.json.decode(key), first, first + len(value))


def check_duplicates(raw: bytes, body: dict[str, Any]) -> None:
    """Refuse a body that names a guarded top-level key twice, also in another spelling such as `mod\\u0065l`.

    Raises `InvalidRequest` with the key as `field`.
    """
    doubtful = 92 in raw and b"\\u00" in raw and _ESCAPED_LETTER.search(raw) is not None
    if not doubtful:
        for name in body:
            quoted = _QUOTED.get(name)
            if quoted is not None and _as_key(raw, quoted) > 1 and len(_KEYS[name].findall(raw)) > 1:
                doubtful = True
                break
    if not doubtful:
        return
    seen: set[str] = set()
    for member in members(raw):
        if member.key in seen and member.key in _KEYS:
            raise InvalidRequest(f"`{member.key}` is there twice.", hint="Send each field once.", field=member.key)
        seen.add(member.key)


def _as_key(raw: bytes, quoted: bytes) -> int:
    """How often the quoted name may stand as a key, cheaply: what is followed by one of three marks is a value."""
    times = raw.count(quoted)
    if times > 1:
        times -= raw.count(quoted + b",") + raw.count(quoted + b"}") + raw.count(quoted + b"]")
    return times


def splice_model(raw: bytes, body: dict[str, Any], model: str) -> bytes:
    """Put `model` in place of the top-level `model`'s value. Raises `InvalidRequest` where it is missing or there twice."""
    name = msgspec.json.encode(model)
    at = raw.find(b'"model"')
    if at >= 0 and raw.find(b'"model"', at + 7) < 0 and not (b"\\u00" in raw and _ESCAPED_LETTER.search(raw)):
        value = _STRING.search(raw, at + 7)
        # One spelling, once, and the key is known to be there: this is it.
        if "model" in body and value is not None and isinstance(body["model"], str):
            return raw[: value.start()] + name + raw[value.end() :]
    member = _only(raw, "model")
    if member is None:
        raise InvalidRequest("`model` is missing.", hint="Name a model, or `auto`.", field="model")
    return raw[: member.start] + name + raw[member.end :]


def ask_for_usage(raw: bytes, body: dict[str, Any]) -> bytes:
    """Set the top-level `stream_options.include_usage` to true.

    Raises `InvalidRequest` where `stream_options` is neither an object nor null, or is there twice.
    """
    options = body.get("stream_options")
    if isinstance(options, dict) and options.get("include_usage") is True:
        return raw
    if "stream_options" not in body:
        return _insert(raw, 0, _WANTED_USAGE, empty=not body)
    if options is not None and not isinstance(options, dict):
        raise InvalidRequest("`stream_options` must be an object.", field="stream_options")
    member = _only(raw, "stream_options")
    if member is None or options is None:
        start, end = (member.start, member.end) if member else (0, 0)
        return raw[:start] + b'{"include_usage":true}' + raw[end:]
    inner = [one for one in members(raw, member.start) if one.key == "include_usage"]
    if not inner:
        return _insert(raw, member.start, b'"include_usage":true', empty=not options)
    for one in reversed(inner):
        raw = raw[: one.start] + b"true" + raw[one.end :]
    return raw


def _only(raw: bytes, name: str) -> Member | None:
    found = [member for member in members(raw) if member.key == name]
    if len(found) > 1:
        raise InvalidRequest(f"`{name}` is there twice.", hint="Send each field once.", field=name)
    return found[0] if found else None


def _insert(raw: bytes, start: int, member: bytes, *, empty: bool) -> bytes:
    at = raw.index(b"{", start) + 1
    return raw[:at] + member + (b"" if empty else b",") + raw[at:]
