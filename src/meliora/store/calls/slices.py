"""Calls of two windows, grouped and counted for a diagnosis. Implements `diagnosis.diagnose.Source`.

Reads only the newest calls of a window past `LOOKED_AT`, so that an answer costs as much at a hundred million calls; the cube says so.
A call that failed has no model: it counts for the one that was tried last.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from meliora.diagnosis.classes import QUOTA_STATUSES, QUOTA_WORDS, classify
from meliora.diagnosis.records import Limits, Measured, Point, Window
from meliora.store.calls.analytics import Analytics
from meliora.store.engine import reading
from meliora.store.tables import calls, feedback, routing_outcomes

if TYPE_CHECKING:
    from meliora.diagnosis.cube import Counted, Cube

LOOKED_AT = 200_000
"""Calls of a window that are looked at, the newest."""
ERROR_CLASS = "error_class"
NO_ERROR = "none"
ATTRIBUTES = ("model", "endpoint", "provider", "task", "key", "feature", "prompt", "stream", "dialect")
_SATISFIED = 0.5
"""Worth below which a word of feedback, or a reward, counts as dissatisfaction."""
_SIZES = (256, 1024, 4096, 16_384, 65_536, 262_144)
_PROMPTS = ("under 256 B", "256 B to 1 kB", "1 to 4 kB", "4 to 16 kB", "16 to 64 kB", "64 to 256 kB", "over 256 kB")


class Slices:
    """Count calls of a tenant by what is known of them."""

    def __init__(self, engine: sa.Engine, looked_at: int = LOOKED_AT) -> None:
        self._engine = engine
        self._looked_at = looked_at
        self._analytics = Analytics(engine)

    def limits(self, tenant: str, window: Window) -> Limits:
        """Give the p95 of latency and the p99 of cost of the rolled-up calls of a window; None where there are none."""
        found = self._analytics.distribution(tenant, since_us=window.since_us, until_us=window.until_us)
        slow, cap = found.latency_ms.p95, found.cost_micros.p99
        return Limits(
            slow_us=None if slow is None else round(slow * 1000),
            cost_cap_micros=None if cap is None or cap < 1 else round(cap),
        )

    def cube(self, tenant: str, measured: Measured, before: Window, now: Window, limits: Limits) -> Cube:
        """Count the calls of two windows by their attributes. Raises `ValueError` for windows that are empty or overlap."""
        from meliora.diagnosis.cube import BEFORE, NOW, Cube  # numpy: not for each process that opens the store

        if not before.since_us < before.until_us <= now.since_us < now.until_us:
            raise ValueError(f"the windows {before} and {now} are not one after the other")
        marks = (ERROR_CLASS,) if measured == "errors" else ()
        with reading(self._engine) as connection:
            rows = [
                row
                for place, window in ((BEFORE, before), (NOW, now))
                for row in self._grouped(connection, tenant, measured, window, place, limits)
            ]
        looked = [sum(row[2][0] for row in rows if row[1] == place) for place in (BEFORE, NOW)]
        return Cube.of(
            (*ATTRIBUTES, *marks),
            rows,
            _COUNTED[measured],
            marks=marks,
            lasting=(now.until_us - now.since_us) / (before.until_us - before.since_us),
            cost_cap=float(limits.cost_cap_micros or 1),
            partial=max(looked) >= self._looked_at,
        )

    def series(self, tenant: str, measured: Measured, window: Window, span_us: int, limits: Limits) -> Sequence[Point]:
        """Give hits and calls of each span of a window, of the newest calls that are looked at; spans without calls have none."""
        part = self._part(tenant, measured, window, limits, [calls.c.started_us])
        span = ((part.c.started_us - window.since_us) // span_us).label("span")
        hits, exposed = (_sum(part.c[name]) for name in _PAIRS[measured])
        query = sa.select(span, hits, exposed, sa.func.count()).select_from(part).group_by(span).order_by(span)
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        known = {int(row[0]): (float(row[1]), float(row[2])) for row in rows}
        partial = sum(row[3] for row in rows) >= self._looked_at
        spans = range(min(known, default=0) if partial else 0, -(-(window.until_us - window.since_us) // span_us))
        unit = float(limits.cost_cap_micros or 1) if measured in ("cost", "spend") else 1.0
        points = []
        for place in spans:
            hits_in, calls_in = known.get(place, (0.0, 0.0))
            calls_in = 1.0 if measured == "spend" else calls_in
            points.append(Point(window.since_us + place * span_us, hits_in / unit, calls_in))
        return points

    def _grouped(
        self, connection: sa.Connection, tenant: str, measured: Measured, window: Window, place: int, limits: Limits
    ) -> Iterator[tuple[tuple[str | None, ...], int, tuple[float, ...]]]:
        failed = _failed() if measured == "errors" else []
        named = [*_named(connection.dialect.name), *failed]
        part = self._part(tenant, measured, window, limits, named)
        keys = [part.c[column.name] for column in named]
        counts = [_sum(part.c[name]) for name in _COUNTED[measured]]
        for row in connection.execute(sa.select(*keys, *counts).group_by(*keys)):
            values = _values(row[: len(named)], bool(failed))
            yield values, place, tuple(float(number) for number in row[len(named) :])

    def _part(
        self, tenant: str, measured: Measured, window: Window, limits: Limits, named: Sequence[Any]
    ) -> sa.Subquery:
        """Select the newest calls of a window with what is asked of each."""
        c = calls.c
        query = sa.select(*named, *_counts(measured, limits)).where(
            c.tenant == tenant, c.state == "finished", c.started_us >= window.since_us, c.started_us < window.until_us
        )
        if measured == "dissatisfied":
            said = sa.and_(feedback.c.tenant == c.tenant, feedback.c.call_id == c.id)
            rewarded = sa.and_(routing_outcomes.c.tenant == c.tenant, routing_outcomes.c.call_id == c.id)
            query = query.select_from(calls.outerjoin(feedback, said).outerjoin(routing_outcomes, rewarded))
        return query.order_by(c.started_us.desc()).limit(self._looked_at).subquery()


_COUNTED: dict[Measured, tuple[Counted, ...]] = {
    "errors": ("calls", "errors"),
    "slow": ("calls", "slow", "timed"),
    "dissatisfied": ("calls", "dissatisfied", "judged"),
    "cost": ("calls", "cost_capped", "priced", "cost"),
    "spend": ("calls", "cost_capped", "priced", "cost"),
}
_PAIRS: dict[Measured, tuple[Counted, Counted]] = {
    "errors": ("errors", "calls"),
    "slow": ("slow", "timed"),
    "dissatisfied": ("dissatisfied", "judged"),
    "cost": ("cost_capped", "priced"),
    "spend": ("cost_capped", "priced"),
}


def _counts(measured: Measured, limits: Limits) -> list[sa.ColumnElement[Any]]:
    """Give what each call counts for."""
    c = calls.c
    one = sa.literal(1)
    if measured == "errors":
        found = {"errors": _if(c.outcome == "error")}
    elif measured == "slow":
        timed = sa.and_(c.outcome == "ok", ~c.cached)
        slow = sa.and_(timed, c.ended_us - c.started_us > (limits.slow_us or 0))
        found = {"slow": _if(slow), "timed": _if(timed)}
    elif measured == "dissatisfied":
        worth = sa.func.coalesce(feedback.c.value, routing_outcomes.c.reward)
        found = {"dissatisfied": _if(worth < _SATISFIED), "judged": _if(worth.is_not(None))}
    else:
        cost, cap = sa.func.coalesce(c.cost_micros, 0), limits.cost_cap_micros or 0
        capped = sa.case((cost > cap, cap), else_=cost)
        found = {"cost_capped": capped, "priced": _if(c.cost_micros.is_not(None)), "cost": cost}
    return [one.label("calls"), *(column.label(name) for name, column in found.items())]


def _if(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    return sa.case((condition, 1), else_=0)


def _sum(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    return sa.cast(sa.func.sum(column), sa.BigInteger)


def _named(dialect: str) -> list[sa.ColumnElement[Any]]:
    """Give the attributes of a call, in the order of `ATTRIBUTES`."""
    c = calls.c
    if dialect == "postgresql":
        tried = c.attempts.op("->")(sa.literal_column("-1")).op("->>")(sa.literal_column("'model'"))
    else:
        tried = sa.func.json_extract(c.attempts, "$[#-1].model")
    model = sa.case((c.model.is_not(None), c.model), else_=sa.type_coerce(tried, sa.Text))
    bounds = [(c.request_bytes < size, place) for place, size in enumerate(_SIZES)]
    prompt = sa.case((sa.func.coalesce(c.request_bytes, 0) <= 0, None), *bounds, else_=len(_SIZES))
    columns = (model, c.endpoint, c.provider, c.task, c.key_id, c.feature, prompt, c.stream, c.dialect)
    return [column.label(f"by_{name}") for name, column in zip(ATTRIBUTES, columns, strict=True)]


def _failed() -> list[sa.ColumnElement[Any]]:
    """Give what the class of an error is told by; nothing of the message but whether it speaks of quota."""
    c = calls.c
    said = sa.func.lower(sa.func.coalesce(c.error_message, ""))
    speaks = sa.or_(*(said.contains(words, autoescape=True) for words in QUOTA_WORDS))
    error = c.outcome == "error"
    quota = sa.case((sa.and_(error, c.status.in_(QUOTA_STATUSES), speaks), 1), else_=0)
    return [
        _if(error).label("failed"),
        sa.case((error, c.error_code), else_=None).label("code"),
        sa.case((error, c.status), else_=None).label("told"),
        quota.label("quota"),
    ]


def _values(row: Sequence[Any], failed: bool) -> tuple[str | None, ...]:
    """Give the values of a group as text; the class of its errors last, where that is asked."""
    named = dict(zip(ATTRIBUTES, row, strict=False))
    if named["prompt"] is not None:
        named["prompt"] = _PROMPTS[named["prompt"]]
    named["stream"] = "yes" if named["stream"] else "no"
    values = tuple(named.values())
    if not failed:
        return values
    error, code, status, quota = row[len(ATTRIBUTES) :]
    return (*values, NO_ERROR if not error else "quota" if quota else classify(code, status))
