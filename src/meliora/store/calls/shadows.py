"""Shadow calls: kept at ingest beside the calls that were answered, scored in pairs, charged to Meliora's own account.

Implements `routing.learning.pairs.PairBook`. They are in a table of their own, so that nothing of ordinary traffic counts them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from meliora.gateway.state import SHADOW_KEY
from meliora.routing.learning.records import Pair, Said
from meliora.store.calls.sums import add_spending, day_of
from meliora.store.engine import reading, writing
from meliora.store.erasures import ERASED, Erased
from meliora.store.rows import AnyRow
from meliora.store.tables import call_contents, calls, routing_scores, shadow_calls, usage_gateways
from meliora.telemetry.records import Shadow, ShadowBegun, Usage

_S = shadow_calls.c
_COLUMNS = tuple(column.name for column in shadow_calls.columns)
_BATCH = 500
_NO_USAGE = Usage()


class ShadowCall(msgspec.Struct, frozen=True, kw_only=True):
    """A shadow as it is kept."""

    id: str
    parent: str
    state: str
    """`open`, `finished` or `lost`."""
    trial: str
    stage: int
    unit: str
    same: bool
    """The candidate decided as the baseline did, and no second call was made."""
    started_us: int
    ended_us: int | None
    shown_model: str | None
    shown_outcome: str | None
    shown_cost_micros: int | None
    shown_reward: float | None
    model: str | None
    outcome: str | None
    error_code: str | None
    cost_micros: int | None
    reward: float | None
    scores: dict[str, list[float | None]] | None
    response_text: str | None


class ShadowSpending(msgspec.Struct, frozen=True):
    """What shadow calls cost: those that were made, what is known of it, and of how many nothing is."""

    calls: int
    cost_micros: int
    unpriced: int


class Shadows:
    """Read and score shadows."""

    def __init__(self, engine: sa.Engine, clock_us: Callable[[], int]) -> None:
        self._engine = engine
        self._clock_us = clock_us

    def list(self, tenant: str, trial: str, limit: int = 100) -> tuple[ShadowCall, ...]:
        """Give the newest shadows of a trial."""
        query = sa.select(*[_S[name] for name in ShadowCall.__struct_fields__])
        query = query.where(_S.tenant == tenant, _S.trial == trial).order_by(_S.started_us.desc(), _S.id).limit(limit)
        with reading(self._engine) as connection:
            return tuple(ShadowCall(**row._mapping) for row in connection.execute(query))

    def tenants(self) -> tuple[str, ...]:
        """Give the tenants that have shadows which wait for their scores."""
        query = sa.select(_S.tenant).where(_waits()).distinct().order_by(_S.tenant)
        with reading(self._engine) as connection:
            return tuple(connection.execute(query).scalars())

    def waiting(self, tenant: str, since_us: int, limit: int) -> tuple[Pair, ...]:
        """Give pairs of answers that nobody has scored, the oldest first; of those that came to an end by themselves."""
        k = call_contents.c
        query = (
            sa.select(shadow_calls, k.request_text, k.response_text.label("shown_text"), k.truncated.label("shown_cut"))
            .join(calls, sa.and_(calls.c.id == _S.parent, calls.c.tenant == _S.tenant))
            .outerjoin(call_contents, k.call_id == _S.parent)
            .where(_waits(), _S.tenant == tenant, _S.started_us >= since_us, _S.outcome.in_(("ok", "error")))
        )
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(_S.started_us, _S.id).limit(limit)).all()
            known = _scores(connection, [row.parent for row in rows])
        return tuple(_pair(row, known.get(row.parent, {})) for row in rows)

    def judge(
        self,
        tenant: str,
        shadow: str,
        scores: Mapping[str, Said],
        shown: float | None,
        reward: float | None,
    ) -> None:
        """Keep what scorers said of both answers (the shown one first), and what each is worth. One that is gone is left out."""
        own = sa.and_(_S.id == shadow, _S.tenant == tenant, _S.scored_us.is_(None))
        values = {
            "scores": {name: list(said) for name, said in scores.items()},
            "shown_reward": shown,
            "reward": reward,
            "scored_us": self._clock_us(),
        }
        with writing(self._engine) as connection:
            connection.execute(sa.update(shadow_calls).where(own).values(**values))

    def spent(self, tenant: str, since_us: int, until_us: int) -> ShadowSpending:
        """Give what a tenant's shadows cost that began in a time. What was refused cost nothing; what was cut off, nobody knows."""
        unknown = sa.and_(_S.cost_micros.is_(None), sa.or_(_S.outcome.is_(None), _S.outcome != "error"))
        query = sa.select(
            sa.func.count(), sa.func.sum(_S.cost_micros), sa.func.sum(sa.case((unknown, 1), else_=0))
        ).where(_S.tenant == tenant, sa.not_(_S.same), _S.started_us >= since_us, _S.started_us < until_us)
        with reading(self._engine) as connection:
            calls, cost, unpriced = connection.execute(query).one()
        return ShadowSpending(int(calls), int(cost or 0), int(unpriced or 0))

    def spent_micros(self, day: str) -> int:
        """Give what the shadows of a day (UTC) cost, over all tenants, as far as it is ingested."""
        own = sa.and_(usage_gateways.c.key_id == SHADOW_KEY, usage_gateways.c.day == day)
        with reading(self._engine) as connection:
            query = sa.select(sa.func.sum(usage_gateways.c.cost_micros)).where(own)
            return int(connection.execute(query).scalar() or 0)


