"""What the arms of a trial of calls have shown. A person's word on a call, and what a policy learned of it, are joined to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from meliora.errors import InvalidRequest
from meliora.loop.metrics import Metric
from meliora.store.loop.trial_arms import Contribution, Phased, TrialArms, mature_until, totals
from meliora.store.tables import calls, feedback, routing_outcomes

_C = calls.c


class Arms(TrialArms):
    """Read what trials of calls have shown."""

    table = calls

    def _by_unit(self, of: Phased, metrics: Sequence[Metric], until_us: int, now_us: int) -> sa.Subquery:
        columns: list[sa.ColumnElement[Any]] = []
        for at, metric in enumerate(metrics):
            value, known = self._contribution(metric)
            counts = sa.and_(known, _C.ended_us <= mature_until(metric, now_us))
            columns.extend(totals(at, sa.cast(value, sa.Double), counts))
        source: sa.FromClause = calls
        asked = {metric.column for metric in metrics}
        if "reward" in asked:
            source = source.outerjoin(routing_outcomes, routing_outcomes.c.call_id == _C.id)
        if asked & {"reward", "feedback"}:
            own = sa.and_(feedback.c.tenant == of.tenant, feedback.c.call_id == _C.id)
            source = source.outerjoin(feedback, own)
        return (
            sa.select(_C.trial_stage, _C.arm, sa.func.count().label("calls"), *columns)
            .select_from(source)
            .where(of.until(until_us))
            .group_by(_C.trial_stage, _C.arm, _C.trial_unit)
            .subquery()
        )

    def _contribution(self, metric: Metric) -> Contribution:
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
