"""An entry of the audit: its canonical bytes, its hash, and what may not stand in one. Reads no clock and no database."""

from __future__ import annotations

import hmac
import math
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import msgspec

from meliora.errors import InvalidRequest

START = "0" * 64
"""What the first entry follows."""
LONGEST = 200
"""Characters of one string in an entry."""
LARGEST = 64 * 1024
"""Bytes of an entry's body."""
_WORD = re.compile(r"[!-~]*\Z")
_MAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+")
_DEEPEST = 12


class AuditNote(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be appended. All strings are ids and single words: sentences and names live elsewhere, where they can be erased."""

    tenant: str
    actor: str
    """Key id, or `cli`, `gate:NAME`, `schedule:NAME`, `system:NAME`."""
    action: str
    """E.g. `change.deliver`, `approval.refused`, `loop.kill`."""
    subject: str
    """What it is about, by id: a change, a flag, `loop`."""
    body: dict[str, Any] = {}


class AuditEntry(AuditNote, frozen=True, kw_only=True):
    """A row of `audit_entries`."""

    seq: int
    at_us: int
    prev: str
    hash: str


class Row(msgspec.Struct, frozen=True):
    """An entry as it is kept, not yet believed."""

    seq: int
    tenant: str
    at_us: int
    actor: str
    action: str
    subject: str
    body: str
    prev: str
    hash: str

    def hashed(self) -> str:
        """Hash what the row says, whatever its own hash claims."""
        return chained(self.prev, self)

    def entry(self) -> AuditEntry:
        """Give it decoded. Raises `msgspec.DecodeError` for a body that is no JSON."""
        values = {name: getattr(self, name) for name in self.__struct_fields__}
        return AuditEntry(**values | {"body": msgspec.json.decode(self.body)})


def sealed(note: AuditNote, *, seq: int, at_us: int, prev: str) -> Row:
    """Make the row of a note that follows `prev`. Raises `InvalidRequest` for what may not stand in the audit."""
    for name in ("tenant", "actor", "action", "subject"):
        value = getattr(note, name)
        _word(value, name)
        if not value:
            raise InvalidRequest(f"An audit entry needs its {name}.", field=name)
    row = Row(seq, note.tenant, at_us, note.actor, note.action, note.subject, canonical(note.body), prev, "")
    return msgspec.structs.replace(row, hash=row.hashed())


def chained(prev: str, row: Row) -> str:
    """Give SHA-256 over the hash before and the canonical bytes of a row."""
    line = msgspec.json.encode((row.seq, row.tenant, row.at_us, row.actor, row.action, row.subject, row.body))
    return sha256(prev.encode() + b"\n" + line).hexdigest()


def canonical(body: Mapping[str, Any]) -> str:
    """Write a body in its one form: sorted keys, no blanks. Raises `InvalidRequest` for NaN, free text, or what is too large."""
    plain = msgspec.to_builtins(dict(body), order="sorted")
    _allowed(plain, "body", 0)
    text = msgspec.json.encode(plain, order="sorted").decode()
    if len(text) > LARGEST:
        raise InvalidRequest(
            f"An audit entry's body is {len(text)} bytes; {LARGEST} is the most.",
            hint="Keep it in the store, and name it here by id and hash.",
        )
    return text


def digest(secret: str, text: str) -> str:
    """Give a keyed hash that stands in the audit for a text that must not: it shows that the text was not altered since."""
    return hmac.new(bytes.fromhex(secret), b"meliora audit text\n" + text.encode(), sha256).hexdigest()


def word(text: str) -> str:
    """Give a text as it may stand in the audit: itself where it is one word, else its beginning's kind and a hash.

    `rule:drop my table` becomes `rule:~` and 16 hex digits; the same text always becomes the same.
    """
    if text and len(text) <= LONGEST and _WORD.match(text) and not _MAIL.search(text):
        return text
    kind, colon, _ = text.partition(":")
    kind = kind if colon and len(kind) <= 40 and re.fullmatch(r"[a-z_]+", kind) else ""
    return f"{kind}{':' if kind else ''}~{sha256(text.encode(errors='surrogatepass')).hexdigest()[:16]}"


def _allowed(value: Any, where: str, depth: int) -> None:
    if depth > _DEEPEST:
        raise InvalidRequest(f"{where} in an audit entry is nested too deeply.", field=where)
    if isinstance(value, dict):
        for key, inner in value.items():
            _word(key, f"a key of {where}")
            _allowed(inner, f"{where}.{key}", depth + 1)
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            _allowed(inner, f"{where}[{number}]", depth + 1)
    elif isinstance(value, str):
        _word(value, where)
    elif isinstance(value, float) and not math.isfinite(value):
        raise InvalidRequest(
            f"{where} in an audit entry is {value}.", hint="Write None for what is unknown.", field=where
        )
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise InvalidRequest(f"{where} in an audit entry is too large a number.", field=where)


def _word(text: Any, where: str) -> None:
    if not isinstance(text, str) or len(text) > LONGEST or not _WORD.match(text) or _MAIL.search(text):
        raise InvalidRequest(
            f"{where} in an audit entry is not one word: the audit holds ids, never what people wrote.",
            hint="Keep the text in the store, and put its id or `digest` here.",
            field=where,
        )
