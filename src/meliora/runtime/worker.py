"""The worker process: moves the spool into the store, keeps the roll-ups, learns, deletes what is old, exports what is asked for.

Each task has a rhythm of its own; one that fails is logged, waits, and is tried again, and never stops the others.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog

from meliora import __version__
from meliora.clock import Clock, SystemClock
from meliora.errors import MelioraError
from meliora.gateway.tasks import task_later
from meliora.routing.learning.pairs import PairScoring
from meliora.runtime.learning import hold_judges, learner, rewarder, scoring
from meliora.runtime.preferences import PREFERENCES_SECONDS, refresher
from meliora.runtime.shared import (
    effective,
    on_signals,
    open_store,
    private_dir,
    process_name,
    spool_dir,
    start_logging,
)
from meliora.runtime.starting import Offered, Starter
from meliora.runtime.warming import make_ready
from meliora.settings import Settings
from meliora.store.store import Store
from meliora.telemetry.clearing import Clearing
from meliora.telemetry.ingest import Ingester, IngestReport
from meliora.telemetry.processes import WorkerBeat, note
from meliora.telemetry.spool import SpoolReader, spool_bytes

log = structlog.get_logger(__name__)

BEAT_SECONDS = 5.0
ERASURES_SECONDS = 1.0
"""How often it is looked whether somebody was erased, and what of them lies in the spool."""
ROLLUP_SECONDS = 5.0
"""Windows that have changed are rolled up this often, so that analytics are never further behind."""
ROLLUP_BATCH = 20
"""Windows rolled up before ingest gets its turn again."""
SWEEP_SECONDS = 300.0
RETENTION_SECONDS = 600.0
EXPORT_SECONDS = 2.0
JUDGES_SECONDS = 60.0
"""How often judges are held against people's words."""
START_SECONDS = 10.0
"""How often tenants are looked at that have no policy, or one without outcomes."""
EDGES_SECONDS = 0.5
PULSE_SECONDS = 15.0
"""How often open cycles go on, and gates that are due are evaluated."""
ALERTS_SECONDS = 5.0
"""How often what people are to be told is looked at."""
SENDING_SECONDS = 1.0
ARTIFACTS_SECONDS = 5.0
"""How often closed cycles are looked for that have no artifacts yet."""
REPORTS_SECONDS = 600.0
"""How often it is looked whether a week is over."""
LONGEST_WAIT = 5.0
"""Pause of a task that fails again and again: it goes on within seconds of what it needs being back."""


@dataclass(slots=True)
class Task:
    """Something done again and again. `step` tells whether there is more to do at once."""

    name: str
    step: Callable[[], bool]
    every: float
    alone: bool = False
    """Whether it has a thread of its own, so that no other task holds it up."""
    leave: Callable[[], None] = lambda: None
    """Done once when the worker ends in order."""
    due: float = 0.0
    failures: int = 0

    def run(self, now: float) -> str | None:
        """Do it once; give the error where it failed."""
        try:
            more = self.step()
        except (MelioraError, OSError) as error:
            self.failures += 1
            self.due = now + min(LONGEST_WAIT, self.every * 2 ** min(self.failures, 16))
            log.error("a task failed and will be tried again", task=self.name, error=str(error), failures=self.failures)
            return f"{self.name}: {error}"
        self.failures = 0
        self.due = now if more else now + self.every
        return None


class Worker:
    """Run tasks, each at its time, until told to stop."""

    def __init__(self, tasks: list[Task], clock: Clock) -> None:
        self.tasks = tasks
        self._clock = clock
        self._stop = threading.Event()
        self.errors: dict[str, str] = {}
        """What is wrong now, by task."""

    def stop(self) -> None:
        """End after the current step."""
        self._stop.set()

    def run(self) -> None:
        """Run until `stop`."""
        alone = [
            threading.Thread(target=self._repeat, args=([task],), name=task.name) for task in self.tasks if task.alone
        ]
        for thread in alone:
            thread.start()
        self._repeat([task for task in self.tasks if not task.alone])
        for thread in alone:
            thread.join()
        for task in self.tasks:
            task.leave()

    def once(self) -> None:
        """Run what is due."""
        self._once(self.tasks)

    def _repeat(self, tasks: list[Task]) -> None:
        while not self._stop.is_set():
            self._once(tasks)
            wait = min(task.due for task in tasks) - self._clock.monotonic()
            if wait > 0:
                self._stop.wait(wait)

    def _once(self, tasks: list[Task]) -> None:
        for task in tasks:
            if self._stop.is_set():
                return
            now = self._clock.monotonic()
            if task.due > now:
                continue
            error = task.run(now)
            if error is None:
                self.errors.pop(task.name, None)
            else:
                self.errors[task.name] = error


