"""How each model does at each task: sums and counts, from which the means follow. An unknown cost is not zero."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import sqlalchemy as sa


class ModelPerformance(msgspec.Struct, frozen=True, kw_only=True):
    """A model at a task. `success_rate` is a share 0..1; means are None where nothing stands behind them."""

    model_id: str
    task_type: str
    total_calls: int
    successes: int
    success_rate: float | None
    latency_sum_ms: float
    timed_calls: int
    avg_latency_ms: float | None
    cost_sum_micros: int
    priced_calls: int
    avg_cost: float | None
    """US dollars a priced call."""
    last_updated_us: int


class ModelPerformances:
    """Add outcomes and read them. The ingester adds those of recorded calls by itself."""

    def __init__(self, engine: sa.Engine, clock_us: Callable[[], int]) -> None:
        self._engine = engine
        self._clock_us = clock_us

    def update(
        self,
        tenant: str,
        model_id: str,
        task_type: str,
        *,
        success: bool,
        latency_ms: float | None,
        cost_usd: float | None,
    ) -> ModelPerformance:
        """Add one outcome; None is unknown and enters no mean. Raises `InvalidRequest` for an empty name or a negative number."""
        raise NotImplementedError

    def list(self, tenant: str, task_type: str | None = None) -> tuple[ModelPerformance, ...]:
        """Give all, by task and then success rate, the best first."""
        raise NotImplementedError
