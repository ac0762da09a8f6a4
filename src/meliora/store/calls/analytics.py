"""Cost, tokens, errors, rankings and percentiles, from the daily sums and the five-minute roll-ups, never from raw calls
where a sum will do: each answer in under a second with a million calls."""

from __future__ import annotations

import math
from typing import Literal

import msgspec
import sqlalchemy as sa

from meliora.stats.histogram import LogHistogram
from meliora.store.calls.calls import Call, to_call
from meliora.store.calls.slots import slots_of
from meliora.store.calls.sums import DAY_US, USAGE, day_of
from meliora.store.calls.windows import day_start
from meliora.store.engine import reading
from meliora.store.rows import AnyRow, page_size, ratio
from meliora.store.tables import calls, feedback, rollup_days, rollups, usage_daily, usage_users
from meliora.telemetry.rollups import WINDOW_US, window_of

Grouping = Literal["model", "task", "user", "day", "feature", "key"]


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Sums of one group. `group` None: the calls had no such thing.

    `cost_micros` covers the calls whose cost is known; `unpriced` says how many are not in it, `unmetered` likewise for tokens.
    """

    group: str | None
    calls: int
    errors: int
    cancelled: int
    cached: int
    tokens_in: int
    tokens_out: int
    tokens_cached: int
    tokens_reasoning: int
    unmetered: int
    cost_micros: int
    unpriced: int


class ErrorRate(msgspec.Struct, frozen=True, kw_only=True):
    """Share of calls that failed; None without calls. Cancelled calls count as calls, lost ones stand beside."""

    calls: int
    errors: int
    cancelled: int
    lost: int
    rate: float | None
    by_code: dict[str, int]


class ModelRank(msgspec.Struct, frozen=True, kw_only=True):
    """A model and what stands behind each of its means; a mean is None where nothing does."""

    model: str
    calls: int
    successes: int
    success_rate: float | None
    timed: int
    latency_sum_us: int
    avg_latency_ms: float | None
    priced: int
    cost_sum_micros: int
    avg_cost_micros: float | None
    feedback: int
    feedback_sum: float
    avg_feedback: float | None


class Percentiles(msgspec.Struct, frozen=True, kw_only=True):
    """A distribution, within 1% of exact. Milliseconds for times, micro-dollars for cost; None where there is nothing."""

    count: int
    mean: float | None
    min: float | None
    max: float | None
    p50: float | None
    p95: float | None
    p99: float | None


class Distribution(msgspec.Struct, frozen=True, kw_only=True):
    """Latency, time to first token and cost of the calls in rolled-up windows."""

    latency_ms: Percentiles
    ttft_ms: Percentiles
    cost_micros: Percentiles


class Analytics:
    """Answer what was spent, on what, how fast and how well. `since_us` and `until_us` are half-open; None leaves them open.

    Sums by day take whole days (UTC) that touch the interval.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def usage(
        self, tenant: str, by: Grouping, *, since_us: int | None = None, until_us: int | None = None, limit: int = 1000
    ) -> tuple[Usage, ...]:
        """Give sums a group: days in order, else the dearest first."""
        table, column = _GROUPS[by]
        named = column.label("group")
        order = named if by == "day" else sa.desc("cost_micros")
        query = sa.select(named, *_sums(table)).where(table.c.tenant == tenant, *_days(table, since_us, until_us))
        query = query.group_by(column).order_by(order, named).limit(limit)
        with reading(self._engine) as connection:
            return tuple(_usage(row) for row in connection.execute(query))

    def total(self, tenant: str, *, since_us: int | None = None, until_us: int | None = None) -> Usage:
        """Give the sums over all groups; `group` is the tenant."""
        query = sa.select(*_sums(usage_daily)).where(_D.tenant == tenant, *_days(usage_daily, since_us, until_us))
        with reading(self._engine) as connection:
            return _usage(connection.execute(query).one(), group=tenant)

    def tenants(self, *, since_us: int | None = None, until_us: int | None = None) -> tuple[Usage, ...]:
        """Give sums a tenant. For the administrator of the deployment: it is not confined to one."""
        query = sa.select(_D.tenant.label("group"), *_sums(usage_daily)).where(*_days(usage_daily, since_us, until_us))
        with reading(self._engine) as connection:
            return tuple(_usage(row) for row in connection.execute(query.group_by(_D.tenant).order_by(_D.tenant)))

    def top_expensive(
        self, tenant: str, *, limit: int = 10, since_us: int | None = None, until_us: int | None = None
    ) -> tuple[Call, ...]:
        """Give the dearest calls, the dearest first; those of unknown cost are not among them."""
        limit = page_size(limit)
        c = calls.c
        query = sa.select(*[c[name] for name in Call.__struct_fields__]).limit(limit)
        query = query.where(c.tenant == tenant, c.cost_micros.is_not(None), *_between(c.started_us, since_us, until_us))
        found: list[Call] = []
        with reading(self._engine) as connection:
            for slot in slots_of(connection, tenant, since_us, until_us):
                # A slot can only add what is dearer than the cheapest of those found so far.
                least = found[-1].cost_micros if len(found) == limit else None
                dearer = [] if least is None else [c.cost_micros > least]
                rows = connection.execute(query.where(c.slot == slot, *dearer).order_by(c.cost_micros.desc()))
                found = sorted([*found, *map(to_call, rows)], key=lambda call: -(call.cost_micros or 0))[:limit]
        return tuple(found)

    def error_rate(
        self, tenant: str, *, model: str | None = None, since_us: int | None = None, until_us: int | None = None
    ) -> ErrorRate:
        """Give the share of failures; finished windows of five minutes that touch the interval."""
        since, until = _windows(since_us, until_us)
        c = calls.c
        started = _between(c.started_us, since, until)
        codes = sa.select(c.error_code, sa.func.count()).where(c.tenant == tenant, c.outcome == _ERROR, *started)
        # Few calls are lost: with the tenant hidden from it, the planner reads the index that holds only those.
        own = c.tenant.concat("") == tenant
        gone = sa.select(sa.func.count()).where(c.state != _FINISHED, c.state == "lost", own, *started)
        if model is not None:
            codes, gone = codes.where(c.model == model), gone.where(c.model == model)
        sums = [0, 0, 0]
        with reading(self._engine) as connection:
            for table, first, end in _spans(since_us, until_us):
                total = sa.select(*[_sum(table.c[name]) for name in ("calls", "errors", "cancelled")])
                total = total.where(table.c.tenant == tenant, *_between(table.c.window_start, first, end))
                if model is not None:
                    total = total.where(table.c.model == model)
                sums = [a + b for a, b in zip(sums, connection.execute(total).one(), strict=True)]
            by_code = connection.execute(codes.group_by(c.error_code)).all()
            lost = connection.execute(gone).scalar_one()
        served, errors, cancelled = sums
        return ErrorRate(
            calls=served,
            errors=errors,
            cancelled=cancelled,
            lost=lost,
            rate=ratio(errors, served),
            by_code={row[0] or "unknown": row[1] for row in by_code},
        )

    def ranking(
        self, tenant: str, *, task: str | None = None, since_us: int | None = None, until_us: int | None = None
    ) -> tuple[ModelRank, ...]:
        """Give the models, the highest success rate first, then the cheaper, then the faster."""
        days = _days(usage_daily, since_us, until_us)
        query = sa.select(_D.model, *_sums(usage_daily)).where(_D.tenant == tenant, _D.model != "", *days)
        f = feedback.c
        said = sa.select(f.model_used, sa.func.count(), sa.func.sum(f.value))
        said = said.where(f.tenant == tenant, f.model_used.is_not(None), *_between(f.updated_at, since_us, until_us))
        if task is not None:
            query, said = query.where(_D.task == task), said.where(f.task_type == task)
        with reading(self._engine) as connection:
            rows = connection.execute(query.group_by(_D.model)).all()
            words = {row[0]: (row[1], row[2]) for row in connection.execute(said.group_by(f.model_used))}
        ranks = [_rank(row, *words.get(row.model, (0, 0.0))) for row in rows]
        unknown = math.inf
        ranks.sort(
            key=lambda rank: (
                -(rank.success_rate or 0.0),
                unknown if rank.avg_cost_micros is None else rank.avg_cost_micros,
                unknown if rank.avg_latency_ms is None else rank.avg_latency_ms,
            )
        )
        return tuple(ranks)

    def distribution(
        self,
        tenant: str,
        *,
        model: str | None = None,
        task: str | None = None,
        endpoint: str | None = None,
        since_us: int | None = None,
        until_us: int | None = None,
    ) -> Distribution:
        """Give percentiles over the windows of five minutes that touch the interval."""
        sums = LogHistogram(), LogHistogram(), LogHistogram()
        with reading(self._engine) as connection:
            for table, since, until in _spans(since_us, until_us):
                c = table.c
                query = sa.select(c.latency, c.ttft, c.cost)
                query = query.where(c.tenant == tenant, *_between(c.window_start, since, until))
                for column, wanted in ((c.model, model), (c.task, task), (c.endpoint, endpoint)):
                    if wanted is not None:
                        query = query.where(column == wanted)
                for row in connection.execute(query):
                    for held, plain in zip(sums, row, strict=True):
                        held.merge_json(plain)
        latency, ttft, cost = sums
        return Distribution(
            latency_ms=_percentiles(latency, 1000), ttft_ms=_percentiles(ttft, 1000), cost_micros=_percentiles(cost, 1)
        )