class Aside:
    """A step that may take long, in a thread of its own: the other tasks go on, and its failure is told at its next turn."""

    def __init__(self, step: Callable[[], bool]) -> None:
        self._work = step
        self._thread: threading.Thread | None = None
        self._error: MelioraError | OSError | None = None

    def step(self) -> bool:
        """Begin where nothing is under way. Raises what the last run raised."""
        if self._thread is not None and self._thread.is_alive():
            return False
        error, self._error = self._error, None
        if error is not None:
            raise error
        self._thread = threading.Thread(target=self._run, name="aside", daemon=True)
        self._thread.start()
        return False

    def wait(self) -> None:
        """Wait for what is under way."""
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            while self._work():
                pass
        except (MelioraError, OSError) as error:
            self._error = error


class Ingest:
    """The ingester as a task."""

    def __init__(self, ingester: Ingester) -> None:
        self._ingester = ingester
        self.report = IngestReport()

    def step(self) -> bool:
        """Take what is there."""
        report = self.report = self._ingester.step()
        if report.quarantined or report.skipped_bytes:
            log.error(
                "records in the spool could not be read",
                quarantined=report.quarantined,
                skipped_bytes=report.skipped_bytes,
            )
        return report.more

    def sweep(self) -> bool:
        """Mark calls that nobody will finish."""
        lost = self._ingester.sweep()
        if lost:
            log.warning("calls never ended: their gateway died while they ran", calls=lost)
        return False


def build(settings: Settings, store: Store, clock: Clock) -> Worker:
    """Put the worker together."""
    from meliora.telemetry.retention import Pruner
    from meliora.telemetry.rollups import Roller

    directory = private_dir(spool_dir(settings))
    ingest = Ingest(
        Ingester(
            SpoolReader(directory), store.sink, clock.now_us, task_of=partial(task_later, routing=settings.routing)
        )
    )
    roller = Roller(store.windows)
    pruner = Pruner(
        store.housekeeping,
        clock.now_us,
        content_days=settings.recording.content_retention_days,
        call_days=settings.recording.retention_days,
        conversation_days=settings.knowledge.memory.retention_days,
        quarantine=directory / "quarantine",
    )

    clearing = Clearing(SpoolReader(directory), store.housekeeping.last_erasure_us)

    def beat() -> bool:
        errors = "; ".join(list(worker.errors.values())) or None
        newer = ingest.report.newer
        if newer:
            errors = f"{len(newer)} segments wait for a newer version of Meliora."
        note(
            store.deployment,
            WorkerBeat(
                host=os.uname().nodename,
                state_dir=str(settings.server.state_dir.resolve()),
                version=__version__,
                pid=os.getpid(),
                seen_us=clock.now_us(),
                spool_bytes=spool_bytes(directory),
                erased_us=clearing.done_us,
                error=errors,
            ),
        )
        return False

    tasks = [
        Task("ingest", ingest.step, max(0.05, settings.recording.ingest_interval)),
        Task("erasures", clearing.step, ERASURES_SECONDS),
        Task("rollups", lambda: roller.step(ROLLUP_BATCH) >= ROLLUP_BATCH, ROLLUP_SECONDS),
        Task("beat", beat, BEAT_SECONDS),
        Task("sweep", ingest.sweep, SWEEP_SECONDS),
        Task("retention", lambda: pruner.step().more, RETENTION_SECONDS),
    ]
    every = settings.routing.learning.interval
    makes = rewarder(settings, store)
    tasks.append(Task("rewards", makes.step, every))
    if settings.routing.scorers:
        scores = scoring(settings, store, clock)
        tasks.append(Task("scorers", Aside(scores.step).step, every))
        pairs = PairScoring(store.shadows, scores.scorers, scores.read, lambda: makes.rule, clock.now_us)
        tasks.append(Task("shadows", Aside(pairs.step).step, every))
        tasks.append(Task("judges", lambda: hold_judges(settings, store, makes), JUDGES_SECONDS))
    if settings.learning.enabled:
        tasks.append(Task("learning", learner(settings, store, clock).step, every))
        if settings.routing.learned != "off":
            starter = Starter(settings, store, Offered(settings, clock))
            tasks.append(Task("starts", Aside(starter.step).step, START_SECONDS))
        tasks.append(Task("preferences", refresher(settings, store, clock).step, PREFERENCES_SECONDS))
    if settings.otlp.enabled:
        tasks.append(_exporter(settings, store))
    if settings.knowledge.enabled:
        tasks.extend(_knowledge(settings, store, clock))
    if settings.loop.enabled:
        tasks.extend(_loop(settings, store, clock))
    make_ready()
    worker = Worker(tasks, clock)
    return worker


