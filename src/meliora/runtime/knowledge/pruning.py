"""Carries plans of pruning out: implements `changes.knowledge_pruning.shelf.Archive` over the store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from meliora.knowledge.upkeep.plan import Entry
from meliora.knowledge.upkeep.shelf import ArchiveNote, Standing
from meliora.store.knowledge.upkeep import KnowledgeUpkeep


class StoredArchive:
    """Archives and restores in one fenced transaction each."""

    def __init__(self, upkeep: KnowledgeUpkeep) -> None:
        self._upkeep = upkeep

    def standing(self, tenant: str, collection: str, change: str, entries: Sequence[Entry]) -> Standing:
        """Tell how the documents of a plan stand."""
        return self._upkeep.standing(tenant, collection, change, _notes(entries))

    def archive(self, tenant: str, collection: str, change: str, entries: Sequence[Entry], fenced: Any) -> None:
        """Archive all of it. Raises `Conflict` where a document is not as planned, and archives none."""
        self._upkeep.archive(tenant, collection, change, _notes(entries), fenced, whole=True)

    def restore(self, tenant: str, collection: str, change: str, fenced: Any) -> None:
        """Restore what the change archived. Raises `NotFound` where that is nothing."""
        self._upkeep.restore(tenant, collection, change, fenced=fenced)


def _notes(entries: Sequence[Entry]) -> list[ArchiveNote]:
    return [ArchiveNote(document=one.id, why=one.said, kept_instead=one.kept_instead, hash=one.hash) for one in entries]
