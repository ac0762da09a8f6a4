"""What is kept: a document as somebody gave it, and the passages that it is searched by. Its text is data, whatever it says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

import msgspec

Scalar: TypeAlias = str | int | float | bool
Metadata: TypeAlias = Mapping[str, Scalar | tuple[Scalar, ...]]

Mark = Literal["instructions", "markup", "secrets", "garbled"]
"""What was noticed in a text, and is told with each result: it speaks to a model, holds active markup, secrets, or bytes of no encoding."""

DocumentState = Literal["live", "quarantined", "archived"]

CATEGORIES: dict[str, int] = {
    "infrastructure": 30,
    "configuration": 14,
    "troubleshooting": 60,
    "procedures": 90,
    "history": 365,
    "user_preferences": 180,
    "research": 30,
    "temporary": 7,
}
"""Days after which a document of a category is stale."""
STALE_DAYS = 90
"""Of a document of another category, or none."""


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A document as somebody gave it."""

    id: str
    """The caller's, or made of its source: unique in its collection."""
    text: str
    title: str = ""
    source: str = ""
    """Where it came from: a file's name, an address, `api`."""
    category: str = ""
    """One of `CATEGORIES`, or a word of the caller's own."""
    language: str = ""
    """Two letters; empty: told from the text."""
    user: str = ""
    """The person whom it belongs to: erasure deletes it."""
    metadata: Metadata = {}


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A document as the store keeps it."""

    document: Document
    seq: int
    """Number of its last change in its collection: a later change has a greater one."""
    hash: str
    """SHA-256 of all that is searched by; equal for equal documents."""
    state: DocumentState = "live"
    marks: tuple[Mark, ...] = ()
    added_us: int = 0
    updated_us: int = 0
    accessed_us: int | None = None
    """When it was last a result that somebody used; None: never."""
    accesses: int = 0


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a collection's history, as an index follows it."""

    seq: int
    id: str
    kept: Kept | None
    """None: it is to be searched no longer (deleted, archived, quarantined)."""


class Passage(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of a document: what is indexed and found."""

    document: str
    number: int
    """From 0."""
    title: str
    text: str
    start: int
    end: int
    """Character offsets in the document's text."""

    @property
    def id(self) -> str:
        """Give its name in an index."""
        return f"{self.document}#{self.number}"
