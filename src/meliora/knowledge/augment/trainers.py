"""Who trains on a data set, and how a run stands. What is not known of a run is unknown, never well."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from meliora.knowledge.augment.manifest import Manifest

RunState = Literal["queued", "running", "finished", "failed", "stopped", "unknown"]


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How a run stands."""

    state: RunState
    said: str = ""
    """By the trainer; a line."""
    metrics: Mapping[str, float] = {}
    """The last one of each name."""


class Trainer(Protocol):
    """Trains on a data set, here or elsewhere."""

    def prepare(self, manifest: Manifest, dataset: Path, folder: Path) -> Path:
        """Write what a run is started by, and give its path. Raises `MelioraError`."""
        ...

    def progress(self, folder: Path) -> Progress:
        """Say how the run of a folder stands."""
        ...
