"""What came of the decisions of learned policies: kept at ingest, given a reward when something is known, numbered for learning.

Implements `routing.learning.records.OutcomeLog`. `touched` grows with each signal and `settled` follows it, so that a signal
which arrives while a reward is made is never lost, and a reward that changes gets a new number.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from meliora.errors import NotFound
from meliora.routing.learning.records import Asked, Ending, Outcome, Settled, Signals, Unscored
from meliora.store.calls.slots import slot_of
from meliora.store.engine import reading, writing
from meliora.store.rows import AnyRow, hold, insert_into
from meliora.store.tables import call_contents, calls, deployment, feedback, routing_outcomes, routing_scores
from meliora.telemetry.records import CallFinished, RoutedCandidate

_BATCH = 500


class Outcomes:
    """Keep rewards and give outcomes to learn from."""

    def __init__(self, engine: sa.Engine, clock_us: Callable[[], int]) -> None:
        self._engine = engine
        self._clock_us = clock_us

    def get(self, tenant: str, call_id: str) -> Outcome:
        """Give what came of one call's decision. Raises `NotFound`."""
        with reading(self._engine) as connection:
            row = connection.execute(_SELECT.where(_T.tenant == tenant, _T.call_id == call_id)).one_or_none()
        if row is None:
            raise NotFound(f"No learned policy decided call {call_id!r}.")
        return _outcome(row)

    def rewarded(self, tenant: str, trunk: str, after: int = 0, limit: int = 20_000) -> tuple[Outcome, ...]:
        """Give the last `limit` rewarded outcomes of a trunk with `seq` above `after`, in that order."""
        query = _SELECT.where(_T.tenant == tenant, _T.trunk == trunk, _T.seq > after, _T.reward.is_not(None))
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(_T.seq.desc()).limit(limit)).all()
        return tuple(_outcome(row) for row in reversed(rows))

    def changes(self, tenant: str, trunk: str, after: int, limit: int = 1000) -> tuple[Outcome, ...]:
        """Give outcomes whose reward came or changed after number `after`, in the order of the changes."""
        query = _SELECT.where(_T.tenant == tenant, _T.trunk == trunk, _T.changed > after)
        with reading(self._engine) as connection:
            return tuple(_outcome(row) for row in connection.execute(query.order_by(_T.changed).limit(limit)))

    def logged(self, tenant: str, trunk: str, since_us: int, limit: int = 20_000) -> tuple[Outcome, ...]:
        """Give the last `limit` outcomes of a trunk since a time, rewarded or not, oldest first: for what is estimated offline."""
        query = _SELECT.where(_T.tenant == tenant, _T.trunk == trunk, _T.started_us >= since_us)
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(_T.started_us.desc()).limit(limit)).all()
        return tuple(_outcome(row) for row in reversed(rows))

    def recorded(self, tenant: str, since_us: int, until_us: int, limit: int = 20_000) -> tuple[Outcome, ...]:
        """Give the last `limit` rewarded outcomes of a stretch of time, both ends in it, of whatever trunk, oldest first."""
        query = _SELECT.where(
            _T.tenant == tenant, _T.started_us >= since_us, _T.started_us <= until_us, _T.reward.is_not(None)
        )
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(_T.started_us.desc(), _T.call_id).limit(limit)).all()
        return tuple(_outcome(row) for row in reversed(rows))

    def asked(self, tenant: str, call_ids: Sequence[str]) -> dict[str, Asked]:
        """Give what is kept of the requests of these calls, by call; those whose content is not kept, or not whole, are missing."""
        k = call_contents.c
        person = sa.func.coalesce(calls.c.user_id, calls.c.session_id, calls.c.key_id)
        query = (
            sa.select(calls.c.id, calls.c.dialect, k.request_text, person)
            .join(call_contents, k.call_id == calls.c.id)
            .where(calls.c.tenant == tenant, calls.c.id.in_(call_ids), k.request_text.is_not(None), ~k.truncated)
        )
        with reading(self._engine) as connection:
            return {row[0]: Asked(row[1], row[2], row[3]) for row in connection.execute(query)}

    def counts(self, tenant: str) -> dict[str, int]:
        """Count outcomes by what their reward came from; `none` for those of which nothing is known."""
        source = sa.func.coalesce(_T.source, "none")
        query = sa.select(source, sa.func.count()).where(_T.tenant == tenant).group_by(source).order_by(source)
        with reading(self._engine) as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def waiting(self, limit: int = _BATCH) -> tuple[Signals, ...]:
        """Give answers of all tenants about which something new is known."""
        query = sa.select(*[_T[name] for name in _TOLD]).where(_T.touched > _T.settled)
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(_T.started_us).limit(limit)).all()
            ids = [row.call_id for row in rows]
            said, scores = _said(connection, ids), _scores(connection, ids)
        return tuple(
            Signals(**row._mapping, feedback=said.get(row.call_id), scores=scores.get(row.call_id, {})) for row in rows
        )

    def settle(self, settled: Sequence[Settled]) -> int:
        """Keep rewards; one made of an older state of its signals is left out. Give how many changed."""
        changed = 0
        with writing(self._engine) as connection:
            hold(connection, _SEQUENCE)
            number = _number(connection)
            for one in settled:
                row = connection.execute(
                    _KEPT.where(_T.call_id == one.call_id, _T.touched == one.touched)
                ).one_or_none()
                if row is None:
                    continue
                values: dict[str, Any] = {"settled": one.touched}
                reward = one.reward
                new = (None, None, None) if reward is None else (reward.value, reward.weight, reward.source)
                if new != (row.reward, row.weight, row.source):
                    number += 1
                    changed += 1
                    values |= {"reward": new[0], "weight": new[1], "source": new[2], "changed": number}
                    values["seq"] = number if row.seq is None else row.seq
                connection.execute(sa.update(routing_outcomes).where(_T.call_id == one.call_id).values(**values))
            if changed:
                held = sa.update(deployment).where(deployment.c.name == _SEQUENCE)
                connection.execute(held.values(value=str(number)))
        return changed

    def score(self, tenant: str, call_id: str, scorer: str, value: float | None, reason: str | None = None) -> None:
        """Keep what a scorer says of an answer, in place of what it said before; None where it could not say, and why.

        Raises `NotFound` where no learned policy decided the call.
        """
        row = {"value": value, "reason": reason, "made_us": self._clock_us()}
        with writing(self._engine) as connection:
            if not touch(connection, tenant, call_id):
                raise NotFound(f"No learned policy decided call {call_id!r}.")
            put_score(connection, {"tenant": tenant, "call_id": call_id, "scorer": scorer}, row)

    def unscored(
        self, tenant: str, scorer: str, *, tasks: Sequence[str] = (), since_us: int = 0, limit: int = 20
    ) -> tuple[Unscored, ...]:
        """Give answers that came whole and that a scorer was not asked about, of calls that a policy looked at, newest first."""
        k = call_contents.c
        scored = sa.select(_S.call_id).where(_S.call_id == _T.call_id, _S.scorer == scorer)
        query = (
            sa.select(_T.call_id, calls.c.dialect, k.request_text, k.response_text, k.truncated)
            .join(calls, calls.c.id == _T.call_id)
            .outerjoin(call_contents, k.call_id == _T.call_id)
            .where(_T.tenant == tenant, _T.started_us >= since_us, _T.outcome == "ok", ~scored.exists())
        )
        if tasks:
            query = query.where(_T.task.in_(tasks))
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(_T.started_us.desc()).limit(limit)).all()
        return tuple(Unscored(row[0], row[1], row[2], row[3], bool(row[4])) for row in rows)

    def scores(self, tenant: str, call_id: str) -> dict[str, float | None]:
        """Give what scorers said of an answer, by scorer; None where one could not say."""
        query = sa.select(_S.scorer, _S.value).where(_S.tenant == tenant, _S.call_id == call_id).order_by(_S.scorer)
        with reading(self._engine) as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def labelled(self, tenant: str, scorer: str, limit: int = 5000) -> tuple[tuple[float, float], ...]:
        """Give pairs of score and person's word on the same answers, the latest."""
        said = sa.and_(feedback.c.tenant == _S.tenant, feedback.c.call_id == _S.call_id)
        query = sa.select(_S.value, feedback.c.value).join(feedback, said)
        query = query.where(_S.tenant == tenant, _S.scorer == scorer, _S.value.is_not(None))
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(_S.made_us.desc()).limit(limit))
            return tuple((row[0], row[1]) for row in rows)


