"""What shadows have shown: differences of pairs of answers to one call, as sums over the units whose calls they were. Judges nothing.

A pair counts once it came to an end by itself, or where the candidate decided as the baseline did. Pairs that were stopped or lost
count nowhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from meliora.errors import InvalidRequest
from meliora.loop.metrics import Metric
from meliora.stats.histogram import LogHistogram
from meliora.store.engine import reading
from meliora.store.loop.trial_arms import Sums, rounded
from meliora.store.tables import shadow_calls

_S = shadow_calls.c
_SECOND = 1_000_000


class Differences(msgspec.Struct, frozen=True, kw_only=True):
    """What the pairs of a trial have shown so far."""

    units: int
    pairs: int
    same: int
    """Of the pairs those where the candidate decided as the baseline did."""
    sums: dict[str, Sums]
    """By metric, of those that are no quantiles: y is the difference, shadow less shown; n the pairs, or where the metric is read as a
    share, the shown values."""
    shown: dict[str, LogHistogram]
    """By metric, of those that are quantiles."""
    shadow: dict[str, LogHistogram]


class ShadowArms:
    """Read what shadows have shown."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def read(self, tenant: str, change: str, wanted: Sequence[tuple[Metric, bool]], now_us: int) -> Differences:
        """Give the sums of all pairs of a trial that are mature, of all its stages; each metric with whether it is read as a share.

        Raises `InvalidRequest` for a metric that calls do not tell of. What shadows never have (feedback) is never known.
        """
        averaged = [(metric, share) for metric, share in wanted if metric.form != "quantile"]
        quantiles = [metric for metric, _ in wanted if metric.form == "quantile"]
        with reading(self._engine) as connection:
            until = now_us - round(min((one.maturity_seconds for one, _ in wanted), default=0.0) * _SECOND)
            row = connection.execute(_summed(tenant, change, averaged, until, now_us)).one()
            shown = {one.name: _counted(connection, tenant, change, one, now_us, shown=True) for one in quantiles}
            shadow = {one.name: _counted(connection, tenant, change, one, now_us, shown=False) for one in quantiles}
        sums = {
            metric.name: Sums(
                units=int(row[at] or 0), **{name: float(row[at + 1 + i] or 0.0) for i, name in enumerate(_FIELDS)}
            )
            for at, (metric, _) in zip(range(3, len(row), 1 + len(_FIELDS)), averaged, strict=True)
        }
        return Differences(
            units=int(row[0]), pairs=int(row[1] or 0), same=int(row[2] or 0), sums=sums, shown=shown, shadow=shadow
        )


_FIELDS = ("y", "n", "yy", "nn", "yn")


def _of(tenant: str, change: str, until_us: int) -> sa.ColumnElement[bool]:
    ended = sa.or_(_S.same, _S.outcome.in_(("ok", "error")))
    return sa.and_(_S.tenant == tenant, _S.trial == change, _S.state == "finished", ended, _S.ended_us <= until_us)


def _summed(
    tenant: str, change: str, wanted: Sequence[tuple[Metric, bool]], until_us: int, now_us: int
) -> sa.Select[*tuple[Any, ...]]:
    """Sum up by unit, then over units."""
    none = sa.literal(0.0)
    columns: list[sa.ColumnElement[Any]] = []
    for at, (metric, share) in enumerate(wanted):
        shown, shadow, known = _values(metric)
        base = sa.cast(shown, sa.Double) if share else sa.literal(1.0)
        equal = sa.and_(_S.same, shown.is_not(None) if share or metric.column != "reward" else sa.true())
        mature = _S.ended_us <= now_us - round(metric.maturity_seconds * _SECOND)
        counts = sa.and_(mature, sa.or_(equal, known))
        difference = sa.case((_S.same, none), else_=sa.cast(shadow, sa.Double) - sa.cast(shown, sa.Double))
        columns.append(sa.func.sum(sa.case((counts, difference), else_=none)).label(f"y{at}"))
        columns.append(sa.func.sum(sa.case((counts, base), else_=none)).label(f"n{at}"))
        columns.append(sa.func.sum(sa.case((counts, 1), else_=0)).label(f"c{at}"))
    by_unit = (
        sa.select(sa.func.count().label("pairs"), sa.func.sum(sa.case((_S.same, 1), else_=0)).label("same"), *columns)
        .where(_of(tenant, change, until_us))
        .group_by(_S.unit)
        .subquery()
    )
    u = by_unit.c
    over: list[sa.ColumnElement[Any]] = []
    for at in range(len(wanted)):
        y, n = u[f"y{at}"], u[f"n{at}"]
        over.append(sa.func.sum(sa.case((u[f"c{at}"] > 0, 1), else_=0)))
        over.extend(map(sa.func.sum, (y, n, y * y, n * n, y * n)))
    return sa.select(sa.func.count(), sa.func.sum(u.pairs), sa.func.sum(u.same), *over)


def _counted(
    connection: sa.Connection, tenant: str, change: str, metric: Metric, now_us: int, *, shown: bool
) -> LogHistogram:
    first, second, known = _values(metric)
    value = first if shown else sa.case((_S.same, first), else_=second)
    until = now_us - round(metric.maturity_seconds * _SECOND)
    step = rounded(value)
    own = sa.and_(_of(tenant, change, until), sa.or_(sa.and_(_S.same, first.is_not(None)), known))
    found = LogHistogram()
    for one, times in connection.execute(
        sa.select(step.label("value"), sa.func.count()).where(own).group_by(sa.text("1"))
    ):
        found.add(float(one), times)
    return found


def _values(metric: Metric) -> tuple[sa.ColumnElement[Any], sa.ColumnElement[Any], sa.ColumnElement[bool]]:
    """Give what the shown call and its shadow contribute, and whether both are known. Raises `InvalidRequest`."""
    match metric.column:
        case "error":
            first, second = (sa.case((one == "error", 1.0), else_=0.0) for one in (_S.shown_outcome, _S.outcome))
            return first, second, sa.true()
        case "cost_micros":
            both = sa.and_(_S.shown_cost_micros.is_not(None), _S.cost_micros.is_not(None))
            return _S.shown_cost_micros, _S.cost_micros, both
        case "latency_us":
            both = sa.and_(_S.shown_outcome == "ok", _S.outcome == "ok", _S.ended_us >= _S.started_us)
            shown = sa.case((_S.shown_outcome == "ok", _S.shown_latency_us), else_=None)
            return shown, _S.ended_us - _S.started_us, both
        case "reward" if metric.form != "quantile":
            both = sa.and_(_S.shown_reward.is_not(None), _S.reward.is_not(None))
            return _S.shown_reward, _S.reward, both
        case "feedback" if metric.form != "quantile":
            nothing = sa.cast(sa.null(), sa.Double)
            return nothing, nothing, sa.false()
        case other:
            raise InvalidRequest(
                f"Calls do not tell of the metric {metric.name}, which is read of {other!r}.", field="metric"
            )
