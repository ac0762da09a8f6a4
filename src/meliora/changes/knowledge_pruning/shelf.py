"""What pruning asks of others: a plan, and an archive that is written under a fence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from meliora.changes.manner import Check
from meliora.changes.searching import Collections
from meliora.knowledge.quality.evidence import Evidence
from meliora.knowledge.shelf import Fenced, SnapshotShelf
from meliora.knowledge.upkeep.plan import Entry, Pruning


class Standing(Protocol):
    """How the documents of a plan stand."""

    @property
    def ready(self) -> int:
        """Count those that can be archived as planned."""
        ...

    @property
    def held(self) -> int:
        """Count those that are in the archive by this change."""
        ...

    @property
    def returned(self) -> int:
        """Count those that it archived once and that were restored."""
        ...


class Archive(Protocol):
    """Where archived documents lie, by the change that brought them there."""

    def standing(self, tenant: str, collection: str, change: str, entries: Sequence[Entry]) -> Standing:
        """Tell how the documents of a plan stand."""
        ...

    def archive(self, tenant: str, collection: str, change: str, entries: Sequence[Entry], fenced: Fenced) -> None:
        """Archive all that the plan names, or raise `Conflict` where one is not as planned: nothing is archived then."""
        ...

    def restore(self, tenant: str, collection: str, change: str, fenced: Fenced) -> None:
        """Let what the change archived live again, and nothing that another one did."""
        ...


class Planning(Protocol):
    """Looks at a collection."""

    def __call__(self, tenant: str, collection: str, now_us: int, /) -> Pruning:
        """Plan what to archive."""
        ...


@dataclass(frozen=True, slots=True)
class Shears:
    """What it works with."""

    plan: Planning
    archive: Archive
    snapshots: SnapshotShelf
    evidence: Evidence
    collections: Collections
    check: Check
    least: float = 0.8
    """Confidence of every entry."""
    days: float = 30.0
    """How far back what people used protects a document."""
