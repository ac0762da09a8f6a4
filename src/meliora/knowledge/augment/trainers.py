"""Who trains on a data set, how a run goes on, and what it left. What is not known of a run is unknown, never well."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from meliora.errors import UpstreamError
from meliora.knowledge.augment.learning import Learnable
from meliora.knowledge.ranking.heldout import HeldOut

RunState = Literal["queued", "running", "finished", "failed", "stopped", "unknown"]
REPORT = "report.json"
"""Written last: what is not there is not over."""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How a run stands."""

    state: RunState
    said: str = ""
    """By the trainer; a line."""
    share: float | None = None
    """Of the work, from 0 to 1; None where it is not known."""
    metrics: Mapping[str, float] = {}
    """The last one of each name."""


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """A file that a run left in its folder."""

    name: str
    sha256: str
    bytes: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a run."""

    trainer: str
    dataset: str
    version: str
    """SHA-256 of the data set."""
    state: RunState
    said: str = ""
    queries: int
    """That were learned from or held out."""
    left_out: Mapping[str, int] = {}
    metrics: Mapping[str, float] = {}
    held_out: HeldOut | None = None
    """Figures with intervals; None where the trainer measures otherwise, or was not so far."""
    features: str = ""
    """SHA-256 of the schema that the model takes; empty where it takes texts."""
    files: tuple[Left, ...] = ()
    """The model first."""


Tell = Callable[[Progress], None]
Stop = Callable[[], bool]


class Trainer(Protocol):
    """Trains on a data set, here or elsewhere."""

    name: str

    def train(self, data: Learnable, folder: Path, tell: Tell, stop: Stop) -> Report:
        """Train in a folder and wait for the end. `tell` hears how it goes on; `stop` is asked often, and ends it.

        A run that fails or is stopped is reported as such, in `REPORT` too. Raises `MelioraError` for what keeps it from beginning.
        """
        ...

    def progress(self, folder: Path) -> Progress:
        """Say how the run of a folder stands."""
        ...


def left(path: Path, name: str) -> Left:
    """Describe a file. Raises `UpstreamError` where it cannot be read."""
    digest = sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        return Left(name=name, sha256=digest.hexdigest(), bytes=path.stat().st_size)
    except OSError as error:
        raise UpstreamError(f"{name} cannot be read: {error}"[:500]) from error


def reported(folder: Path) -> Report | None:
    """Read a folder's report; None where the run is not over, or was none. Raises `UpstreamError` for one that is damaged."""
    try:
        return msgspec.json.decode((folder / REPORT).read_bytes(), type=Report)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError, RecursionError) as error:
        raise UpstreamError(f"The report in {folder} cannot be read: {error}"[:500]) from error


def over(report: Report) -> Progress:
    """Give the progress of a run that is over."""
    share = 1.0 if report.state == "finished" else None
    return Progress(state=report.state, said=report.said, share=share, metrics=report.metrics)
