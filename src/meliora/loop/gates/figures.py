"""What gates ask of the store: counts and distributions by parts of the time. The store implements it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from meliora.loop.gates.gate import Slice
from meliora.loop.gates.reading import Span
from meliora.stats.histogram import LogHistogram


@dataclass(slots=True)
class CallCell:
    """Calls that began in a part of the time. Latency in microseconds, cost in micro-dollars, as roll-ups have them."""

    start_us: int
    calls: int = 0
    errors: int = 0
    cancelled: int = 0
    cached: int = 0
    unpriced: int = 0
    latency: LogHistogram = field(default_factory=LogHistogram)
    cost: LogHistogram = field(default_factory=LogHistogram)


@dataclass(frozen=True, slots=True)
class WordCell:
    """What people said in a part of the time: each value (0..1), and how often."""

    start_us: int
    counts: dict[float, int]


@dataclass(frozen=True, slots=True)
class Observation:
    """One pushed measurement. `query`: which frozen query it is of, where it is of one."""

    at_us: int
    value: float
    query: str | None = None


class Figures(Protocol):
    """All methods raise `StoreUnavailable` where the store is away."""

    def calls(self, tenant: str, where: Slice, span: Span) -> Sequence[CallCell]:
        """Give the calls of a time in its parts; parts without calls are left out."""
        ...

    def behind_us(self, tenant: str) -> int | None:
        """Give the start of the oldest part whose calls are not all counted yet; None where all are."""
        ...

    def words(self, tenant: str, where: Slice, span: Span) -> Sequence[WordCell]:
        """Give the feedback of a time in its parts."""
        ...

    def searches(self, tenant: str, where: Slice, span: Span) -> Sequence[WordCell]:
        """Give the searches of a time in its parts: 1 where the first result was used, less further down, 0 where none was in time."""
        ...

    def observations(self, tenant: str, metric: str, since_us: int, until_us: int) -> Sequence[Observation]:
        """Give pushed measurements of a metric, the oldest first."""
        ...

    def budget_share(self, tenant: str, now_us: int) -> float | None:
        """Give the largest share that any key with a budget has spent of it; None where no key has one."""
        ...
