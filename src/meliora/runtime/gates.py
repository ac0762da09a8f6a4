"""The gates of these settings over this store: the board that judges them, the triggers that follow, what is kept of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection

from meliora.clock import Clock
from meliora.loop.gates.board import GateBoard
from meliora.loop.gates.declared import gates_of, triggers_of
from meliora.loop.gates.metrics import SourceKind
from meliora.loop.gates.reading import Source
from meliora.loop.gates.sources import Function, Pushed, Recorded, Simulated, Sources
from meliora.loop.triggers import Triggers
from meliora.settings import Settings
from meliora.settings.secret import resolve_secret
from meliora.store.rows import new_id
from meliora.store.store import Store

DAY_US = 86_400_000_000
PRUNED = 1000
"""Readings that one step deletes."""


def gate_board(settings: Settings, store: Store, randbytes: Callable[[int], bytes] = os.urandom) -> GateBoard:
    """Put the board together. Raises `InvalidRequest` for a gate that cannot be judged, `SettingsError` for a lost token."""
    loop = settings.loop
    return GateBoard(
        gates_of(loop), loop.environment, _sources(settings, store), store.gates, lambda: new_id("base", randbytes)
    )


def trigger_service(settings: Settings, store: Store, board: GateBoard, installed: Collection[str] = ()) -> Triggers:
    """Put the triggers together; `installed` are the kinds of change that this process knows. Raises `InvalidRequest`."""
    return Triggers(store.triggers, board.gates, triggers_of(settings.loop), installed)


def prune_readings(settings: Settings, store: Store, clock: Clock) -> bool:
    """Delete old evaluations of gates, some at a time; tell whether there are more."""
    before = clock.now_us() - round(settings.loop.reading_days * DAY_US)
    return store.gates.prune(before, PRUNED) >= PRUNED


def _sources(settings: Settings, store: Store) -> Sources:
    loop = settings.loop
    by_kind: dict[SourceKind, Source] = {
        "telemetry": Recorded(store.gate_figures, store.deployment),
        "pushed": Pushed(store.gate_figures),
        "function": Function(),
    }
    if loop.prometheus.url:
        from meliora.integrations.prometheus import Prometheus

        asked = loop.prometheus
        token = resolve_secret(asked.token) if asked.token else ""
        by_kind["prometheus"] = Prometheus(asked.url, token=token, ca_file=asked.ca_file, patience=asked.timeout)
    if loop.environment == "dev":
        by_kind["simulated"] = Simulated(loop.environment, seed=0)
    return Sources(by_kind)
