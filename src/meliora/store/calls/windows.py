"""What the roll-up job asks for: windows with calls that are not rolled up, those calls, and a place for the result.

Each ingested call has a number, and numbers are committed in their order. So a window is described by the number up to which
it is rolled up: what comes after is added, nothing is read twice, and raw calls that are rolled up may go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from meliora.stats.histogram import LogHistogram
from meliora.store.calls.sink import last_sequence
from meliora.store.calls.sums import DAY_US
from meliora.store.engine import reading, writing
from meliora.store.rows import hold
from meliora.store.tables import calls, performance_metrics, rollup_days, rollup_windows, rollups
from meliora.telemetry.rollups import COUNTS, HISTOGRAMS, WINDOW_US, Rollup, Sample, StaleWindow

_W = rollup_windows.c
_STALE = _W.last_seq > _W.rolled_seq
_LOCK = "rollup_lock"
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
            hold(connection, _LOCK)  # two windows share their day's row
            noted = sa.update(rollup_windows).where(here, _W.rolled_seq == window.after_seq)
            if connection.execute(noted.values(rolled_seq=window.upto_seq)).rowcount != 1:
                return False
            together = _add(connection, rollups, window.tenant, window.start_us, rolled)
            _add(connection, rollup_days, window.tenant, day_start(window.start_us), rolled)
            _point(connection, window, together)
        return True


def first_stale(connection: sa.Connection, tenant: str) -> int | None:
    """Give the start of a tenant's oldest window whose calls are still needed, or None."""
    query = sa.select(sa.func.min(_W.window_start)).where(_STALE, _W.tenant == tenant)
    return connection.execute(query).scalar()


def day_start(time_us: int) -> int:
    """Give the start of the day (UTC) that a time falls into."""
    return time_us - time_us % DAY_US


def _add(connection: sa.Connection, table: sa.Table, tenant: str, start_us: int, rolled: list[Rollup]) -> list[Rollup]:
    """Merge roll-ups with those that stand for the same model, task and endpoint; give the result."""
    c = table.c
    standing = sa.select(table).where(c.tenant == tenant, c.window_start == start_us)
    by_key = {(one.model, one.task, one.endpoint): one for one in rolled}
    together: list[Rollup] = []
    for row in connection.execute(standing).all():
        new = by_key.pop((row.model, row.task, row.endpoint), None)
        if new is None:
            continue
        plain: dict[str, Any] = {name: row._mapping[name] for name in ("model", "task", "endpoint", *COUNTS)}
        plain |= {name: LogHistogram.from_json(row._mapping[name]) for name in HISTOGRAMS}
        old = Rollup(**plain)
        old.merge(new)
        this = (c.model == old.model, c.task == old.task, c.endpoint == old.endpoint)
        connection.execute(sa.delete(table).where(c.tenant == tenant, c.window_start == start_us, *this))
        together.append(old)
    together += by_key.values()
    if together:
        connection.execute(sa.insert(table), [_row(tenant, start_us, one) for one in together])
    return together


def _row(tenant: str, start_us: int, one: Rollup) -> dict[str, Any]:
    row: dict[str, Any] = {name: getattr(one, name) for name in ("model", "task", "endpoint", *COUNTS)}
    row |= {name: getattr(one, name).to_json() for name in HISTOGRAMS}
    return row | {"tenant": tenant, "window_start": start_us}


def _point(connection: sa.Connection, window: StaleWindow, rolled: list[Rollup]) -> None:
    """Put the points of these roll-ups in the place of those that stand."""
    c = performance_metrics.c
    here = sa.and_(c.tenant == window.tenant, c.window_start == window.start_us)
    changed = {_subject(one) for one in rolled}
    standing = connection.execute(sa.select(c.id, c.context, c.endpoint).where(here)).all()
    old = [row.id for row in standing if (row.context["model"], row.context["task"], row.endpoint) in changed]
    connection.execute(sa.delete(performance_metrics).where(c.id.in_(old)))
    if points := [point for one in rolled for point in _points(window, one)]:
        connection.execute(sa.insert(performance_metrics), points)


def _subject(one: Rollup) -> tuple[str | None, str | None, str | None]:
    return one.model or None, one.task or None, one.endpoint or None


def _points(window: StaleWindow, one: Rollup) -> Iterable[dict[str, Any]]:
    """Give the rows of `performance_metrics` for one roll-up."""
    model, task, endpoint = _subject(one)
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
            "context": {"model": model, "task": task},
            "category": "gateway",
            "endpoint": endpoint,
            "samples": histogram.count,
            "window_start": window.start_us,
            "recorded_at": window.start_us + WINDOW_US,
            **{column: round(value / scale, 6) for column, value in zip(columns, values, strict=True)},
        }
