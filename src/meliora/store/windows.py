"""What the roll-up job asks for: dirty windows, their calls, and the place for the result.

No lock is held while a window is computed. The result is written only if the window's stamp, which each ingested batch
renews, is still the one that was seen before the calls were read. A call that comes after its window's raw calls began to be
deleted is added to the roll-up that stands, and goes at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from meliora.stats.histogram import LogHistogram
from meliora.store.engine import reading, writing
from meliora.store.rows import insert_into
from meliora.store.tables import call_contents, calls, deployment, dirty_windows, performance_metrics, rollups
from meliora.telemetry.rollups import WINDOW_US, DirtyWindow, Rollup, Sample

_COUNTS = [
    column.name
    for column in rollups.columns
    if column.name not in ("tenant", "window_start", "model", "task", "endpoint", "latency", "ttft", "cost")
]
_D = dirty_windows.c
_R = rollups.c
_METRICS = (
    ("latency", "gateway.latency", "ms", 1e3),
    ("ttft", "gateway.ttft", "ms", 1e3),
    ("cost", "gateway.cost", "usd", 1e6),
)


class RollupWindows:
    """Implement `telemetry.rollups.Windows` on the store."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def dirty(self, limit: int) -> list[DirtyWindow]:
        """Give windows to be rolled up, the oldest first."""
        query = sa.select(_D.tenant, _D.window_start, _D.stamp).order_by(_D.window_start, _D.tenant).limit(limit)
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
            marks = {tenant: pruned(connection, tenant) for tenant in {row.tenant for row in rows}}
        return [DirtyWindow(*row, counted=_counted(marks[row.tenant], row.window_start)) for row in rows]

    def samples(self, window: DirtyWindow) -> Iterable[Sample]:
        """Give the finished calls that began in the window."""
        c = calls.c
        plain = [c.ttft_us, c.tokens_in, c.tokens_out, c.tokens_cached, c.tokens_reasoning, c.cost_micros]
        named = [sa.func.coalesce(column, "") for column in (c.model, c.task, c.endpoint)]
        query = sa.select(*named, c.outcome, c.cached, c.ended_us - c.started_us, *plain)
        with reading(self._engine) as connection:
            rows = connection.execute(query.where(*_raw(window), c.state == "finished"))
            for row in rows:
                yield Sample(*row)

    def replace(self, window: DirtyWindow, rolled: list[Rollup]) -> bool:
        """Write the result unless a call arrived meanwhile; then False."""
        try:
            self._replace(window, rolled)
        except _MovedOn:
            return False
        return True

    def _replace(self, window: DirtyWindow, rolled: list[Rollup]) -> None:
        with writing(self._engine) as connection:
            seen = sa.and_(_D.tenant == window.tenant, _D.window_start == window.start_us, _D.stamp == window.stamp)
            if connection.execute(sa.delete(dirty_windows).where(seen)).rowcount != 1:
                raise _MovedOn
            if _counted(pruned(connection, window.tenant), window.start_us) != window.counted:
                raise _MovedOn
            if window.counted:
                rolled = _merged(connection, window, rolled)
            old = sa.and_(_R.tenant == window.tenant, _R.window_start == window.start_us)
            connection.execute(sa.delete(rollups).where(old))
            points = performance_metrics.c
            windowed = [points.tenant == window.tenant, points.window_start == window.start_us]
            connection.execute(sa.delete(performance_metrics).where(*windowed, points.metric_type == "window"))
            if rolled:
                connection.execute(sa.insert(rollups), [_row(window, one) for one in rolled])
                metrics = [point for one in rolled for point in _points(window, one)]
                if metrics:
                    connection.execute(sa.insert(performance_metrics), metrics)


class _MovedOn(Exception):
    """The window is not what it was when its calls were read."""


def _raw(window: DirtyWindow) -> list[sa.ColumnElement[bool]]:
    c = calls.c
    return [
        c.tenant == window.tenant,
        c.started_us >= window.start_us,
        c.started_us < window.start_us + WINDOW_US,
        c.seq > window.counted,
    ]


def pruned(connection: sa.Connection, tenant: str, *, lock: bool = False) -> tuple[int, int]:
    """Give before which time a tenant's raw calls are being deleted, and up to which sequence number they were rolled up."""
    query = sa.select(deployment.c.value).where(deployment.c.name == _PRUNED + tenant)
    value = connection.execute(query.with_for_update() if lock else query).scalar_one_or_none() or "0:0"
    before_us, _, seq = value.partition(":")
    return int(before_us), int(seq)


def mark_pruned(connection: sa.Connection, tenant: str, before_us: int, seq: int) -> None:
    """Note that raw calls before `before_us` are about to be deleted, all of them up to `seq` being rolled up. Never goes back."""
    if before_us > pruned(connection, tenant, lock=True)[0]:
        value = {"value": f"{before_us}:{seq}"}
        insert = insert_into(connection, deployment).values(name=_PRUNED + tenant, **value)
        connection.execute(insert.on_conflict_do_update(index_elements=["name"], set_=value))


def _counted(mark: tuple[int, int], start_us: int) -> int:
    return mark[1] if start_us < mark[0] else 0


_PRUNED = "pruned:"


def _merged(connection: sa.Connection, window: DirtyWindow, rolled: list[Rollup]) -> list[Rollup]:
    """Add late calls to the roll-up that stands, and delete them: they must not be added twice."""
    by_key = {(one.model, one.task, one.endpoint): one for one in rolled}
    old = sa.select(rollups).where(_R.tenant == window.tenant, _R.window_start == window.start_us)
    for row in connection.execute(old).all():
        one = by_key.setdefault((row.model, row.task, row.endpoint), Rollup(row.model, row.task, row.endpoint))
        for name in _COUNTS:
            setattr(one, name, getattr(one, name) + row._mapping[name])
        for name in ("latency", "ttft", "cost"):
            getattr(one, name).merge(LogHistogram.from_json(row._mapping[name]))
    ids = sa.select(calls.c.id).where(*_raw(window))
    connection.execute(sa.delete(call_contents).where(call_contents.c.call_id.in_(ids)))
    connection.execute(sa.delete(calls).where(*_raw(window)))
    return [by_key[key] for key in sorted(by_key)]


def _row(window: DirtyWindow, one: Rollup) -> dict[str, Any]:
    row: dict[str, Any] = {name: getattr(one, name) for name in [*_COUNTS, "model", "task", "endpoint"]}
    row |= {name: getattr(one, name).to_json() for name in ("latency", "ttft", "cost")}
    return row | {"tenant": window.tenant, "window_start": window.start_us}


def _points(window: DirtyWindow, one: Rollup) -> Iterable[dict[str, Any]]:
    """Give the rows of `performance_metrics` for one roll-up."""
    for name, metric, unit, scale in _METRICS:
        histogram: LogHistogram = getattr(one, name)
        mean = histogram.mean()
        if mean is None:
            continue
        values = [mean, histogram.least, histogram.greatest, *histogram.quantiles((0.5, 0.95, 0.99))]
        columns = ("metric_value", "min_value", "max_value", "p50_value", "p95_value", "p99_value")
        yield {
            "tenant": window.tenant,
            "metric_name": metric,
            "metric_type": "window",
            "metric_unit": unit,
            "context": {"model": one.model or None, "task": one.task or None},
            "category": "gateway",
            "endpoint": one.endpoint or None,
            "samples": histogram.count,
            "window_start": window.start_us,
            "recorded_at": window.start_us + WINDOW_US,
            **{column: round(value / scale, 6) for column, value in zip(columns, values, strict=True)},
        }