_D = usage_daily.c
_ERROR, _FINISHED = sa.text("'error'"), sa.text("'finished'")  # written out, as the partial indexes have it
_GROUPS: dict[Grouping, tuple[sa.Table, sa.Column[str]]] = {
    "model": (usage_daily, _D.model),
    "task": (usage_daily, _D.task),
    "feature": (usage_daily, _D.feature),
    "key": (usage_daily, _D.key_id),
    "day": (usage_daily, _D.day),
    "user": (usage_users, usage_users.c.user_id),
}


def _sum(column: sa.Column[int]) -> sa.ColumnElement[int]:
    # PostgreSQL gives sums of integers as decimals.
    return sa.cast(sa.func.coalesce(sa.func.sum(column), 0), sa.BigInteger).label(column.name)


def _sums(table: sa.Table) -> list[sa.ColumnElement[int]]:
    return [_sum(table.c[name]) for name in USAGE]


def _usage(row: AnyRow, group: str | None = None) -> Usage:
    values = {name: row._mapping[name] for name in USAGE if name in Usage.__struct_fields__}
    return Usage(group=group if group is not None else row._mapping["group"] or None, **values)


def _days(table: sa.Table, since_us: int | None, until_us: int | None) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if since_us is not None:
        found.append(table.c.day >= day_of(since_us))
    if until_us is not None:
        found.append(table.c.day <= day_of(until_us - 1))
    return found


