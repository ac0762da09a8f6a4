"""Plans what to archive and carries it out: implements `changes.knowledge_pruning.shelf` over the store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from meliora.knowledge.upkeep.plan import Entry, Pruning, Rules, plan
from meliora.knowledge.upkeep.relevance import Shown, relevance
from meliora.store.knowledge_upkeep import ArchiveNote, KnowledgeUpkeep, Standing

if TYPE_CHECKING:
    from meliora.knowledge.documents import Kept
    from meliora.runtime.knowledge.evidence import StoredEvidence
    from meliora.store.store import Store

PAGE = 500
SHOWN_US = 90 * 86_400_000_000
"""How far back showings are read."""


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


class StoredPlanning:
    """Looks at the documents of a collection, and at what people did with them."""

    def __init__(self, store: Store, evidence: StoredEvidence, least: float) -> None:
        self._store, self._evidence, self._least = store, evidence, least

    def __call__(self, tenant: str, collection: str, now_us: int, /) -> Pruning:
        """Plan what to archive: what is stale, said twice, or was shown often and never used."""
        from meliora.knowledge.upkeep.redundancy import redundant

        kept = list(self._kept(tenant, collection))
        found = relevance(self._shown(tenant, collection, now_us), now_us)
        rules = Rules(least=self._least)
        return plan(collection, kept, now_us, redundancy=redundant(kept), relevances=found, rules=rules)

    def _kept(self, tenant: str, collection: str) -> Iterator[Kept]:
        after = ""
        while page := self._store.knowledge_documents.list(tenant, collection, after=after, limit=PAGE):
            yield from page
            after = page[-1].document.id

    def _shown(self, tenant: str, collection: str, now_us: int) -> Iterator[Shown]:
        """Give each showing; one at a place is seen by as many as the place's share (1 / place, Joachims et al., SIGIR 2005, roughly)."""
        since = max(0, now_us - SHOWN_US)
        for one in self._evidence.searches(tenant, collection, since, now_us):
            for place, document in enumerate(one.shown, 1):
                yield Shown(document=document, used=document in one.clicked, at_us=one.at_us, seen=1 / place)


def _notes(entries: Sequence[Entry]) -> list[ArchiveNote]:
    return [ArchiveNote(document=one.id, why=one.said, kept_instead=one.kept_instead, hash=one.hash) for one in entries]