_T = routing_outcomes.c
_S = routing_scores.c
_SEQUENCE = "routing_seq"
_SELECT = sa.select(*[_T[name] for name in Outcome.__struct_fields__])
_KEPT = sa.select(_T.reward, _T.weight, _T.source, _T.seq)
_TOLD = [name for name in Signals.__struct_fields__ if name not in ("feedback", "scores")]


def keep_outcomes(connection: sa.Connection, finished: Sequence[CallFinished]) -> None:
    """Keep the outcomes of the calls that a learned policy looked at; within the transaction that ingests them.

    A call whose prompt was asked before, by the same user or in the same session, is noted at the answer that it repeats. One
    that is ingested before the call it repeats, which takes two gateways, is not.
    """
    rows = [_row(record) for record in finished if record.routing is not None and not record.cached]
    for at in range(0, len(rows), _BATCH):
        connection.execute(sa.insert(routing_outcomes), rows[at : at + _BATCH])
    if rows and connection.execute(sa.select(feedback.c.id).where(feedback.c.pending).limit(1)).first() is not None:
        told = sa.select(feedback.c.call_id).where(feedback.c.pending)
        connection.execute(sa.update(routing_outcomes).where(_T.call_id.in_(told)).values(touched=_T.touched + 1))
    if not rows and connection.execute(sa.select(_T.call_id).limit(1)).first() is None:
        return
    by_tenant: dict[str, list[CallFinished]] = {}
    for record in finished:
        if record.prompt_hash and (record.user or record.session):
            by_tenant.setdefault(record.tenant, []).append(record)
    for tenant, asked in by_tenant.items():
        for at in range(0, len(asked), _BATCH):
            _note_repetitions(connection, tenant, asked[at : at + _BATCH])