def _windows(since_us: int | None, until_us: int | None) -> tuple[int | None, int | None]:
    """Widen an interval to whole windows."""
    return (
        None if since_us is None else window_of(since_us),
        None if until_us is None else window_of(until_us - 1) + WINDOW_US,
    )


def _spans(since_us: int | None, until_us: int | None) -> list[tuple[sa.Table, int | None, int | None]]:
    """Cover an interval by whole days, and by windows where it begins or ends within a day."""
    since, until = _windows(since_us, until_us)
    first = None if since is None else day_start(since + DAY_US - 1)
    last = None if until is None else day_start(until)
    if first is not None and last is not None and first >= last:
        return [(rollups, since, until)]
    spans: list[tuple[sa.Table, int | None, int | None]] = [(rollup_days, first, last)]
    if since is not None and since != first:
        spans.append((rollups, since, first))
    if until is not None and until != last:
        spans.append((rollups, last, until))
    return spans


def _between(column: sa.Column[int], since: int | None, until: int | None) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if since is not None:
        found.append(column >= since)
    if until is not None:
        found.append(column < until)
    return found


def _rank(row: AnyRow, words: int, worth: float) -> ModelRank:
    successes = row.calls - row.errors - row.cancelled
    judged = row.calls - row.cancelled
    priced = row.calls - row.unpriced
    latency = ratio(row.latency_us, row.timed)
    return ModelRank(
        model=row.model,
        calls=row.calls,
        successes=successes,
        success_rate=ratio(successes, judged),
        timed=row.timed,
        latency_sum_us=row.latency_us,
        avg_latency_ms=None if latency is None else latency / 1000,
        priced=priced,
        cost_sum_micros=row.cost_micros,
        avg_cost_micros=ratio(row.cost_micros, priced),
        feedback=words,
        feedback_sum=worth,
        avg_feedback=ratio(worth, words),
    )


def _percentiles(histogram: LogHistogram, scale: float) -> Percentiles:
    mean = histogram.mean()
    p50, p95, p99 = (
        (value / scale for value in histogram.quantiles((0.5, 0.95, 0.99))) if mean is not None else (None,) * 3
    )
    return Percentiles(
        count=histogram.count,
        mean=None if mean is None else mean / scale,
        min=None if mean is None else histogram.least / scale,
        max=None if mean is None else histogram.greatest / scale,
        p50=p50,
        p95=p95,
        p99=p99,
    )
