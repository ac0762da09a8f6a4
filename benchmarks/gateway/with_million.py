"""The same calls on a gateway whose store holds a million calls and on one whose store is empty, a worker ingesting beside."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.gateway import stored
from benchmarks.gateway.processes import Child, Upstream
from benchmarks.gateway.saturate import Saturation, pooled, saturated
from benchmarks.gateway.served import GatewayProcess
from benchmarks.report import ControlFailed


@dataclass(frozen=True)
class Places:
    """Where things run: the upstream, the gateway's core, the core of everything else, a folder to work in."""

    upstream: Upstream
    core: int
    load_core: int
    folder: Path


def compared(places: Places, million: Path, seconds: float, seed: int) -> tuple[Saturation, Saturation]:
    """Measure with the million calls of `million`'s store and with an empty one, twice by turns.

    Raises `ControlFailed` where the worker took nothing in: it would not have been beside.
    """
    empty = places.folder / "empty"
    stored.load_month(empty / "var", 0, seed)
    found = [(_served(places, million, seconds / 2, seed), _served(places, empty, seconds / 2, seed)) for _ in range(2)]
    return pooled(found[0][0], found[1][0]), pooled(found[0][1], found[1][1])


def _served(places: Places, folder: Path, seconds: float, seed: int) -> Saturation:
    before = stored.calls_kept(folder / "var")
    with ExitStack() as stack:
        gateway = stack.enter_context(GatewayProcess(places.upstream.base_url, places.core, folder))
        work = (sys.executable, "-m", "meliora.cli", "work", "--config", str(folder / "meliora.toml"))
        worker = stack.enter_context(Child(work, places.load_core, folder / "worker.log", cwd=folder))
        found = saturated(gateway.target, gateway.child, seconds, seed)
        if stored.calls_kept(folder / "var") == before:
            raise ControlFailed(f"the worker took nothing in: {worker.tail()}")
    return found
