"""What the roll-up job asks for: windows with calls that are not rolled up, those calls, and a place for the result.

Each ingested call has a number, and numbers are committed in their order. So a window is described by the number up to which
it is rolled up: what comes after is added, nothing is read twice, and raw calls that are rolled up may go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from meliora.stats.histogram import LogHistogram
from meliora.store.engine import reading, writing
from meliora.store.sink import last_sequence
from meliora.store.tables import calls, performance_metrics, rollup_windows, rollups
from meliora.telemetry.rollups import COUNTS, HISTOGRAMS, WINDOW_US, Rollup, Sample, StaleWindow

_W = rollup_windows.c
_R = rollups.c
_STALE = _W.last_seq > _W.rolled_seq
_METRICS = (
    ("latency", "gateway.latency", "ms", 1e3),
    ("ttft", "gateway.ttft", "ms", 1e3),
    ("cost", "gateway.cost", "usd", 1e6),
)


class RollupWindows:
    """Implement `telemetry.rollups.Windows` on the store."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def stale(self, limit: int) -> list[StaleWindow]:
        """Give windows to be rolled up, the oldest first."""
        query = sa.select(_W.tenant, _W.window_start, _W.rolled_seq).where(_STALE)
        with reading(self._engine) as connection:
            # Read first: what is committed later is above it, and waits for the next time.
            upto = last_sequence(connection)
            rows = connection.execute(query.order_by(_W.window_start, _W.tenant).limit(limit))
            return [StaleWindow(row.tenant, row.window_start, row.rolled_seq, upto) for row in rows]

    def samples(self, window: StaleWindow) -> Iterable[Sample]:
        """Give the finished calls that began in the window and are not rolled up."""
        c = calls.c
        plain = [c.ttft_us, c.tokens_in, c.tokens_out, c.tokens_cached, c.tokens_reasoning, c.cost_micros]
        named = [sa.func.coalesce(column, "") for column in (c.model, c.task, c.endpoint)]
        began = [c.tenant == window.tenant, c.started_us >= window.start_us, c.started_us < window.start_us + WINDOW_US]
        unrolled = [c.seq > window.after_seq, c.seq <= window.upto_seq, c.state == "finished"]
        query = sa.select(*named, c.outcome, c.cached, c.ended_us - c.started_us, *plain).where(*began, *unrolled)
        with reading(self._engine) as connection:
            for row in connection.execute(query):
                yield Sample(*row)

    def add(self, window: StaleWindow, rolled: list[Rollup]) -> bool:
        """Add to what stands, and note how far the window is rolled up; False where it was not where it was seen."""
        here = sa.and_(_W.tenant == window.tenant, _W.window_start == window.start_us)
        with writing(self._engine) as connection:
            noted = sa.update(rollup_windows).where(here, _W.rolled_seq == window.after_seq)
            if connection.execute(noted.values(rolled_seq=window.upto_seq)).rowcount != 1:
                return False
            together = _together(connection, window, rolled)
            _replace(connection, window, rollups, [_row(window, one) for one in together])
            points = [point for one in together for point in _points(window, one)]
            _replace(connection, window, performance_metrics, points)
        return True


def first_stale(connection: sa.Connection, tenant: str) -> int | None:
    """Give the start of a tenant's oldest window whose calls are still needed, or None."""
    query = sa.select(sa.func.min(_W.window_start)).where(_STALE, _W.tenant == tenant)
    return connection.execute(query).scalar()


def _together(connection: sa.Connection, window: StaleWindow, rolled: list[Rollup]) -> list[Rollup]:
    """Merge what is new with what stands."""
    by_key = {(one.model, one.task, one.endpoint): one for one in rolled}
    standing = sa.select(rollups).where(_R.tenant == window.tenant, _R.window_start == window.start_us)
    for row in connection.execute(standing).all():
        plain: dict[str, Any] = {name: row._mapping[name] for name in ("model", "task", "endpoint", *COUNTS)}
        plain |= {name: LogHistogram.from_json(row._mapping[name]) for name in HISTOGRAMS}
        old = Rollup(**plain)
        new = by_key.get((old.model, old.task, old.endpoint))
        if new is not None:
            old.merge(new)
        by_key[old.model, old.task, old.endpoint] = old
    return [by_key[key] for key in sorted(by_key)]


def _replace(connection: sa.Connection, window: StaleWindow, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    here = sa.and_(table.c.tenant == window.tenant, table.c.window_start == window.start_us)
    connection.execute(sa.delete(table).where(here))
    if rows:
        connection.execute(sa.insert(table), rows)


def _row(window: StaleWindow, one: Rollup) -> dict[str, Any]:
    row: dict[str, Any] = {name: getattr(one, name) for name in ("model", "task", "endpoint", *COUNTS)}
    row |= {name: getattr(one, name).to_json() for name in HISTOGRAMS}
    return row | {"tenant": window.tenant, "window_start": window.start_us}


def _points(window: StaleWindow, one: Rollup) -> Iterable[dict[str, Any]]:
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
