"""The archive of artifacts, put together from settings and store; MLflow and DVC are loaded at their first use."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from meliora.clock import Clock
from meliora.diagnosis.finding import report
from meliora.loop.artifacts.archive import Archive, Runs, Versions
from meliora.loop.artifacts.facts import MadeData, MakesData, Reader
from meliora.loop.change import Change
from meliora.loop.cycle import Cycle
from meliora.loop.kind import ChangeKind
from meliora.runtime.shared import FEATURES
from meliora.settings import Settings
from meliora.store.store import Store


def artifacts_dir(settings: Settings) -> Path:
    """Where artifacts and reports are."""
    return Path(settings.loop.artifacts) if settings.loop.artifacts else settings.server.state_dir / "artifacts"


def archive_of(settings: Settings, store: Store, clock: Clock, kinds: Mapping[str, ChangeKind]) -> Archive:
    """Put the archive together. Nothing is read or loaded before a cycle is closed."""
    tracking, root = settings.loop.tracking, artifacts_dir(settings)

    def told(tenant: str, finding: str, cycle: str) -> dict[str, Any]:
        return report(store.findings.get(tenant, finding), cycle)

    def cost(cycle: Cycle) -> int | None:
        until = cycle.closed_us or clock.now_us()
        calls = store.cycles.cost_micros(cycle.tenant, cycle.opened_us, until, FEATURES)
        shadows = store.shadows.spent(cycle.tenant, cycle.opened_us, until)
        return None if calls is None or shadows.unpriced else calls + shadows.cost_micros

    def augmented(change: Change) -> MadeData | None:
        kind = kinds.get(change.kind)
        return kind.augmented(change) if isinstance(kind, MakesData) else None

    def runs() -> Runs | None:
        if not tracking.mlflow:
            return None
        from meliora.integrations.mlflow import Mlflow

        return Mlflow.at(tracking.mlflow, tracking.experiment)

    def versions() -> Versions | None:
        if not tracking.dvc:
            return None
        from meliora.integrations.dvc import Dvc

        return Dvc.at(root / "dvc")

    return Archive(root, Reader(store.cycles, store.changes, told, cost, augmented), clock.now_us, runs, versions)
