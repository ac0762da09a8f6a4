"""How each model does at each task: sums and counts, from which the means follow. An unknown cost is not zero."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import sqlalchemy as sa

from meliora.errors import InvalidRequest
from meliora.store.engine import reading, writing
from meliora.store.rows import AnyRow, insert_into, ratio
from meliora.store.tables import model_performance


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
        if not model_id or not task_type:
            raise InvalidRequest("A model and a task type are needed.", field="task_type" if model_id else "model_id")
        for field, number in (("latency_ms", latency_ms), ("cost", cost_usd)):
            if number is not None and not (0 <= number < _MOST):
                raise InvalidRequest(f"{field} is {number}.", hint="Write a number from 0 on, or null.", field=field)
        outcome = Outcomes(
            calls=1,
            successes=int(success),
            latency_ms=latency_ms or 0.0,
            timed=int(latency_ms is not None),
            cost_micros=_micros(cost_usd or 0.0),
            priced=int(cost_usd is not None),
        )
        with writing(self._engine) as connection:
            add_outcomes(connection, {(tenant, model_id, task_type): outcome}, self._clock_us())
            query = _SELECT.where(_T.tenant == tenant, _T.model_id == model_id, _T.task_type == task_type)
            return _performance(connection.execute(query).one())

    def list(self, tenant: str, task_type: str | None = None) -> tuple[ModelPerformance, ...]:
        """Give all, by task and then success rate, the best first."""
        query = _SELECT.where(_T.tenant == tenant)
        if task_type is not None:
            query = query.where(_T.task_type == task_type)
        with reading(self._engine) as connection:
            found = [_performance(row) for row in connection.execute(query)]
        found.sort(key=lambda one: (one.task_type, -(one.success_rate or 0.0), one.model_id))
        return tuple(found)


class Outcomes(msgspec.Struct):
    """Sums to add to one model and task; `timed` and `priced` count the calls behind the sums."""

    calls: int = 0
    successes: int = 0
    latency_ms: float = 0.0
    timed: int = 0
    cost_micros: int = 0
    priced: int = 0


def add_outcomes(connection: sa.Connection, outcomes: dict[tuple[str, str, str], Outcomes], now_us: int) -> None:
    """Add sums by (tenant, model, task) within the caller's transaction, in an order that cannot deadlock."""
    for (tenant, model, task), sums in sorted(outcomes.items(), key=lambda item: item[0]):
        added = {
            "total_calls": sums.calls,
            "successes": sums.successes,
            "latency_sum_ms": sums.latency_ms,
            "timed_calls": sums.timed,
            "cost_sum_micros": sums.cost_micros,
            "priced_calls": sums.priced,
        }
        insert = insert_into(connection, model_performance).values(
            tenant=tenant, model_id=model, task_type=task, last_updated=now_us, **added
        )
        grown = {name: _T[name] + value for name, value in added.items()}
        connection.execute(
            insert.on_conflict_do_update(
                index_elements=["tenant", "model_id", "task_type"], set_={**grown, "last_updated": now_us}
            )
        )


def _micros(usd: float) -> int:
    # As with the price of a call: what cost anything cost at least one.
    return max(1, round(usd * 1e6)) if usd else 0


def _performance(row: AnyRow) -> ModelPerformance:
    cost = ratio(row.cost_sum_micros, row.priced_calls)
    return ModelPerformance(
        **row._mapping,
        success_rate=ratio(row.successes, row.total_calls),
        avg_latency_ms=ratio(row.latency_sum_ms, row.timed_calls),
        avg_cost=None if cost is None else cost / 1e6,
    )


_MOST = 1e12
_T = model_performance.c
_STORED = ["model_id", "task_type", "total_calls", "successes", "latency_sum_ms", "timed_calls", "cost_sum_micros"]
_SELECT = sa.select(*[_T[name] for name in [*_STORED, "priced_calls"]], _T.last_updated.label("last_updated_us"))
