"""A process that obeys the kill switch and says so: it looks several times a second, acts on what it sees, then acknowledges the turn.

Gateways hear of it with their state and acknowledge with their heartbeats; workers and control processes do it here.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog

from meliora.clock import Clock
from meliora.errors import MelioraError
from meliora.loop.control import KillFile, Process, ProcessKind, Switch
from meliora.settings import Settings
from meliora.store.store import Store

if TYPE_CHECKING:
    from meliora.knowledge.front import Plane

log = structlog.get_logger(__name__)

SWITCH_SECONDS = 0.2
"""How often the kill switch is looked at; a turn is acknowledged at once."""
BEAT_SECONDS = 5.0
ERASURE_SECONDS = 1.0
"""How often it is looked whether somebody was erased, on whatever machine."""


def _nothing(halted: bool) -> None:
    """Serve as before: the loop asks the switch before each of its edges."""


class Acknowledging:
    """Looks at the kill switch, and says that this process obeys it: at once after each turn, and now and then that it lives."""

    def __init__(
        self,
        switch: Switch,
        store: Store,
        process: Process,
        clock: Clock,
        obey: Callable[[bool], None] = _nothing,
    ) -> None:
        """`obey` takes whether all is halted, and returns when this process serves by it: only then that is acknowledged."""
        self._switch = switch
        self._store = store
        self._process = process
        self._clock = clock
        self._obey = obey
        self._said: tuple[int, float] | None = None

    def step(self) -> bool:
        """Look, and say so where there is something to say. Raises `StoreError`."""
        self._switch.look()
        state, now = self._store.control.state(), self._clock.monotonic()
        if self._said is None or self._said[0] != state.kill_epoch:
            self._obey(state.halted)
        elif 0 <= now - self._said[1] < BEAT_SECONDS:
            return False
        self._store.control.beat(self._process, state.kill_epoch)
        self._said = state.kill_epoch, now
        return False

    def leave(self) -> None:
        """Say that this process ends in order: nobody waits for its word any more."""
        try:
            self._store.control.leave(self._process.id)
        except MelioraError as error:
            log.warning("the end of this process was not noted; it counts as alive for a minute", why=str(error))


class Heeding:
    """Lets go of what was written down of searches once somebody was erased, so that it is taken in, stripped and deleted."""

    def __init__(self, last_erasure: Callable[[], int], pass_on: Callable[[], None], clock: Clock) -> None:
        self._last, self._pass_on, self._clock = last_erasure, pass_on, clock
        self._seen_us, self._looked = 0, float("-inf")

    def step(self) -> None:
        """Look, once a second. Raises `StoreError`."""
        now = self._clock.monotonic()
        if 0 <= now - self._looked < ERASURE_SECONDS:
            return
        at, self._looked = self._last(), now
        if at > self._seen_us:
            self._pass_on()
            self._seen_us = at


def acknowledging(
    settings: Settings,
    store: Store,
    clock: Clock,
    name: str,
    kind: ProcessKind,
    obey: Callable[[bool], None] = _nothing,
    *,
    signals: bool = True,
) -> Acknowledging:
    """Give what acknowledges for the process of this name; with `signals`, in the main thread, SIGUSR1 kills from now on."""
    file = KillFile(settings.server.state_dir)
    if signals and threading.current_thread() is threading.main_thread():
        file.on_signal()
    process = Process(id=name, kind=kind, host=os.uname().nodename, pid=os.getpid())
    return Acknowledging(Switch(store.control, file), store, process, clock, obey)


@contextmanager
def obeying(
    settings: Settings, store: Store, clock: Clock, name: str, plane: Plane | None, *, signals: bool
) -> Iterator[None]:
    """Let a control process obey and acknowledge in a thread of its own, for as long as this is open.

    The thread also closes what searches were written to: ten minutes ago, or before somebody was erased on whatever machine. So
    nothing of people who are erased waits for the next search.
    """
    obey = _nothing if plane is None else plane.obey
    says = acknowledging(settings, store, clock, name, "control", obey, signals=signals)
    heeds = None if plane is None else Heeding(store.housekeeping.last_erasure_us, plane.pass_on, clock)
    stop = threading.Event()

    def repeat() -> None:
        failing = False
        while not stop.is_set():
            try:
                says.step()
                if heeds is not None:
                    heeds.step()
            except MelioraError as error:
                if not failing:
                    log.error("the kill switch cannot be looked at; it is tried again", error=str(error))
                failing = True
            else:
                failing = False
            if plane is not None:
                plane.rest()
            stop.wait(SWITCH_SECONDS)

    thread = threading.Thread(target=repeat, name="switch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        says.leave()
