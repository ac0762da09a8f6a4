"""Calls summed up so that models, and endpoints of one, can be compared: what `changes.model_choice` asks for. Judges nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from meliora.changes.model_choice.shelf import Cell, Sums, Tried
from meliora.store.engine import reading
from meliora.store.rows import AnyRow
from meliora.store.tables import calls, feedback, routing_outcomes

_MOST_TRIED = 20_000
"""Calls whose tries are read, the latest."""
_EDGES = (64, 256, 1024, 4096, 16_384)
"""Tokens of a prompt at which another length begins."""
_PASSING = (408, 429)
"""Refusals that lie with the endpoint and not with the request."""


class Comparisons:
    """Sum up the calls of a tenant."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def cells(self, tenant: str, since_us: int, until_us: int, task: str | None = None) -> tuple[Cell, ...]:
        """Sum up the calls of a stretch of time by model, task and length of prompt.

        A call that was at fault itself, that was answered from a cache, or that was cancelled tells nothing. Costs and times are of
        answers; a reward is a person's word, else what a policy learned from.
        """
        model = sa.func.coalesce(_C.model, _C.model_asked).label("of_model")
        kind = sa.func.coalesce(_C.task, "").label("of_task")
        tokens = sa.func.coalesce(_C.tokens_in, _C.request_bytes / 4, 0)
        bucket = sa.case(*[(tokens < edge, number) for number, edge in enumerate(_EDGES)], else_=len(_EDGES)).label(
            "of_bucket"
        )
        good = _C.outcome == "ok"
        cost = sa.case((good, _C.cost_micros / 1e6))
        latency = sa.case((good, (_C.ended_us - _C.started_us) / 1e3))
        reward = sa.func.coalesce(feedback.c.value, routing_outcomes.c.reward)
        failed = sa.case((good, 0.0), else_=1.0)
        sums = [part for name, value in _columns(failed, cost, latency, reward) for part in _summed(name, value)]
        query = (
            sa.select(model, kind, bucket, *sums)
            .outerjoin(feedback, sa.and_(feedback.c.call_id == _C.id, feedback.c.tenant == _C.tenant))
            .outerjoin(routing_outcomes, routing_outcomes.c.call_id == _C.id)
            .where(_C.tenant == tenant, _C.started_us >= since_us, _C.started_us <= until_us, _tells(), ~_C.cached)
            .group_by(model, kind, bucket)
            .order_by(model, kind, bucket)
        )
        if task is not None:
            query = query.where(_C.task == task)
        with reading(self._engine) as connection:
            return tuple(_cell(row) for row in connection.execute(query))

    def tries(
        self, tenant: str, model: str, since_us: int, until_us: int, task: str | None = None
    ) -> Mapping[str, Tried]:
        """Sum up the tries at each endpoint of a model in a stretch of time, of the latest calls."""
        query = sa.select(_C.attempts).where(
            _C.tenant == tenant, _C.started_us >= since_us, _C.started_us <= until_us, _C.attempts.is_not(None)
        )
        if task is not None:
            query = query.where(_C.task == task)
        found: dict[str, list[tuple[float, float | None]]] = {}
        with reading(self._engine) as connection:
            for row in connection.execute(query.order_by(_C.started_us.desc()).limit(_MOST_TRIED)):
                for one in row.attempts or ():
                    if one.get("model") == model and (told := _told(one)) is not None:
                        found.setdefault(one["endpoint"], []).append(told)
        return {name: _tried(tries) for name, tries in found.items()}


_C = calls.c
_NAMES = ("errors", "cost", "latency", "reward")


def _columns(*values: Any) -> list[tuple[str, Any]]:
    return list(zip(_NAMES, values, strict=True))


def _summed(name: str, value: Any) -> list[Any]:
    number = sa.cast(value, sa.Double)
    return [
        sa.func.count(value).label(f"{name}_n"),
        sa.func.coalesce(sa.func.sum(number), 0.0).label(f"{name}_total"),
        sa.func.coalesce(sa.func.sum(number * number), 0.0).label(f"{name}_squares"),
    ]


def _tells() -> sa.ColumnElement[bool]:
    """Keep answers, and failures of the model or its provider."""
    upstream = sa.or_(_C.error_code.like("upstream%"), _C.error_code.like("no_endpoint%"), _C.status >= 500)
    return sa.or_(_C.outcome == "ok", sa.and_(_C.outcome == "error", upstream))


def _cell(row: AnyRow) -> Cell:
    sums = {name: Sums(*(getattr(row, f"{name}_{part}") for part in ("n", "total", "squares"))) for name in _NAMES}
    return Cell(model=row.of_model, task=row.of_task, bucket=row.of_bucket, **sums)


def _told(one: Mapping[str, Any]) -> tuple[float, float | None] | None:
    """Give whether a try failed, and how many milliseconds an answer took; None where the request was at fault."""
    status = one.get("status")
    if one.get("error") is None:
        return 0.0, (one["ended_us"] - one["started_us"]) / 1e3
    if status is not None and 400 <= status < 500 and status not in _PASSING:
        return None
    return 1.0, None


def _tried(tries: list[tuple[float, float | None]]) -> Tried:
    failed = sum(error for error, _ in tries)
    times = [time for _, time in tries if time is not None]
    return Tried(
        errors=Sums(len(tries), failed, failed),
        latency=Sums(len(times), sum(times), sum(time * time for time in times)),
    )
