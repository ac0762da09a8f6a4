"""Named measurements: one observation each, and the five-minute windows that `telemetry.rollups` makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec
import sqlalchemy as sa

from meliora.store.cursors import Page


class MetricPoint(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `performance_metrics`. A window has `window_start_us`, extremes and percentiles; an observation has not."""

    id: int
    metric_name: str
    metric_type: Literal["value", "window"]
    metric_value: float
    metric_unit: str
    context: dict[str, Any] | None
    category: str | None
    endpoint: str | None
    min_value: float | None
    max_value: float | None
    p50_value: float | None
    p95_value: float | None
    p99_value: float | None
    samples: int
    window_start_us: int | None
    recorded_us: int


class MetricName(msgspec.Struct, frozen=True):
    """A metric that exists, with how often and when last."""

    metric_name: str
    metric_unit: str
    points: int
    last_us: int


class MetricSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One metric over a time: from observations where there are any, else from windows (percentiles then None)."""

    metric_name: str
    metric_unit: str
    count: int
    mean: float
    min: float
    max: float
    p50: float | None
    p95: float | None
    p99: float | None
    first: float
    """Mean of the earlier half of the time."""
    last: float
    """Mean of the later half."""
    change: float | None
    """`last` against `first` as a share of `first`; None where that is zero or a half is empty."""


class Metrics:
    """Record and look up measurements."""

    def __init__(self, engine: sa.Engine, clock_us: Callable[[], int]) -> None:
        self._engine = engine
        self._clock_us = clock_us

    def record(
        self, tenant: str, name: str, value: float, unit: str, context: dict[str, Any] | None = None
    ) -> MetricPoint:
        """Keep one observation, rounded to six decimals. `context.category` is kept as a column of its own.

        Raises `InvalidRequest` for an empty name or a value that is no finite number below 1e14.
        """
        raise NotImplementedError

    def names(self, tenant: str) -> tuple[MetricName, ...]:
        """Give the metrics of a tenant by name."""
        raise NotImplementedError

    def list(
        self,
        tenant: str,
        name: str | None = None,
        *,
        since_us: int | None = None,
        until_us: int | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[MetricPoint]:
        """Give points, the newest first; at most 500."""
        raise NotImplementedError

    def analyze(
        self,
        tenant: str,
        *,
        name: str | None = None,
        task_type: str | None = None,
        since_us: int | None = None,
        until_us: int | None = None,
    ) -> tuple[MetricSummary, ...]:
        """Summarise each metric, by name. `task_type` keeps points whose context names that `task` or `task_type`."""
        raise NotImplementedError