def _note_repetitions(connection: sa.Connection, tenant: str, asked: Sequence[CallFinished]) -> None:
    """Note at each outcome that was not repeated before when its prompt was first sent again."""
    times: dict[tuple[str, str, str | None], list[int]] = {}
    for record in asked:
        for kind, who in (("user", record.user), ("session", record.session)):
            if who:
                times.setdefault((record.prompt_hash or "", kind, who), []).append(record.started_us)
    for starts in times.values():
        starts.sort()
    slots = {slot_of(record.started_us) - back for record in asked for back in (0, 1)}
    hashes = {record.prompt_hash for record in asked}
    query = sa.select(_T.call_id, _T.prompt_hash, _T.user_id, _T.session_id, _T.started_us).where(
        _T.tenant == tenant, _T.slot.in_(slots), _T.prompt_hash.in_(hashes), _T.again_us.is_(None)
    )
    for row in connection.execute(query).all():
        later = []
        for kind, who in (("user", row.user_id), ("session", row.session_id)):
            starts = times.get((row.prompt_hash, kind, who), [])
            later += starts[bisect_right(starts, row.started_us) :][:1]
        if later:
            again = sa.update(routing_outcomes).where(_T.call_id == row.call_id)
            connection.execute(again.values(again_us=min(later), touched=_T.touched + 1))


def touch(connection: sa.Connection, tenant: str, call_id: str) -> bool:
    """Note that something new is known about an answer; tell whether a learned policy decided its call."""
    own = sa.update(routing_outcomes).where(_T.call_id == call_id, _T.tenant == tenant)
    return connection.execute(own.values(touched=_T.touched + 1)).rowcount > 0


def put_score(connection: sa.Connection, key: dict[str, Any], row: dict[str, Any]) -> None:
    """Keep a score in place of the one before."""
    insert = insert_into(connection, routing_scores).values(**key, **row)
    connection.execute(insert.on_conflict_do_update(index_elements=["call_id", "scorer"], set_=row))


def forget_outcomes(connection: sa.Connection, call_ids: Any) -> None:
    """Delete outcomes and scores of these calls: a selection of ids, or a list."""
    hold(connection, _SEQUENCE)  # rewards are kept row by row, in another order
    connection.execute(sa.delete(routing_scores).where(_S.call_id.in_(call_ids)))
    connection.execute(sa.delete(routing_outcomes).where(_T.call_id.in_(call_ids)))


def _row(record: CallFinished) -> dict[str, Any]:
    trace = record.routing
    assert trace is not None
    ending = _ending(record)
    return {
        "call_id": record.id,
        "tenant": record.tenant,
        "key_id": record.key_id,
        "user_id": record.user,
        "session_id": record.session,
        "prompt_hash": record.prompt_hash,
        "started_us": record.started_us,
        "slot": slot_of(record.started_us),
        "task": record.task,
        "model": record.model or trace.chosen,
        "outcome": ending,
        "touched": int(ending == "failed"),  # of another ending nothing is known yet
        "cost_micros": record.cost_micros,
        "latency_us": max(0, record.ended_us - record.started_us),
        "snapshot": trace.snapshot,
        "trunk": trace.trunk,
        "phi": trace.phi,
        "candidates": msgspec.to_builtins(trace.candidates),
        "decided_by": trace.decided_by,
        "explored": trace.explored,
    }


def _ending(record: CallFinished) -> Ending:
    """Tell a failure of the model or its provider from a call that could not be served as it was."""
    if record.outcome != "error":
        return record.outcome
    upstream = (record.error_code or "").startswith(("upstream_", "no_endpoint"))
    return "failed" if upstream or record.status >= 500 else "error"


def _outcome(row: AnyRow) -> Outcome:
    values = dict(row._mapping)
    return Outcome(
        **values
        | {
            "candidates": msgspec.convert(values["candidates"], tuple[RoutedCandidate, ...]),
            "phi": bytes(values["phi"]),
        }
    )


def _number(connection: sa.Connection) -> int:
    held = connection.execute(sa.select(deployment.c.value).where(deployment.c.name == _SEQUENCE)).scalar_one()
    return int(held or 0)


def _said(connection: sa.Connection, call_ids: Sequence[str]) -> dict[str, float]:
    query = sa.select(feedback.c.call_id, feedback.c.value)
    query = query.join(routing_outcomes, sa.and_(_T.call_id == feedback.c.call_id, _T.tenant == feedback.c.tenant))
    return {row[0]: row[1] for row in connection.execute(query.where(feedback.c.call_id.in_(call_ids)))}


def _scores(connection: sa.Connection, call_ids: Sequence[str]) -> dict[str, dict[str, float]]:
    query = sa.select(_S.call_id, _S.scorer, _S.value).where(_S.call_id.in_(call_ids), _S.value.is_not(None))
    found: dict[str, dict[str, float]] = {}
    for call_id, scorer, value in connection.execute(query):
        found.setdefault(call_id, {})[scorer] = value
    return found
