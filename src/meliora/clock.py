"""Time as a parameter: what a clock can be asked, and the clock of this machine. Sleeps nowhere."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Tell the time. `meliora.testing.FrozenClock` stands still until it is moved."""

    def now_us(self) -> int:
        """Give integer microseconds since the epoch (UTC). May jump, also back: never subtract two of them."""
        ...

    def monotonic(self) -> float:
        """Give seconds from an arbitrary start; never goes back. For durations and deadlines."""
        ...


class SystemClock:
    """Read the clocks of this machine."""

    def now_us(self) -> int:
        """Give integer microseconds since the epoch (UTC)."""
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        """Give seconds of the monotonic clock."""
        return time.monotonic()
