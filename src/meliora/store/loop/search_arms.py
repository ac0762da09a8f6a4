"""What the arms of a trial of searches have shown.

`reward` is the best that anybody said of a search, of those of which something was said. `satisfied` counts every search: 1 where
a result was clicked or accepted, else 0, so that saying nothing is no way to win.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from meliora.errors import InvalidRequest
from meliora.loop.metrics import Metric
from meliora.store.knowledge.search_rows import F, S
from meliora.store.loop.trial_arms import Contribution, Phased, TrialArms, mature_until, totals
from meliora.store.tables import search_feedback, searches


class SearchArms(TrialArms):
    """Read what trials of searches have shown."""

    table = searches

    def _by_unit(self, of: Phased, metrics: Sequence[Metric], until_us: int, now_us: int) -> sa.Subquery:
        values = [self._contribution(metric) for metric in metrics]
        each = (
            sa.select(
                S.trial_stage,
                S.arm,
                S.trial_unit,
                S.ended_us,
                *(sa.cast(value, sa.Double).label(f"v{at}") for at, (value, _) in enumerate(values)),
                *(sa.case((known, 1), else_=0).label(f"k{at}") for at, (_, known) in enumerate(values)),
            )
            .where(of.until(until_us))
            .subquery()
        )
        e = each.c
        columns: list[sa.ColumnElement[Any]] = []
        for at, metric in enumerate(metrics):
            known = sa.and_(e[f"k{at}"] == 1, e[f"v{at}"].is_not(None))
            columns.extend(totals(at, e[f"v{at}"], sa.and_(known, e.ended_us <= mature_until(metric, now_us))))
        return (
            sa.select(e.trial_stage, e.arm, sa.func.count().label("calls"), *columns)
            .group_by(e.trial_stage, e.arm, e.trial_unit)
            .subquery()
        )

    def _contribution(self, metric: Metric) -> Contribution:
        """Give what one search adds; a value of NULL is not known either. Raises `InvalidRequest`."""
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
                used = (
                    sa.select(sa.literal(1)).select_from(search_feedback).where(said, F.kind.in_(("click", "accept")))
                )
                return sa.case((used.correlate(searches).exists(), 1.0), else_=0.0), sa.true()
            case other:
                raise InvalidRequest(
                    f"Searches do not tell of the metric {metric.name}, which is read of {other!r}.", field="metric"
                )
