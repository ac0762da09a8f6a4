"""Five-minute windows of mergeable histograms, to which each call is added once, however late it arrives.

Knows neither SQL nor schedules: `Windows` is what it asks of the store.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from meliora.stats.histogram import LogHistogram

WINDOW_US = 300_000_000
"""Width of a window."""

COUNTS = (
    "calls",
    "errors",
    "cancelled",
    "cached",
    "tokens_in",
    "tokens_out",
    "tokens_cached",
    "tokens_reasoning",
    "unmetered",
    "cost_sum_micros",
    "unpriced",
)
HISTOGRAMS = ("latency", "ttft", "cost")
"""Fields of a `Rollup` that are sums, and that are distributions."""


def window_of(time_us: int) -> int:
    """Give the start of the window that a time falls into."""
    return time_us - time_us % WINDOW_US


@dataclass(frozen=True, slots=True)
class StaleWindow:
    """A window with calls that are not in its roll-ups yet: those numbered after `after_seq` and up to `upto_seq`."""

    tenant: str
    start_us: int
    after_seq: int
    upto_seq: int


@dataclass(frozen=True, slots=True)
class Sample:
    """What a roll-up takes of a finished call. Empty strings where model, task or endpoint are unknown."""

    model: str
    task: str
    endpoint: str
    outcome: str
    cached: bool
    latency_us: int
    ttft_us: int | None
    tokens_in: int | None
    tokens_out: int | None
    tokens_cached: int | None
    tokens_reasoning: int | None
    cost_micros: int | None


@dataclass(slots=True)
class Rollup:
    """One window of one model, task and endpoint.

    `latency` and `ttft` (microseconds) are of calls that succeeded and did not come from the cache, `cost` (micro-dollars) of
    those whose cost is known and did not come from the cache.
    """

    model: str
    task: str
    endpoint: str
    calls: int = 0
    errors: int = 0
    cancelled: int = 0
    cached: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    tokens_cached: int = 0
    tokens_reasoning: int = 0
    unmetered: int = 0
    cost_sum_micros: int = 0
    unpriced: int = 0
    latency: LogHistogram = field(default_factory=LogHistogram)
    ttft: LogHistogram = field(default_factory=LogHistogram)
    cost: LogHistogram = field(default_factory=LogHistogram)

    def merge(self, other: Rollup) -> None:
        """Add all that another roll-up counted."""
        for name in COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in HISTOGRAMS:
            getattr(self, name).merge(getattr(other, name))

    def add(self, sample: Sample) -> None:
        """Count a call."""
        self.calls += 1
        self.errors += sample.outcome == "error"
        self.cancelled += sample.outcome == "cancelled"
        self.cached += sample.cached
        self.tokens_in += sample.tokens_in or 0
        self.tokens_out += sample.tokens_out or 0
        self.tokens_cached += sample.tokens_cached or 0
        self.tokens_reasoning += sample.tokens_reasoning or 0
        self.unmetered += sample.tokens_in is None and sample.tokens_out is None
        self.unpriced += sample.cost_micros is None
        self.cost_sum_micros += sample.cost_micros or 0
        if sample.cached:
            return
        if sample.outcome == "ok":
            self.latency.add(sample.latency_us)
            if sample.ttft_us is not None:
                self.ttft.add(sample.ttft_us)
        if sample.cost_micros is not None:
            self.cost.add(sample.cost_micros)


class Windows(Protocol):
    """The windows of all tenants. All methods raise `StoreUnavailable` where the store is away."""

    def stale(self, limit: int) -> list[StaleWindow]:
        """Give windows to be rolled up, the oldest first."""
        ...

    def samples(self, window: StaleWindow) -> Iterable[Sample]:
        """Give the finished calls that began in the window and are not rolled up."""
        ...

    def add(self, window: StaleWindow, rolled: list[Rollup]) -> bool:
        """Add these to what stands for the window; False, and nothing changed, where somebody else has added since."""
        ...


class Roller:
    """Roll up what is stale. Any number of processes may: of two that took up the same window, one adds to it."""

    def __init__(self, windows: Windows) -> None:
        self._windows = windows

    def step(self, limit: int = 100) -> int:
        """Roll up at most `limit` windows; give how many were. One that another process took is left to it."""
        return sum(self._windows.add(window, self._roll(window)) for window in self._windows.stale(limit))

    def _roll(self, window: StaleWindow) -> list[Rollup]:
        found: dict[tuple[str, str, str], Rollup] = {}
        for sample in self._windows.samples(window):
            key = (sample.model, sample.task, sample.endpoint)
            rollup = found.get(key)
            if rollup is None:
                rollup = found[key] = Rollup(*key)
            rollup.add(sample)
        return [found[key] for key in sorted(found)]
