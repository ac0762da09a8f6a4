"""What upkeep asks of the store: pairs that wait for a person, and what was archived, by which change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from meliora.knowledge.shelf import Fenced, unfenced

PairState = Literal["open", "merged", "kept"]


class LikePair(msgspec.Struct, frozen=True, kw_only=True):
    """Two documents that say nearly the same."""

    a: str
    """The lesser of the two ids."""
    b: str
    containment: float
    ratio: float
    why: str
    """Why it is left to a person."""
    said: str = ""
    """What differs: data, like the documents that it is of."""


class KeptPair(msgspec.Struct, frozen=True, kw_only=True):
    """A pair as it is kept."""

    pair: LikePair
    state: PairState
    at_us: int
    decided_by: str | None
    decided_us: int | None


class ArchiveNote(msgspec.Struct, frozen=True, kw_only=True):
    """Why a document is to be archived."""

    document: str
    why: str
    kept_instead: str | None = None
    """The document that says the same, and stays."""
    hash: str | None = None
    """Of the document as it was looked at: archived only while it is that, and `kept_instead` live. None: as it is. Not kept."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How documents stand that a change is to archive or has archived."""

    ready: int
    """Live, with the hash that was looked at, and what stays in their place is live."""
    held: int
    """In the archive by this change."""
    returned: int
    """Archived by it once, and restored."""


class Archived(msgspec.Struct, frozen=True, kw_only=True):
    """What a change archived."""

    change: str
    note: ArchiveNote
    at_us: int
    restored_us: int | None
    """None: it was not restored by this change's undoing."""


class UpkeepShelf(Protocol):
    """Keeps what upkeep did and asks. Every method raises `StoreError` where the store fails."""

    def ask(self, tenant: str, collection: str, pairs: Sequence[LikePair]) -> int:
        """Let pairs wait for a person, and give how many are new: one that was decided is not asked about again."""
        ...

    def pairs(
        self, tenant: str, collection: str, *, state: PairState | None = "open", limit: int = 100
    ) -> Sequence[KeptPair]:
        """Give pairs, those that wait longest first."""
        ...

    def waiting(self, tenant: str, collection: str) -> int:
        """Count the pairs that wait for a person."""
        ...

    def decide(
        self,
        tenant: str,
        collection: str,
        a: str,
        b: str,
        state: PairState,
        by: str,
        change: str = "",
        archived: ArchiveNote | None = None,
    ) -> KeptPair:
        """Note what a person decided of a pair, and archive the one that is not kept; the last word stands.

        What an earlier decision, of the same `change`, archived is found again where this one does not archive it. Raises `NotFound`,
        `Conflict` where what is kept instead cannot be found.
        """
        ...

    def archive(
        self, tenant: str, collection: str, change: str, notes: Sequence[ArchiveNote], fenced: Fenced = unfenced
    ) -> int:
        """Archive documents with the reason of each, all or none; give how many were live."""
        ...

    def restore(
        self,
        tenant: str,
        collection: str,
        change: str,
        documents: Sequence[str] | None = None,
        fenced: Fenced = unfenced,
    ) -> int:
        """Let what a change archived be searched again, all of it or some; give how many. Raises `NotFound`."""
        ...

    def archived(
        self, tenant: str, collection: str, *, change: str | None = None, document: str | None = None, limit: int = 100
    ) -> Sequence[Archived]:
        """Give what was archived, the latest first."""
        ...

    def returned(self, tenant: str, collection: str) -> Mapping[str, int]:
        """Give the documents that were restored, each with when that was last."""
        ...
