"""The workshop of data sets, put together: over store and index, with the configured model and DVC where they are set up."""

from __future__ import annotations

from collections.abc import Callable

from meliora.clock import Clock
from meliora.knowledge.augment.examples import Ask
from meliora.knowledge.augment.manifest import Tracked
from meliora.knowledge.augment.workshop import Workshop
from meliora.knowledge.indexes import Indexes
from meliora.runtime.knowledge.diagnosing import SearchDiagnosis
from meliora.runtime.knowledge.evidence import StoredEvidence
from meliora.settings import Settings
from meliora.store.store import Store


def workshop_of(settings: Settings, store: Store, clock: Clock, indexes: Indexes, ask: Ask | None) -> Workshop:
    """Put it together; `ask` asks the configured model, None where there is none."""
    diagnosis = SearchDiagnosis(store, indexes)
    return Workshop(
        sets=store.datasets,
        documents=store.knowledge_documents,
        snapshots=store.knowledge_snapshots,
        evidence=StoredEvidence(store, indexes),
        view=indexes.view,
        weak=lambda tenant, collection: diagnosis.weak(tenant, collection, clock.now_us()),
        now_us=clock.now_us,
        ask=ask,
        calls=settings.knowledge.augment.calls,
        track=_tracking(settings),
    )


def _tracking(settings: Settings) -> Callable[[str, str, bytes], Tracked | None]:
    def track(id: str, name: str, body: bytes) -> Tracked | None:
        if not settings.loop.tracking.dvc:
            return None
        from meliora.integrations.dvc import Dvc
        from meliora.runtime.artifacts import artifacts_dir

        found = Dvc.at(artifacts_dir(settings) / "dvc").track(id, name, body)
        return Tracked(path=found.path, hash=found.hash)

    return track
