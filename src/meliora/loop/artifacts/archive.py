"""Makes the folders of closed cycles, once each. What dies in the middle is made again, and comes to the same bytes.

A tracker that fails costs its reference, never the plain files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec
import structlog

from meliora.errors import MelioraError
from meliora.loop.artifacts import folder
from meliora.loop.artifacts.documents import Elsewhere, Run, Version, dataset, documents, measured
from meliora.loop.artifacts.facts import Facts, Reader
from meliora.loop.change import Change
from meliora.loop.cycle import Cycle

log = structlog.get_logger(__name__)

DONE = "artifacts_sha256"
"""Name of the note of a cycle that holds the hash of its manifest."""
BACK_US = 14 * 86_400_000_000
"""How far back is looked for closed cycles without a folder."""


class Runs(Protocol):
    """An experiment tracker. Both raise `MelioraError` where it cannot be used."""

    def run(self, cycle: str, figures: Sequence[dict[str, Any]], tags: dict[str, str]) -> Run:
        """Give the run of a cycle, made where there is none yet."""
        ...

    def upload(self, run: Run, folder: Path) -> None:
        """Hand the files over."""
        ...


class Versions(Protocol):
    """A data versioner."""

    def track(self, cycle: str, name: str, body: bytes) -> Version:
        """Keep a data set under the cycle's name. Raises `MelioraError`."""
        ...


class Archive:
    """Artifacts of one deployment, in one folder."""

    def __init__(
        self,
        root: Path,
        reader: Reader,
        now_us: Callable[[], int],
        runs: Callable[[], Runs | None] = lambda: None,
        versions: Callable[[], Versions | None] = lambda: None,
    ) -> None:
        """`runs` and `versions` give None where they are not set up, and may raise `MelioraError`."""
        self.root = root
        self._reader = reader
        self._now_us = now_us
        self._runs = runs
        self._versions = versions

    def closed(self, cycle: Cycle, changes: Sequence[Change]) -> None:
        """Freeze how a cycle stands at its closing; `step` makes the folder. Where this fails `step` does it later."""
        try:
            self._reader.freeze(cycle)
        except MelioraError as error:
            log.warning("how a cycle was closed is noted later", cycle=cycle.id, error=str(error))

    def step(self) -> bool:
        """Make what is missing. One that fails holds up none of the others; raises what the last one failed of."""
        failed: MelioraError | OSError | None = None
        for cycle in self._reader.cycles.closed(self._now_us() - BACK_US, 5000):
            if DONE in cycle.notes:
                continue
            try:
                self.make(cycle)
            except (MelioraError, OSError) as error:
                log.error("the artifacts of a cycle could not be written", cycle=cycle.id, error=str(error))
                failed = error
        if failed is not None:
            raise failed
        return False

    def make(self, cycle: Cycle) -> str:
        """Write a closed cycle's folder if it is not there, and give the hash of its manifest. Raises `Conflict`, `OSError`."""
        facts = self._reader.read(cycle)
        elsewhere = self._elsewhere(facts)
        sha = folder.write(self.root, cycle.id, documents(facts, elsewhere))
        self._upload(cycle.id, elsewhere)
        self._reader.cycles.settle(cycle.tenant, cycle.id, {DONE: sha})
        log.info("the artifacts of a cycle are there", cycle=cycle.id, sha256=sha)
        return sha

    def again(self, tenant: str, cycle_id: str) -> bool:
        """Write a closed cycle's folder anew, since what it tells of was erased; False where it is not on this machine.

        Raises `NotFound`, `Conflict`, `OSError`; `step` then makes what was removed.
        """
        cycle = self._reader.cycles.get(tenant, cycle_id)
        if not (self.root / cycle.id).is_dir():
            return DONE not in cycle.notes
        notes = {name: value for name, value in cycle.notes.items() if name != DONE}
        cycle = self._reader.cycles.renote(tenant, cycle.id, notes)
        folder.remove(self.root, cycle.id)
        self.make(cycle)
        return True

    def check(self, tenant: str, cycle_id: str) -> folder.Checked:
        """Hold a cycle's folder against its manifest, and the manifest against the store. Raises `NotFound`, `Conflict`."""
        cycle = self._reader.cycles.get(tenant, cycle_id)
        found = folder.check(self.root, cycle.id)
        noted = cycle.notes.get(DONE)
        if noted in (None, found.sha256):
            return found
        return msgspec.structs.replace(found, problems=(*found.problems, "the manifest is not the one that was noted"))

    def _elsewhere(self, facts: Facts) -> Elsewhere:
        found = Elsewhere()
        try:
            runs = self._runs()
            if runs is not None:
                tags = {"environment": facts.cycle.environment, "outcome": str(facts.cycle.outcome)}
                found = msgspec.structs.replace(found, run=runs.run(facts.cycle.id, measured(facts), tags))
        except MelioraError as error:
            log.error("a cycle has no run in MLflow", cycle=facts.cycle.id, error=str(error))
            found = msgspec.structs.replace(found, no_run="MLflow could not be used")
        data = dataset(facts)
        if data is None:
            return msgspec.structs.replace(found, no_data="there is no data set")
        try:
            versions = self._versions()
            if versions is not None:
                found = msgspec.structs.replace(found, data=versions.track(facts.cycle.id, *data))
        except MelioraError as error:
            log.error("a cycle's data set is not in DVC", cycle=facts.cycle.id, error=str(error))
            found = msgspec.structs.replace(found, no_data="DVC could not be used")
        return found

    def _upload(self, cycle: str, elsewhere: Elsewhere) -> None:
        if elsewhere.run is None:
            return
        try:
            runs = self._runs()
            if runs is not None:
                runs.upload(elsewhere.run, self.root / cycle)
        except MelioraError as error:
            log.error("MLflow did not take a cycle's files", cycle=cycle, error=str(error))
