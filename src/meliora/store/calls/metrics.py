"""Named measurements: one observation each, and the five-minute windows that `telemetry.rollups` makes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import msgspec
import sqlalchemy as sa

from meliora.errors import InvalidRequest
from meliora.stats.histogram import LogHistogram
from meliora.store.cursors import Page, decode, encode
from meliora.store.engine import reading, writing
from meliora.store.rows import AnyRow, before, page_size
from meliora.store.tables import performance_metrics


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


class MetricSum(msgspec.Struct, frozen=True):
    """The observations of one group; `group` None: their context does not say."""

    group: str | None
    count: int
    total: float


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
        row = self._row(tenant, name, value, unit, context)
        with writing(self._engine) as connection:
            made = connection.execute(sa.insert(performance_metrics).values(**row).returning(*_COLUMNS)).one()
        return MetricPoint(**made._mapping)

    def record_all(self, tenant: str, found: Sequence[tuple[str, float, dict[str, Any]]], unit: str = "") -> None:
        """Keep many observations (name, value, context) at once: all or none. Raises `InvalidRequest` as `record` does."""
        rows = [self._row(tenant, name, value, unit, context) for name, value, context in found]
        if rows:
            with writing(self._engine) as connection:
                connection.execute(sa.insert(performance_metrics), rows)

    def _row(self, tenant: str, name: str, value: float, unit: str, context: dict[str, Any] | None) -> dict[str, Any]:
        if not name:
            raise InvalidRequest("A metric needs a name.", field="name")
        if not abs(value) < _MOST:  # also for nan
            raise InvalidRequest(f"value is {value}.", hint="Write a finite number below 1e14.", field="value")
        category = (context or {}).get("category")
        return {
            "tenant": tenant,
            "metric_name": name,
            "metric_type": "value",
            "metric_value": round(value, 6),
            "metric_unit": unit,
            "context": context,
            "category": category if isinstance(category, str) else None,
            "samples": 1,
            "recorded_at": self._clock_us(),
        }

    def names(self, tenant: str) -> tuple[MetricName, ...]:
        """Give the metrics of a tenant by name."""
        counted = sa.func.count().label("points")
        query = sa.select(_T.metric_name, sa.func.max(_T.metric_unit), counted, sa.func.max(_T.recorded_at))
        query = query.where(_T.tenant == tenant).group_by(_T.metric_name).order_by(_T.metric_name)
        with reading(self._engine) as connection:
            return tuple(MetricName(*row) for row in connection.execute(query))

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
        limit = page_size(limit)
        query = sa.select(*_COLUMNS).where(_T.tenant == tenant, *_within(name, since_us, until_us))
        if cursor is not None:
            query = query.where(before(_T.recorded_at, _T.id, decode(cursor, int)))
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(_T.recorded_at.desc(), _T.id.desc()).limit(limit + 1)).all()
        found = tuple(MetricPoint(**row._mapping) for row in rows[:limit])
        return Page(found, encode(found[-1].recorded_us, found[-1].id) if len(rows) > limit else None)

    def by_context(
        self, tenant: str, name: str, key: str, *, since_us: int | None = None, until_us: int | None = None
    ) -> tuple[MetricSum, ...]:
        """Sum the observations of a metric by a text in their context, the greatest first; at most a thousand groups."""
        named = _T.context[key].as_string().label("group")
        where = [_T.tenant == tenant, _T.metric_type == "value", *_within(name, since_us, until_us)]
        part = sa.select(named, _T.metric_value).where(*where).subquery()
        total = sa.func.sum(part.c.metric_value)
        query = sa.select(part.c.group, sa.func.count(), sa.cast(total, sa.Double)).group_by(part.c.group)
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(total.desc(), part.c.group).limit(_GROUPS)).all()
        return tuple(MetricSum(*row) for row in rows)

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
        where = [_T.tenant == tenant, *_within(name, since_us, until_us)]
        if task_type is not None:
            named = [_T.context[key].as_string() == task_type for key in ("task", "task_type", "taskType")]
            where.append(sa.or_(*named))
        with reading(self._engine) as connection:
            return tuple(_summaries(connection, where))


_MOST = 1e14
_SUMMARISED = 100_000
_GROUPS = 1000
_T = performance_metrics.c
_COLUMNS = [
    *[_T[name] for name in MetricPoint.__struct_fields__ if not name.endswith("_us")],
    _T.window_start.label("window_start_us"),
    _T.recorded_at.label("recorded_us"),
]


def _within(name: str | None, since_us: int | None, until_us: int | None) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if name is not None:
        found.append(_T.metric_name == name)
    if since_us is not None:
        found.append(_T.recorded_at >= since_us)
    if until_us is not None:
        found.append(_T.recorded_at < until_us)
    return found


def _summaries(connection: sa.Connection, where: list[sa.ColumnElement[bool]]) -> Iterator[MetricSummary]:
    weighted = sa.func.sum(_T.metric_value * _T.samples)
    span = sa.select(
        _T.metric_name,
        _T.metric_type,
        sa.func.max(_T.metric_unit).label("unit"),
        sa.func.sum(_T.samples).label("samples"),
        weighted.label("total"),
        sa.func.min(sa.func.coalesce(_T.min_value, _T.metric_value)).label("least"),
        sa.func.max(sa.func.coalesce(_T.max_value, _T.metric_value)).label("greatest"),
        ((sa.func.min(_T.recorded_at) + sa.func.max(_T.recorded_at)) / 2).label("middle"),
    ).where(*where)
    # `value` sorts before `window`: where there are observations, they are what is summarised.
    spans = connection.execute(
        span.group_by(_T.metric_name, _T.metric_type).order_by(_T.metric_name, _T.metric_type)
    ).all()
    seen: set[str] = set()
    for row in spans:
        if row.metric_name in seen:
            continue
        seen.add(row.metric_name)
        here = [*where, _T.metric_name == row.metric_name, _T.metric_type == row.metric_type]
        late = sa.select(weighted, sa.func.sum(_T.samples)).where(*here, _T.recorded_at > row.middle)
        total, samples = connection.execute(late).one()
        yield _summary(row, float(total or 0), int(samples or 0), _percentiles(connection, row, here))


def _percentiles(
    connection: sa.Connection, row: AnyRow, here: list[sa.ColumnElement[bool]]
) -> tuple[float | None, float | None, float | None]:
    """Give those of the newest observations; of windows there are none that could be put together from their own."""
    if row.metric_type != "value":
        return None, None, None
    newest = sa.select(_T.metric_value).where(*here).order_by(_T.recorded_at.desc()).limit(_SUMMARISED)
    histogram = LogHistogram()
    for value in connection.execute(newest).scalars():
        histogram.add(value)
    p50, p95, p99 = histogram.quantiles((0.5, 0.95, 0.99))
    return p50, p95, p99


def _summary(
    row: AnyRow, late_total: float, late_samples: int, percentiles: tuple[float | None, float | None, float | None]
) -> MetricSummary:
    samples, total = int(row.samples), float(row.total)
    mean = total / samples
    early_samples = samples - late_samples
    first = (total - late_total) / early_samples if early_samples else mean
    last = late_total / late_samples if late_samples else first
    return MetricSummary(
        metric_name=row.metric_name,
        metric_unit=row.unit,
        count=samples,
        mean=mean,
        min=float(row.least),
        max=float(row.greatest),
        p50=percentiles[0],
        p95=percentiles[1],
        p99=percentiles[2],
        first=first,
        last=last,
        change=(last - first) / abs(first) if first and late_samples and early_samples else None,
    )
