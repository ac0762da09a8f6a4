"""A clock that stands still until a test moves it. Never waits."""

from __future__ import annotations

import asyncio


class FrozenClock:
    """A `meliora.clock.Clock` under the test's control."""

    def __init__(self, now_us: int = 1_735_689_600_000_000) -> None:
        self._now_us = now_us
        self._monotonic_us = 0

    def now_us(self) -> int:
        """Give the time it was set to, in microseconds since the epoch."""
        return self._now_us

    def monotonic(self) -> float:
        """Give the seconds it was advanced by so far."""
        return self._monotonic_us / 1_000_000

    def advance(self, seconds: float) -> None:
        """Let time pass. Raises `ValueError` for a negative span."""
        if seconds < 0:
            raise ValueError("Time passes forwards; use `set` for a clock that is put back.")
        self._now_us += round(seconds * 1_000_000)
        self._monotonic_us += round(seconds * 1_000_000)

    def set(self, now_us: int) -> None:
        """Put the wall clock to any time, also back; the monotonic one does not notice."""
        self._now_us = now_us

    async def sleep(self, seconds: float) -> None:
        """Advance instead of waiting, and let other tasks run once."""
        self.advance(seconds)
        await asyncio.sleep(0)