def keep_shadows(connection: sa.Connection, records: Sequence[ShadowBegun | Shadow], erased: Erased) -> None:
    """Keep shadows once, however often they come; within the transaction that ingests them."""
    if not records:
        return
    ended = {record.id: record for record in records if isinstance(record, Shadow)}
    begun = {record.id: record for record in records if record.id not in ended}
    known = _states(connection, [*ended, *begun])
    fresh = [record for record in ended.values() if known.get(record.id) != "finished"]
    opened = [record for record in begun.values() if record.id not in known]
    replaced = [record.id for record in fresh if record.id in known]
    for at in range(0, len(replaced), _BATCH):
        connection.execute(sa.delete(shadow_calls).where(_S.id.in_(replaced[at : at + _BATCH])))
    rows = [_row(record, erased) for record in (*fresh, *opened)]
    if rows:
        connection.execute(sa.insert(shadow_calls), rows)
    spent: dict[tuple[str, ...], list[int]] = {}
    for record in fresh:
        cost = record.call.cost_micros if record.call is not None else None
        if cost:
            # No tenant pays for it, and a gateway's day is one row.
            spent.setdefault((SHADOW_KEY, record.gateway, day_of(record.started_us), ""), [0])[0] += cost
    add_spending(connection, spent)


def lose_shadows(connection: sa.Connection, before_us: int) -> int:
    """Mark shadows that nobody will finish as lost."""
    late = sa.and_(_S.state == "open", _S.started_us < before_us)
    return connection.execute(sa.update(shadow_calls).where(late).values(state="lost")).rowcount


def drop_shadow_contents(connection: sa.Connection, before_us: int, limit: int) -> None:
    """Delete what shadows answered that began earlier."""
    old = sa.select(_S.id).where(_S.started_us < before_us, _S.response_text.is_not(None)).limit(limit)
    ids = connection.execute(old).scalars().all()
    connection.execute(
        sa.update(shadow_calls).where(_S.id.in_(ids)).values(response_text=None, content=ERASED, truncated=False)
    )


def drop_shadows(connection: sa.Connection, before_us: int, limit: int) -> None:
    """Delete shadows that began earlier."""
    old = sa.select(_S.id).where(_S.started_us < before_us).order_by(_S.started_us).limit(limit)
    ids = connection.execute(old).scalars().all()
    connection.execute(sa.delete(shadow_calls).where(_S.id.in_(ids)))