def _loop(settings: Settings, store: Store, clock: Clock) -> list[Task]:
    from meliora.runtime.acknowledging import SWITCH_SECONDS, acknowledging
    from meliora.runtime.edges import Edges
    from meliora.runtime.gates import prune_readings
    from meliora.runtime.loop import loop_of
    from meliora.runtime.report import Reports

    name = process_name("worker")
    loop = loop_of(settings, store, clock, name)
    says = acknowledging(settings, store, clock, name, "worker")

    def pulse() -> bool:
        loop.pulse.tick()
        return False

    sinks = loop.alerts.sinks()
    sending = [
        Task(f"alerts to {name}", Aside(partial(loop.alerts.send, name)).step, SENDING_SECONDS) for name in sinks
    ]
    return [
        *sending,
        Task("alerts", Aside(loop.alerts.look).step, ALERTS_SECONDS),
        Task("switch", says.step, SWITCH_SECONDS, alone=True, leave=says.leave),
        Task("edges", Edges(loop.engine).step, EDGES_SECONDS),
        Task("pulse", Aside(pulse).step, min(PULSE_SECONDS, settings.loop.interval)),
        Task("reports", Aside(partial(Reports(settings, store, loop.board).weekly, clock)).step, REPORTS_SECONDS),
        Task("artifacts", Aside(loop.archive.step).step, ARTIFACTS_SECONDS),
        Task("readings", lambda: prune_readings(settings, store, clock), RETENTION_SECONDS),
    ]


def _knowledge(settings: Settings, store: Store, clock: Clock) -> list[Task]:
    from meliora.runtime.knowledge.tasks import (
        FOLLOW_SECONDS,
        UPKEEP_SECONDS,
        USES_SECONDS,
        Following,
        Upkeeping,
        Using,
    )

    made = [
        Task("indexes", Aside(Following(settings, store, clock).step).step, FOLLOW_SECONDS),
        Task("uses", Aside(Using(store, clock).step).step, USES_SECONDS),
    ]
    if settings.knowledge.upkeep.enabled:
        upkeeping = Upkeeping(settings, store, clock, process_name("worker"))
        made.append(Task("upkeep", Aside(upkeeping.step).step, UPKEEP_SECONDS))
    if settings.loop.enabled:
        from meliora.runtime.gates import gate_board
        from meliora.runtime.knowledge.plane import indexes_of
        from meliora.runtime.knowledge.quality import QUALITY_SECONDS, Quality

        indexes = indexes_of(settings, store, clock)
        quality = Quality(store, indexes, gate_board(settings, store), clock)
        made.append(Task("quality", Aside(quality.step).step, QUALITY_SECONDS))
    return made


def _exporter(settings: Settings, store: Store) -> Task:
    from meliora.integrations.otlp import Exporter

    exporter = Exporter.of(settings, store)
    return Task("otlp", exporter.step, EXPORT_SECONDS)


def run(settings: Settings, config: Path | None = None) -> None:
    """Work until a signal."""
    start_logging(settings, "worker")
    settings = effective(settings)
    with open_store(settings) as store:
        worker = build(settings, store, SystemClock())
        on_signals(worker.stop)
        log.info("the worker works", version=__version__)
        worker.run()
