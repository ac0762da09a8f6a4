"""Calls as they were served: one, a page, the newest, and their content."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import sqlalchemy as sa

from meliora.errors import NotFound
from meliora.store.calls.slots import slots_of
from meliora.store.cursors import Page, decode, encode
from meliora.store.engine import reading
from meliora.store.rows import AnyRow, before, page_size
from meliora.store.tables import call_contents, calls

CallState = Literal["open", "finished", "lost"]
"""`open`: begun and not finished; `lost`: open for an hour, its gateway is gone."""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One call. Fields as in `telemetry.records.CallFinished`; None is unknown. An open or lost call has no outcome."""

    id: str
    tenant: str
    state: CallState
    seq: int
    key_id: str
    gateway: str
    started_us: int
    ended_us: int | None
    dialect: str
    model_asked: str
    outcome: str | None
    status: int | None
    stream: bool
    model: str | None
    provider: str | None
    endpoint: str | None
    tier: str | None
    task: str | None
    reason: str | None
    rule_id: str | None
    observed_model: str | None
    confidence: float | None
    attempts: list[dict[str, Any]] | None
    ttft_us: int | None
    overhead_us: int | None
    tokens_in: int | None
    tokens_out: int | None
    tokens_cached: int | None
    tokens_cache_write: int | None
    tokens_reasoning: int | None
    usage_source: str | None
    cost_micros: int | None
    error_code: str | None
    error_message: str | None
    finish_reason: str | None
    response_id: str | None
    message_id: str | None
    user_id: str | None
    session_id: str | None
    feature: str | None
    tags: dict[str, str] | None
    trace_id: str | None
    span_id: str | None
    parent_span_id: str | None
    request_bytes: int | None
    response_bytes: int | None
    chunks: int | None
    prompt_hash: str | None
    features: dict[str, float] | None
    cached: bool
    simulated: bool
    loss: list[str] | None
    content: str | None
    """`off`, `redacted`, `full`, or `erased` where a person's wish or the retention took it."""
    routing: dict[str, Any] | None
    """How the learned policy decided; without `phi`, which is kept with the outcome."""
    legs: list[dict[str, Any]] | None
    trial: str | None = None
    """The change on trial, or under watch, that it counts for."""
    trial_phase: str | None = None
    trial_stage: int | None = None
    arm: str | None = None


class CallContent(msgspec.Struct, frozen=True):
    """The recorded bodies of a call, as its `content` setting allowed."""

    call_id: str
    content: str
    request_text: str | None
    response_text: str | None
    truncated: bool
    masked: int


class CallFilter(msgspec.Struct, frozen=True, kw_only=True):
    """What a list is narrowed to; None narrows nothing. Times are a half-open interval of `started_us`."""

    model: str | None = None
    user: str | None = None
    session: str | None = None
    key_id: str | None = None
    state: CallState | None = None
    outcome: Literal["ok", "error", "cancelled"] | None = None
    status: int | None = None
    tag: tuple[str, str] | None = None
    since_us: int | None = None
    until_us: int | None = None


EVERY_CALL = CallFilter()


class Tail(msgspec.Struct, frozen=True):
    """Calls in the order they were ingested, and where to go on."""

    calls: tuple[Call, ...]
    after: int


class Calls:
    """Read the calls of a tenant. They are written by `sink` alone."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def get(self, tenant: str, call_id: str) -> Call:
        """Give one call. Raises `NotFound`, also for a call of another tenant."""
        with reading(self._engine) as connection:
            row = connection.execute(_SELECT.where(_T.tenant == tenant, _T.id == call_id)).one_or_none()
        if row is None:
            raise NotFound(f"There is no call {call_id!r}.", hint="It may not be ingested yet; that takes a second.")
        return to_call(row)

    def list(
        self, tenant: str, where: CallFilter = EVERY_CALL, *, limit: int = 50, cursor: str | None = None
    ) -> Page[Call]:
        """Give calls, the newest first; at most 500. Raises `InvalidRequest` for a foreign cursor."""
        limit = page_size(limit)
        query = _SELECT.where(_T.tenant == tenant, *_conditions(where))
        if cursor is not None:
            query = query.where(before(_T.started_us, _T.id, decode(cursor, str)))
        with reading(self._engine) as connection:
            newest = _T.started_us.desc()
            if where.user is not None or where.session is not None:
                query = query.where(_T.slot.in_(slots_of(connection, tenant, where.since_us, where.until_us)))
                newest = (_T.started_us + 0).desc()  # or the planner would walk through all calls in this order
            rows = connection.execute(query.order_by(newest, _T.id.desc()).limit(limit + 1)).all()
        found = tuple(to_call(row) for row in rows[:limit])
        return Page(found, encode(found[-1].started_us, found[-1].id) if len(rows) > limit else None)

    def tail(self, tenant: str, after: int | None = None, *, limit: int = 100) -> Tail:
        """Give what was ingested after `after`, oldest first; with None the last `limit` calls.

        No call is missed. One that was shown open comes again when it is finished.
        """
        limit = page_size(limit)
        query = _SELECT.where(_T.tenant == tenant).limit(limit)
        with reading(self._engine) as connection:
            if after is None:
                rows = connection.execute(query.order_by(_T.seq.desc())).all()[::-1]
            else:
                rows = connection.execute(query.where(_T.seq > after).order_by(_T.seq)).all()
        found = tuple(to_call(row) for row in rows)
        return Tail(found, found[-1].seq if found else after or 0)

    def content(self, tenant: str, call_id: str) -> CallContent:
        """Give the recorded bodies. Raises `NotFound` where none are kept."""
        table = call_contents.c
        columns = [table[name] for name in CallContent.__struct_fields__]
        query = sa.select(*columns).where(table.tenant == tenant, table.call_id == call_id)
        with reading(self._engine) as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise NotFound(f"No content is kept of call {call_id!r}.")
        return CallContent(**row._mapping)


_T = calls.c
_SELECT = sa.select(*[_T[name] for name in Call.__struct_fields__])


def to_call(row: AnyRow) -> Call:
    """Make a `Call` of a row that has all its columns."""
    return Call(**row._mapping)


def _conditions(where: CallFilter) -> list[sa.ColumnElement[bool]]:
    equal = {
        "model": where.model,
        "user_id": where.user,
        "session_id": where.session,
        "key_id": where.key_id,
        "state": where.state,
        "outcome": where.outcome,
        "status": where.status,
    }
    found: list[sa.ColumnElement[bool]] = [_T[name] == value for name, value in equal.items() if value is not None]
    if where.tag is not None:
        name, value = where.tag
        found.append(_T.tags[name].as_string() == value)
    if where.since_us is not None:
        found.append(_T.started_us >= where.since_us)
    if where.until_us is not None:
        found.append(_T.started_us < where.until_us)
    return found
