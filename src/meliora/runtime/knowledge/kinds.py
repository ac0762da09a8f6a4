"""The kinds of change that act on searches, put together: what they read, what they learn with, and this machine's indexes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meliora.changes.manner import Manner
from meliora.changes.searching import INDEX, SURFACE, Plane
from meliora.clock import Clock
from meliora.knowledge.augment.workshop import Workshop
from meliora.knowledge.indexes import Audit, Indexes
from meliora.knowledge.upkeep.keeper import Keeper
from meliora.runtime.knowledge.augmenting import workshop_of
from meliora.runtime.knowledge.diagnosing import SearchDiagnosis
from meliora.runtime.knowledge.evidence import StoredEvidence
from meliora.runtime.knowledge.learning import ExpansionLearning
from meliora.runtime.knowledge.plane import asker, indexes_of, keeper_of
from meliora.runtime.knowledge.pruning import StoredArchive
from meliora.runtime.knowledge.training import RerankerTraining, told
from meliora.settings import Settings
from meliora.store.store import Store

if TYPE_CHECKING:
    from meliora.loop.kind import ChangeKind

SURFACES = (SURFACE, INDEX)
"""What changes are felt on that are about searches."""


@dataclass(frozen=True, slots=True)
class Knowing:
    """What the loop knows of searches."""

    store: Store
    indexes: Indexes
    evidence: StoredEvidence
    diagnosis: SearchDiagnosis
    keeper: Keeper
    """Plans what to archive."""
    workshop: Workshop
    """Makes data sets of queries."""
    made_queries: bool
    """Rerankers are trained on them too."""


def knowing_of(settings: Settings, store: Store, clock: Clock) -> Knowing | None:
    """Put it together; None where this deployment keeps no documents."""
    if not settings.knowledge.enabled:
        return None
    indexes = indexes_of(settings, store, clock)
    keeper = keeper_of(settings, store, clock)
    return Knowing(
        store=store,
        indexes=indexes,
        evidence=StoredEvidence(store, indexes),
        diagnosis=SearchDiagnosis(store, indexes),
        keeper=keeper,
        workshop=workshop_of(settings, store, clock, indexes, asker(settings)),
        made_queries=settings.knowledge.augment.rerankers,
    )


def search_kinds(knowing: Knowing, manner: Callable[[str], Manner]) -> tuple[ChangeKind, ...]:
    """Give the kinds; `manner` says how the changes of a kind are tried and watched."""
    from meliora.changes.fusion_weights.kind import FusionWeights
    from meliora.changes.knowledge_pruning.kind import KnowledgePruning
    from meliora.changes.knowledge_pruning.shelf import Shears
    from meliora.changes.query_repair.kind import QueryRepair
    from meliora.changes.reindex.kind import Reindex, Workshop
    from meliora.changes.reranker.kind import Reranker

    store, evidence = knowing.store, knowing.evidence
    check = store.changes.check

    def names(tenant: str) -> Sequence[str]:
        return [one.name for one in store.knowledge_documents.collections(tenant)]

    def plane(kind: str) -> Plane:
        return Plane(store.knowledge_snapshots, evidence, names, check, manner(kind))

    workshop = Workshop(
        store.knowledge_documents, Hands(knowing.indexes), store.knowledge_snapshots, evidence, names, check
    )
    shears = Shears(
        lambda tenant, collection, now_us: knowing.keeper.plan(tenant, collection).pruning,
        StoredArchive(store.knowledge_upkeep),
        store.knowledge_snapshots,
        evidence,
        names,
        check,
        least=knowing.keeper.rules.least,
    )
    return (
        QueryRepair(plane(QueryRepair.name), ExpansionLearning(store, evidence)),
        FusionWeights(plane(FusionWeights.name)),
        Reranker(
            plane(Reranker.name),
            RerankerTraining(store, evidence, knowing.workshop if knowing.made_queries else None),
            told(knowing.workshop),
        ),
        Reindex(workshop),
        KnowledgePruning(shears),
    )


class Hands:
    """Implements `changes.reindex.kind.Hands` on this machine."""

    def __init__(self, indexes: Indexes) -> None:
        self._indexes = indexes

    def audit(self, tenant: str, collection: str, generation: str = "") -> Audit:
        """Hold the serving index, or a built one, against the documents. Raises `NotFound`."""
        view = self._indexes.of(tenant, collection).built(generation) if generation else None
        return self._indexes.audit(tenant, collection, view)

    def build(self, tenant: str, collection: str, generation: str) -> None:
        """Build a generation; nothing where it is whole already."""
        self._indexes.build(tenant, collection, generation)

    def follow(self, tenant: str, collection: str) -> bool:
        """Let this machine serve the generation that is to serve."""
        return self._indexes.follow(tenant, collection)
