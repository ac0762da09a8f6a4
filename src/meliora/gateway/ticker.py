"""One coarse clock for all deadlines of the gateway: a timer for each call would cost more than the call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

INTERVAL = 0.1
"""Seconds between two ticks, and so the grain of every timeout."""

Tick = Callable[[float], None]
"""Called with the loop's time; must not block and must not raise."""


class Ticker:
    """Call each registered function ten times a second."""

    def __init__(self, interval: float = INTERVAL) -> None:
        self._interval = interval
        self._ticks: dict[Tick, None] = {}
        self._handle: asyncio.TimerHandle | None = None

    def add(self, tick: Tick) -> None:
        """Call `tick` from the next tick on."""
        self._ticks[tick] = None

    def remove(self, tick: Tick) -> None:
        """Stop calling `tick`."""
        self._ticks.pop(tick, None)

    def start(self) -> None:
        """Begin; needs a running loop."""
        loop = asyncio.get_running_loop()
        self._handle = loop.call_later(self._interval, self._run, loop)

    def stop(self) -> None:
        """End; nothing is called any more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        self._handle = loop.call_later(self._interval, self._run, loop)
        now = loop.time()
        for tick in tuple(self._ticks):
            tick(now)
