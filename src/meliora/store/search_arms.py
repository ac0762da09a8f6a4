"""What the arms of a trial of searches have shown, as `arms` reads it of calls: sums over the units that were randomised.

`reward` is the best that anybody said of a search, of those of which something was said. `satisfied` counts every search: 1 where
a result was clicked or accepted, else 0, so that saying nothing is no way to win.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from meliora.errors import InvalidRequest
from meliora.gateway.state import Phase
from meliora.loop.metrics import Metric
from meliora.store.arms import ArmStage, arm_stages, histograms_of, latest_of, over_units, rounded
from meliora.store.engine import reading
from meliora.store.search_rows import F, S
from meliora.store.tables import search_feedback, searches

_SECOND = 1_000_000


class SearchArms:
    """Read what trials of searches have shown."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def read(
        self, tenant: str, change: str, phase: Phase, metrics: Sequence[Metric], now_us: int
    ) -> tuple[ArmStage, ...]:
        """Give what each arm has shown in each stage, by stage and arm. A search counts for a metric once that is mature.

        Raises `InvalidRequest` for a metric that searches do not tell of.
        """
        if not metrics:
            return ()
        averaged = [metric for metric in metrics if metric.form != "quantile"]
        with reading(self._engine) as connection:
            until = latest_of(metrics, now_us)
            rows = connection.execute(_summed(tenant, change, phase, averaged, until, now_us)).all()
            histograms = histograms_of(
                connection, metrics, lambda metric: _counted(tenant, change, phase, metric, now_us)
            )
        return arm_stages(rows, averaged, histograms)

    def calls(self, tenant: str, change: str, phase: Phase, since_us: int) -> int:
        """Count the searches of both arms that ended since."""
        own = (S.trial.is_not(None), S.tenant == tenant, S.trial == change, S.trial_phase == phase)
        query = sa.select(sa.func.count()).select_from(searches).where(*own, S.ended_us >= since_us)
        with reading(self._engine) as connection:
            return connection.execute(query).scalar_one()


def _of(tenant: str, change: str, phase: Phase, until_us: int) -> sa.ColumnElement[bool]:
    # Said again as the index has it: a planner does not see that `trial = ?` is no NULL.
    own = (S.tenant == tenant, S.trial == change, S.trial_phase == phase, S.ended_us <= until_us)
    return sa.and_(S.trial.is_not(None), *own)


def _summed(
    tenant: str, change: str, phase: Phase, metrics: Sequence[Metric], until_us: int, now_us: int
) -> sa.Select[*tuple[Any, ...]]:
    """Sum up by unit, then over units."""
    one, none = sa.literal(1.0), sa.literal(0.0)
    values = [_value(metric) for metric in metrics]
    each = (
        sa.select(
            S.trial_stage,
            S.arm,
            S.trial_unit,
            S.ended_us,
            *(sa.cast(value, sa.Double).label(f"v{at}") for at, (value, _) in enumerate(values)),
            *(sa.case((known, 1), else_=0).label(f"k{at}") for at, (_, known) in enumerate(values)),
        )
        .where(_of(tenant, change, phase, until_us))
        .subquery()
    )
    e = each.c
    columns: list[sa.ColumnElement[Any]] = []
    for at, metric in enumerate(metrics):
        known = sa.and_(e[f"k{at}"] == 1, e[f"v{at}"].is_not(None))
        counts = sa.and_(known, e.ended_us <= now_us - round(metric.maturity_seconds * _SECOND))
        columns.append(sa.func.sum(sa.case((counts, e[f"v{at}"]), else_=none)).label(f"y{at}"))
        columns.append(sa.func.sum(sa.case((counts, one), else_=none)).label(f"n{at}"))
    by_unit = (
        sa.select(e.trial_stage, e.arm, sa.func.count().label("calls"), *columns)
        .group_by(e.trial_stage, e.arm, e.trial_unit)
        .subquery()
    )
    return over_units(by_unit, len(metrics))


def _counted(tenant: str, change: str, phase: Phase, metric: Metric, now_us: int) -> sa.Select[*tuple[Any, ...]]:
    value, known = _value(metric)
    until = now_us - round(metric.maturity_seconds * _SECOND)
    query = sa.select(S.trial_stage, S.arm, rounded(value).label("value"), sa.func.count())
    own = sa.and_(_of(tenant, change, phase, until), known)
    return query.where(own).group_by(S.trial_stage, S.arm, sa.text("3"))


def _value(metric: Metric) -> tuple[sa.ColumnElement[Any], sa.ColumnElement[bool]]:
    """Give what one search contributes, and whether it is known; a value of NULL is not known either. Raises `InvalidRequest`."""
    said = sa.and_(F.tenant == S.tenant, F.search_id == S.id)
    match metric.column:
        case "error":
            return sa.case((S.outcome == "error", 1.0), else_=0.0), sa.true()
        case "latency_us":
            return S.ended_us - S.at_us, sa.and_(S.outcome == "ok", S.ended_us >= S.at_us)
        case "reward" | "feedback" if metric.form != "quantile":
            best = sa.select(sa.func.max(F.value)).select_from(search_feedback).where(said)
            return best.correlate(searches).scalar_subquery(), sa.true()
        case "satisfied" if metric.form != "quantile":
            used = sa.select(sa.literal(1)).select_from(search_feedback).where(said, F.kind.in_(("click", "accept")))
            return sa.case((used.correlate(searches).exists(), 1.0), else_=0.0), sa.true()
        case other:
            raise InvalidRequest(
                f"Searches do not tell of the metric {metric.name}, which is read of {other!r}.", field="metric"
            )
