"""What the knowledge plane asks of the store. Every method takes the tenant, and raises `StoreError` where the store fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

import msgspec

from meliora.knowledge.config import SearchConfig, Snapshot
from meliora.knowledge.documents import Document, DocumentState, Kept, Mark
from meliora.knowledge.index.base import Feed


class Fenced(Protocol):
    """Called first in a write's own transaction: raises where the writer has been overtaken."""

    def __call__(self, connection: Any, /) -> None:
        """Let it pass, or raise."""
        ...


def unfenced(connection: Any, /) -> None:
    """Let everything pass."""


class Collection(msgspec.Struct, frozen=True, kw_only=True):
    """A set of documents that is searched as one."""

    name: str
    documents: int
    """Live ones."""
    latest: int
    """`seq` of its last change."""
    snapshot: int | None
    """Number of the configuration that serves; None: the first one, `SearchConfig()`."""
    generation: str
    """Of the index that is to serve; `1` from the beginning."""
    created_us: int


class ToKeep(msgspec.Struct, frozen=True, kw_only=True):
    """A document that was looked at and is to be kept."""

    document: Document
    hash: str
    marks: tuple[Mark, ...] = ()
    state: DocumentState = "live"


class Put(msgspec.Struct, frozen=True, kw_only=True):
    """What became of documents that were put."""

    added: int
    updated: int
    unchanged: int
    latest: int
    """`seq` from which on an index has them all."""


class DocumentShelf(Feed, Protocol):
    """Documents by collection. A write is one transaction: all of it or none."""

    def collections(self, tenant: str) -> Sequence[Collection]:
        """Give the collections, by name."""
        ...

    def collection(self, tenant: str, name: str) -> Collection:
        """Give one. Raises `NotFound` with the nearest name."""
        ...

    def put(self, tenant: str, collection: str, documents: Sequence[ToKeep]) -> Put:
        """Keep documents, each in the place of the one of its id; makes the collection. Those of an equal hash stay as they are."""
        ...

    def get(self, tenant: str, collection: str, id: str) -> Kept:
        """Give a document. Raises `NotFound`."""
        ...

    def list(
        self, tenant: str, collection: str, *, state: DocumentState | None = "live", after: str = "", limit: int = 100
    ) -> Sequence[Kept]:
        """Give documents by id, those after `after`."""
        ...

    def delete(self, tenant: str, collection: str, ids: Sequence[str]) -> int:
        """Delete documents for good, and give how many were there."""
        ...

    def set_state(
        self, tenant: str, collection: str, ids: Sequence[str], state: DocumentState, fenced: Fenced = unfenced
    ) -> int:
        """Let documents be searched (`live`), or no longer; give how many changed. What is archived stays to be restored."""
        ...

    def drop(self, tenant: str, collection: str) -> int:
        """Delete a collection with all that is in it, and give how many documents that were."""
        ...


class SnapshotShelf(Protocol):
    """Numbered configurations by collection, what they take besides themselves, and which of them serves."""

    def serving(self, tenant: str, collection: str) -> Snapshot:
        """Give what serves; number 0 and `SearchConfig()` where nothing was kept."""
        ...

    def get(self, tenant: str, collection: str, number: int) -> Snapshot:
        """Give one. Raises `NotFound`; 0 is always there."""
        ...

    def list(self, tenant: str, collection: str, *, limit: int = 50) -> Sequence[Snapshot]:
        """Give those kept, the newest first."""
        ...

    def add(self, tenant: str, collection: str, config: SearchConfig, made_by: str) -> Snapshot:
        """Keep a configuration under the next number; the same configuration of the same maker is kept once."""
        ...

    def exchange(
        self, tenant: str, collection: str, number: int, *, instead_of: int, fenced: Fenced = unfenced
    ) -> bool:
        """Let a snapshot serve in place of another; False, and nothing changed, where something else serves."""
        ...

    def keep(self, tenant: str, kind: Literal["expansion", "reranker", "vectors", "pruning"], data: bytes) -> str:
        """Keep an artifact and give its SHA-256; the same bytes are kept once."""
        ...

    def artifact(self, tenant: str, sha256: str) -> bytes:
        """Give an artifact. Raises `NotFound`."""
        ...


class GenerationShelf(Protocol):
    """Which generation of a collection's index is to serve. Each machine builds it for itself."""

    def generation(self, tenant: str, collection: str) -> str:
        """Give the one that is to serve."""
        ...

    def exchange_generation(
        self, tenant: str, collection: str, generation: str, *, instead_of: str, fenced: Fenced = unfenced
    ) -> bool:
        """Let another serve; False, and nothing changed, where `instead_of` does not."""
        ...


class Judgment(msgspec.Struct, frozen=True):
    """How good a document is for a query, as somebody judged it."""

    query_id: str
    query: str
    document: str
    grade: float
    """0: of no use; the more, the better."""


class JudgmentSetInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a judgment set: it never changes."""

    name: str
    version: int
    """From 1 in its collection and name."""
    sha256: str
    """Of its judgments in their one order."""
    made_by: str
    made_us: int
    queries: int
    judgments: int


class JudgmentShelf(Protocol):
    """Frozen judgment sets by collection and name."""

    def put(self, tenant: str, collection: str, name: str, rows: Sequence[Judgment], made_by: str) -> JudgmentSetInfo:
        """Keep a set under the next version, unless the newest says the same. Raises `InvalidRequest` for one that contradicts itself."""
        ...

    def get(self, tenant: str, collection: str, name: str, version: int) -> tuple[JudgmentSetInfo, Sequence[Judgment]]:
        """Give a version of a set. Raises `NotFound`."""
        ...

    def newest(self, tenant: str, collection: str, name: str) -> tuple[JudgmentSetInfo, Sequence[Judgment]]:
        """Give the newest version of a set. Raises `NotFound`."""
        ...

    def list(self, tenant: str, collection: str, *, limit: int = 100) -> Sequence[JudgmentSetInfo]:
        """Give the sets of a collection, the newest first."""
        ...


OpenIndex = Callable[[str, str], Any]
"""Gives the `Index` of a tenant's collection on this machine."""
