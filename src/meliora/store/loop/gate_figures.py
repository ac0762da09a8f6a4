"""What gates read: recorded calls by parts of the time, feedback, pushed measurements, how far budgets are used."""

from __future__ import annotations

import math

import sqlalchemy as sa

from meliora.loop.gates.figures import CallCell, Observation, WordCell
from meliora.loop.gates.gate import Slice
from meliora.loop.gates.reading import Span
from meliora.store.budgets import periods_of
from meliora.store.calls.windows import first_stale
from meliora.store.engine import reading
from meliora.store.tables import (
    budget_leases,
    budget_usage,
    calls,
    feedback,
    keys,
    performance_metrics,
    rollups,
    search_feedback,
    searches,
)

MOST_OBSERVATIONS = 100_000
_SUMS = ("calls", "errors", "cancelled", "cached", "unpriced")


SAID_IN_US = 300_000_000
"""How long people have to use what a search gave."""


class GateFigures:
    """Implement `loop.gates.figures.Figures` on the store."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def calls(self, tenant: str, where: Slice, span: Span) -> tuple[CallCell, ...]:
        """Give the calls of a time in its parts, from the roll-ups; for a feature from the calls, since roll-ups know none."""
        cells: dict[int, CallCell] = {}
        with reading(self._engine) as connection:
            if where.feature is None:
                self._rolled(connection, tenant, where, span, cells)
            else:
                self._raw(connection, tenant, where, span, cells)
        return tuple(cells[start] for start in sorted(cells))

    def _rolled(
        self, connection: sa.Connection, tenant: str, where: Slice, span: Span, cells: dict[int, CallCell]
    ) -> None:
        c = rollups.c
        named = [*[c[name] for name in _SUMS], c.window_start, c.latency, c.cost]
        query = sa.select(*named).where(c.tenant == tenant, *_within(c.window_start, span), *_sliced(rollups, where))
        for row in connection.execute(query):
            cell = _part(cells, row.window_start, span)
            for name in _SUMS:
                setattr(cell, name, getattr(cell, name) + row._mapping[name])
            cell.latency.merge_json(row.latency)
            cell.cost.merge_json(row.cost)

    def _raw(
        self, connection: sa.Connection, tenant: str, where: Slice, span: Span, cells: dict[int, CallCell]
    ) -> None:
        c = calls.c
        named = [c.started_us, c.ended_us, c.outcome, c.cached, c.cost_micros]
        query = sa.select(*named).where(c.tenant == tenant, c.state == "finished", *_within(c.started_us, span))
        for row in connection.execute(query.where(*_sliced(calls, where), c.feature == where.feature)):
            cell = _part(cells, row.started_us, span)
            cell.calls += 1
            cell.errors += row.outcome == "error"
            cell.cancelled += row.outcome == "cancelled"
            cell.cached += row.cached
            cell.unpriced += row.cost_micros is None
            if not row.cached and row.outcome == "ok":
                cell.latency.add(row.ended_us - row.started_us)
            if not row.cached and row.cost_micros is not None:
                cell.cost.add(row.cost_micros)

    def behind_us(self, tenant: str) -> int | None:
        """Give the start of the oldest window whose calls are not all rolled up; None where all are."""
        with reading(self._engine) as connection:
            return first_stale(connection, tenant)

    def words(self, tenant: str, where: Slice, span: Span) -> tuple[WordCell, ...]:
        """Give the feedback of a time in its parts. A slice by endpoint or feature looks at the call it was given on."""
        f = feedback.c
        query = sa.select(f.updated_at, f.value).where(f.tenant == tenant, *_within(f.updated_at, span))
        for column, wanted in ((f.model_used, where.model), (f.task_type, where.task)):
            if wanted is not None:
                query = query.where(column == wanted)
        if where.endpoint is not None or where.feature is not None:
            c = calls.c
            query = query.join(calls, sa.and_(c.id == f.call_id, c.tenant == tenant))
            for column, wanted in ((c.endpoint, where.endpoint), (c.feature, where.feature)):
                if wanted is not None:
                    query = query.where(column == wanted)
        counts: dict[int, dict[float, int]] = {}
        with reading(self._engine) as connection:
            for at_us, value in connection.execute(query):
                part = counts.setdefault(at_us - at_us % span.width_us, {})
                part[value] = part.get(value, 0) + 1
        return tuple(WordCell(start, counts[start]) for start in sorted(counts))

    def searches(self, tenant: str, where: Slice, span: Span) -> tuple[WordCell, ...]:
        """Give the searches of a time in its parts: 1 where the first result was used, 1 / log2(1 + place) further down, 0 where none was.

        A search counts once it is `SAID_IN_US` old; one that ended with an error counts as not used. Of several that were used
        the first counts, and an answer that was said to be good as a whole counts as its first place.
        """
        s, f = searches.c, search_feedback.c
        good = sa.and_(f.tenant == s.tenant, f.search_id == s.id, f.value >= 0.5, f.kind != "reformulated")
        place = sa.select(sa.func.min(sa.func.coalesce(f.position, 1))).where(good).scalar_subquery()
        until = span.until_us - SAID_IN_US
        part = (s.at_us - s.at_us % span.width_us).label("part")
        query = sa.select(part, place.label("place"))
        query = query.where(s.tenant == tenant, s.at_us >= span.since_us, s.at_us < until)
        if where.feature is not None:
            query = query.where(s.feature == where.feature)
        seen = query.subquery()
        counted = sa.select(seen.c.part, seen.c.place, sa.func.count()).group_by(seen.c.part, seen.c.place)
        cells: dict[int, dict[float, int]] = {}
        with reading(self._engine) as connection:
            for start, first, n in connection.execute(counted):
                value = 0.0 if first is None else round(1 / math.log2(1 + max(1, first)), 4)
                own = cells.setdefault(int(start), {})
                own[value] = own.get(value, 0) + int(n)
        return tuple(WordCell(start, cells[start]) for start in sorted(cells))

    def observations(self, tenant: str, metric: str, since_us: int, until_us: int) -> tuple[Observation, ...]:
        """Give pushed measurements of a metric, the oldest first; of more than a hundred thousand the newest."""
        m = performance_metrics.c
        query = sa.select(m.recorded_at, m.metric_value, m.context["query"].as_string())
        query = query.where(m.tenant == tenant, m.metric_name == metric, m.metric_type == "value")
        query = query.where(m.recorded_at >= since_us, m.recorded_at < until_us)
        newest = query.order_by(m.recorded_at.desc(), m.id.desc()).limit(MOST_OBSERVATIONS)
        with reading(self._engine) as connection:
            rows = connection.execute(newest).all()
        return tuple(Observation(row[0], float(row[1]), row[2]) for row in reversed(rows))

    def budget_share(self, tenant: str, now_us: int) -> float | None:
        """Give the largest share that any key with a budget has spent of its day's or month's; None where no key has one."""
        k, u = keys.c, budget_usage.c
        day, month = periods_of(now_us)
        query = sa.select(k.id, k.budget_day_micros, k.budget_month_micros).where(
            k.tenant == tenant, k.revoked_us.is_(None)
        )
        limited = query.where(sa.or_(k.budget_day_micros.is_not(None), k.budget_month_micros.is_not(None)))
        spent = sa.select(u.key_id, u.period, u.spent_micros).where(u.tenant == tenant, u.period.in_((day, month)))
        b = budget_leases.c
        reported = sa.case((b.reported_micros > b.recorded_micros, b.reported_micros), else_=b.recorded_micros)
        leased = sa.select(b.key_id, b.period, sa.cast(sa.func.sum(reported), sa.BigInteger))
        leased = leased.where(b.tenant == tenant, b.period.in_((day, month))).group_by(b.key_id, b.period)
        used: dict[tuple[str, str], int] = {}
        shares: list[float] = []
        with reading(self._engine) as connection:
            for rows in (connection.execute(spent), connection.execute(leased)):
                for key, period, micros in rows:
                    used[key, period] = max(used.get((key, period), 0), micros or 0)
            for row in connection.execute(limited):
                for period, budget in ((day, row.budget_day_micros), (month, row.budget_month_micros)):
                    if budget is not None:
                        micros = used.get((row.id, period), 0)
                        shares.append(micros / budget if budget else 1.0)
        return max(shares, default=None)


def _within(column: sa.Column[int], span: Span) -> list[sa.ColumnElement[bool]]:
    return [column >= span.since_us, column < span.until_us]


def _sliced(table: sa.Table, where: Slice) -> list[sa.ColumnElement[bool]]:
    wanted = {"model": where.model, "task": where.task, "endpoint": where.endpoint}
    return [table.c[name] == value for name, value in wanted.items() if value is not None]


def _part(cells: dict[int, CallCell], time_us: int, span: Span) -> CallCell:
    start = time_us - time_us % span.width_us
    if start not in cells:
        cells[start] = CallCell(start)
    return cells[start]
