"""What the arms of a trial have shown: sums by stage and arm over the units that were randomised. Judges nothing.

Each metric is a ratio of sums, y over n; the sums of y, n, y*y, n*n and y*n over units are all that its variance by unit takes
(delta method; Deng, Knoblich, Lu, KDD 2018). Read from one index, without the table, and without holding a call in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from meliora.errors import InvalidRequest
from meliora.gateway.state import ArmName, Phase
from meliora.loop.metrics import Metric
from meliora.stats.histogram import LogHistogram
from meliora.store.engine import reading
from meliora.store.rows import AnyRow
from meliora.store.tables import calls, feedback, routing_outcomes

_C = calls.c
_SECOND = 1_000_000


class Sums(msgspec.Struct, frozen=True, kw_only=True):
    """A ratio of sums over units: y what calls came to (in the store's unit: micro-dollars, microseconds), n the calls it is known of."""

    units: int
    """That have a call which counts."""
    y: float
    n: float
    yy: float
    nn: float
    yn: float


class ArmStage(msgspec.Struct, frozen=True, kw_only=True):
    """One arm in one stage."""

    stage: int
    arm: ArmName
    units: int
    calls: int
    """That are old enough for some metric asked for."""
    sums: dict[str, Sums]
    """By name of the metric, of those that are rates or means."""
    histograms: dict[str, LogHistogram]
    """By name of the metric, of those that are quantiles."""


class Arms:
    """Read what trials have shown."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def read(
        self, tenant: str, change: str, phase: Phase, metrics: Sequence[Metric], now_us: int
    ) -> tuple[ArmStage, ...]:
        """Give what each arm has shown in each stage, by stage and arm. A call counts for a metric once that is mature.

        A unit that went from one arm to the other counts in each, in its stage. Raises `InvalidRequest` for a metric that calls
        do not tell of.
        """
        if not metrics:
            return ()
        averaged = [metric for metric in metrics if metric.form != "quantile"]
        with reading(self._engine) as connection:
            counted = connection.execute(
                _summed(tenant, change, phase, averaged, latest_of(metrics, now_us), now_us)
            ).all()
            histograms = histograms_of(
                connection, metrics, lambda metric: _counted(tenant, change, phase, metric, now_us)
            )
        return arm_stages(counted, averaged, histograms)

    def calls(self, tenant: str, change: str, phase: Phase, since_us: int) -> int:
        """Count the calls of both arms that ended since."""
        own = (_C.trial.is_not(None), _C.tenant == tenant, _C.trial == change, _C.trial_phase == phase)
        query = sa.select(sa.func.count()).select_from(calls).where(*own, _C.ended_us >= since_us)
        with reading(self._engine) as connection:
            return connection.execute(query).scalar_one()


def histograms_of(
    connection: sa.Connection, metrics: Sequence[Metric], counted: Callable[[Metric], sa.Select[*tuple[Any, ...]]]
) -> dict[tuple[int, str], dict[str, LogHistogram]]:
    """Give the histograms of the quantiles among metrics, by stage and arm, then by name; `counted` asks for the values of one."""
    histograms: dict[tuple[int, str], dict[str, LogHistogram]] = {}
    for metric in metrics:
        if metric.form == "quantile":
            for stage, arm, value, times in connection.execute(counted(metric)):
                named = histograms.setdefault((stage, arm), {})
                named.setdefault(metric.name, LogHistogram()).add(float(value), times)
    return histograms


def arm_stages(
    rows: Sequence[AnyRow],
    averaged: Sequence[Metric],
    histograms: Mapping[tuple[int, str], dict[str, LogHistogram]],
) -> tuple[ArmStage, ...]:
    """Read the rows that `over_units` gives."""
    found = []
    for row in rows:
        sums = {
            metric.name: Sums(
                units=int(row[at]),
                y=float(row[at + 1]),
                n=float(row[at + 2]),
                yy=float(row[at + 3]),
                nn=float(row[at + 4]),
                yn=float(row[at + 5]),
            )
            for at, metric in zip(range(4, len(row), 6), averaged, strict=True)
        }
        own = histograms.get((row[0], row[1]), {})
        found.append(
            ArmStage(stage=row[0], arm=row[1], units=int(row[2]), calls=int(row[3]), sums=sums, histograms=own)
        )
    return tuple(found)


def over_units(by_unit: sa.Subquery, metrics: int) -> sa.Select[*tuple[Any, ...]]:
    """Sum up over units, by stage and arm, what is summed by unit as `y0`, `n0`, `y1`, ..."""
    u = by_unit.c
    over: list[sa.ColumnElement[Any]] = []
    for at in range(metrics):
        y, n = u[f"y{at}"], u[f"n{at}"]
        over.append(sa.func.sum(sa.case((n > 0, 1), else_=0)))
        over.extend(map(sa.func.sum, (y, n, y * y, n * n, y * n)))
    sums = sa.select(u.trial_stage, u.arm, sa.func.count(), sa.func.sum(u.calls), *over)
    return sums.group_by(u.trial_stage, u.arm).order_by(u.trial_stage, u.arm)


def latest_of(metrics: Sequence[Metric], now_us: int) -> int:
    """Give when the last call ended that is mature for any of these."""
    return now_us - round(min(metric.maturity_seconds for metric in metrics) * _SECOND)


def _of(tenant: str, change: str, phase: Phase, until_us: int) -> sa.ColumnElement[bool]:
    # Said again as the index has it: a planner does not see that `trial = ?` is no NULL.
    own = (_C.tenant == tenant, _C.trial == change, _C.trial_phase == phase, _C.ended_us <= until_us)
    return sa.and_(_C.trial.is_not(None), *own)


def _summed(
    tenant: str, change: str, phase: Phase, metrics: Sequence[Metric], until_us: int, now_us: int
) -> sa.Select[*tuple[Any, ...]]:
    """Sum up by unit, then over units."""
    one, none = sa.literal(1.0), sa.literal(0.0)
    columns: list[sa.ColumnElement[Any]] = []
    for at, metric in enumerate(metrics):
        value, known = _value(metric)
        counts = sa.and_(known, _C.ended_us <= now_us - round(metric.maturity_seconds * _SECOND))
        columns.append(sa.func.sum(sa.case((counts, sa.cast(value, sa.Double)), else_=none)).label(f"y{at}"))
        columns.append(sa.func.sum(sa.case((counts, one), else_=none)).label(f"n{at}"))
    source: sa.FromClause = calls
    asked = {metric.column for metric in metrics}
    if "reward" in asked:
        source = source.outerjoin(routing_outcomes, routing_outcomes.c.call_id == _C.id)
    if asked & {"reward", "feedback"}:
        own = sa.and_(feedback.c.tenant == tenant, feedback.c.call_id == _C.id)
        source = source.outerjoin(feedback, own)
    by_unit = (
        sa.select(_C.trial_stage, _C.arm, sa.func.count().label("calls"), *columns)
        .select_from(source)
        .where(_of(tenant, change, phase, until_us))
        .group_by(_C.trial_stage, _C.arm, _C.trial_unit)
        .subquery()
    )
    return over_units(by_unit, len(metrics))


def _counted(tenant: str, change: str, phase: Phase, metric: Metric, now_us: int) -> sa.Select[*tuple[Any, ...]]:
    value, known = _value(metric)
    until = now_us - round(metric.maturity_seconds * _SECOND)
    query = sa.select(_C.trial_stage, _C.arm, rounded(value).label("value"), sa.func.count())
    own = sa.and_(_of(tenant, change, phase, until), known)
    return query.where(own).group_by(_C.trial_stage, _C.arm, sa.text("3"))


def rounded(value: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Round whole numbers to four digits: a million calls come as a few thousand rows, a twentieth of a percent off at most."""
    step = sa.case(*((value < 10**digits, 10 ** (digits - 4)) for digits in range(4, 13)), else_=10**9)
    return value // step * step + step // 2


def _value(metric: Metric) -> tuple[sa.ColumnElement[Any], sa.ColumnElement[bool]]:
    """Give what one call contributes, and whether it is known. Raises `InvalidRequest`."""
    match metric.column:
        case "error":
            return sa.case((_C.outcome == "error", 1.0), else_=0.0), sa.true()
        case "cost_micros":
            return _C.cost_micros, _C.cost_micros.is_not(None)
        case "latency_us":
            return _C.ended_us - _C.started_us, sa.and_(_C.outcome == "ok", _C.ended_us >= _C.started_us)
        case "reward" if metric.form != "quantile":
            # A person's word, else what a policy learned from: a call that names its model was decided by none, and has no outcome.
            worth = sa.func.coalesce(feedback.c.value, routing_outcomes.c.reward)
            return worth, worth.is_not(None)
        case "feedback" if metric.form != "quantile":
            return feedback.c.value, feedback.c.value.is_not(None)
        case other:
            raise InvalidRequest(
                f"Calls do not tell of the metric {metric.name}, which is read of {other!r}.", field="metric"
            )