def erase_shadows(connection: sa.Connection, parents: Any, nobody: str, now_us: int) -> None:
    """Take out of the shadows of these calls what was said, what was found of it, and whose they were; `nobody` is their unit then."""
    stays = _S.unit.startswith("k")
    connection.execute(
        sa.update(shadow_calls)
        .where(_S.parent.in_(parents))
        .values(
            response_text=None,
            content=ERASED,
            scores=sa.null(),
            reward=None,
            shown_reward=None,
            scored_us=now_us,
            unit=sa.case((stays, _S.unit), else_=nobody),
        )
    )


def _waits() -> sa.ColumnElement[bool]:
    return sa.and_(_S.scored_us.is_(None), _S.state == sa.text("'finished'"), sa.not_(_S.same))


def _states(connection: sa.Connection, ids: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for at in range(0, len(ids), _BATCH):
        query = sa.select(_S.id, _S.state).where(_S.id.in_(ids[at : at + _BATCH]))
        found.update({row[0]: row[1] for row in connection.execute(query)})
    return found


def _row(record: ShadowBegun | Shadow, erased: Erased) -> dict[str, Any]:
    gone = erased.covers(record.tenant, record.user, record.parent_us) if erased else False
    row: dict[str, Any] = dict.fromkeys(_COLUMNS)
    row |= {
        name: getattr(record, name) for name in ("id", "tenant", "parent", "gateway", "started_us", "trial", "stage")
    }
    unit = f"e{record.id}" if gone and not record.unit.startswith("k") else record.unit
    row |= {"unit": unit, "state": "open", "same": False, "truncated": False}
    if isinstance(record, ShadowBegun):
        return row
    shown, call = record.shown, record.call
    row |= {
        "state": "finished",
        "same": call is None,
        "ended_us": record.started_us if call is None else call.ended_us,
        "shown_outcome": shown.outcome,
        "shown_model": shown.model,
        "shown_cost_micros": shown.cost_micros,
        "shown_latency_us": shown.latency_us,
    }
    if call is None:
        return row
    usage = call.usage or _NO_USAGE
    copied = ("dialect", "model", "endpoint", "task", "outcome", "status", "error_code", "finish_reason", "cost_micros")
    row |= {name: getattr(call, name) for name in copied}
    return row | {
        "reason": call.reason or None,
        "tokens_in": usage.input,
        "tokens_out": usage.output,
        "content": ERASED if gone else call.content,
        "response_text": None if gone else call.response_text,
        "truncated": call.truncated,
    }


def _scores(connection: sa.Connection, call_ids: Sequence[str]) -> dict[str, dict[str, float]]:
    """Give what scorers said of shown answers already: nobody is asked twice."""
    table = routing_scores.c
    query = sa.select(table.call_id, table.scorer, table.value)
    query = query.where(table.call_id.in_(call_ids), table.value.is_not(None))
    found: dict[str, dict[str, float]] = {}
    for call_id, scorer, value in connection.execute(query):
        found.setdefault(call_id, {})[scorer] = value
    return found


def _pair(row: AnyRow, scores: Mapping[str, float]) -> Pair:
    return Pair(
        id=row.id,
        parent=row.parent,
        tenant=row.tenant,
        dialect=row.dialect,
        task=row.task,
        started_us=row.started_us,
        request_text=row.request_text,
        shown_text=None if row.shown_cut else row.shown_text,
        text=None if row.truncated else row.response_text,
        shown_failed=row.shown_outcome != "ok",
        failed=row.outcome != "ok",
        shown_cost_micros=row.shown_cost_micros,
        cost_micros=row.cost_micros,
        shown_latency_us=row.shown_latency_us,
        latency_us=max(0, row.ended_us - row.started_us),
        scores=scores,
    )
