"""The numbered state that gateways follow, and the rules in it: loaded at most every half second, at once after a change here.

The kill switch is looked for more often, by a question that costs next to nothing, so that it is seen at once whoever turned it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence

from starlette.concurrency import run_in_threadpool

from meliora.clock import Clock
from meliora.gateway.state import RuleState, State
from meliora.routing.rules import RuleSet

GLANCE_SECONDS = 0.1
"""How often the kill switch is looked for, while gateways wait."""


class StateFeed:
    """Hold the newest state. Safe to use from threads; `newer` belongs to the event loop."""

    def __init__(
        self,
        load: Callable[[int], State],
        clock: Clock,
        settings_rules: Sequence[RuleState],
        look_seconds: float,
        kill_epoch: Callable[[], int] | None = None,
    ) -> None:
        """`load` gives the state of a moment, `kill_epoch` how often the kill switch was turned; None: it is only looked for in a state."""
        self._kill_epoch = kill_epoch
        self._glanced = float("-inf")
        self._load = load
        self._clock = clock
        self._settings_rules = tuple(settings_rules)
        self._look_seconds = look_seconds
        self._lock = threading.Lock()
        self._held: tuple[float, State] | None = None
        self._rules: tuple[int, RuleSet] | None = None
        self._gate = threading.Lock()
        """Guards `_waiting` alone: the event loop must not wait for a thread that loads."""
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    def current(self) -> State:
        """Give the state, at most `look_seconds` old. Raises `StoreError`."""
        with self._lock:
            if self._held is None or not self._is_fresh(self._held):
                self._held = (self._clock.monotonic(), self._load(self._clock.now_us()))
            return self._held[1]

    def _is_fresh(self, held: tuple[float, State]) -> bool:
        return 0 <= self._clock.monotonic() - held[0] < self._look_seconds

    def _glance(self, kill_epoch: Callable[[], int]) -> None:
        """Let the state be loaded anew where the kill switch was turned since. Raises `StoreError`."""
        epoch = kill_epoch()
        with self._lock:
            turned = self._held is not None and self._held[1].kill_epoch != epoch
            if turned:
                self._held = None
        if turned:
            self._wake()

    def rules(self) -> RuleSet:
        """Give the rules of the settings and the store; what does not compile is left out."""
        state = self.current()
        held = self._rules
        if held is None or held[0] != state.version:
            held = self._rules = (state.version, RuleSet((*self._settings_rules, *state.rules), strict=False))
        return held[1]

    def touch(self) -> None:
        """Something changed: load anew, and wake the gateways that wait."""
        with self._lock:
            self._held = None
        self._wake()

    def _wake(self) -> None:
        with self._gate:
            waiting = tuple(self._waiting)
        for loop, changed in waiting:
            loop.call_soon_threadsafe(changed.set)

    async def newer(self, have: int, seconds: float) -> State | None:
        """Give a state of another version than `have`, waiting for one up to `seconds`; None when there is none."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while True:
            changed = asyncio.Event()
            waiter = (loop, changed)
            with self._gate:
                self._waiting.add(waiter)
            try:
                if self._kill_epoch is not None and loop.time() - self._glanced >= GLANCE_SECONDS:
                    self._glanced = loop.time()
                    await run_in_threadpool(self._glance, self._kill_epoch)
                held = self._held  # loading belongs to a thread; what is fresh needs none
                state = held[1] if held is not None and self._is_fresh(held) else await run_in_threadpool(self.current)
                if state.version != have:
                    return state
                left = deadline - loop.time()
                if left <= 0:
                    return None
                async with asyncio.timeout(min(left, self._look_seconds, GLANCE_SECONDS)):
                    await changed.wait()
            except TimeoutError:
                continue
            finally:
                with self._gate:
                    self._waiting.discard(waiter)
