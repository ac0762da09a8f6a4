"""What people say about an answer. One current word a call, the last stands; each is kept in the history."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import msgspec
import sqlalchemy as sa

from meliora.errors import InvalidRequest, NotFound
from meliora.routing.preferences.words import THUMBS_AND_STARS
from meliora.store.calls.sink import next_sequence
from meliora.store.calls.slots import slots_of
from meliora.store.cursors import Page, decode, encode
from meliora.store.engine import reading, writing
from meliora.store.routing.outcomes import touch
from meliora.store.rows import AnyRow, before, insert_into, page_size
from meliora.store.tables import calls, feedback, feedback_history

VALUES = THUMBS_AND_STARS
"""Kinds of feedback and what each is worth."""


class FeedbackGiven(msgspec.Struct, frozen=True, kw_only=True):
    """What arrives: exactly one of the three ids, the kind, and what the application wants to add."""

    feedback_type: str
    call_id: str | None = None
    message_id: str | None = None
    response_id: str | None = None
    user_id: str | None = None
    model_used: str | None = None
    task_type: str | None = None
    response_length: int | None = None
    comment: str | None = None
    metadata: dict[str, Any] | None = None


class Feedback(msgspec.Struct, frozen=True, kw_only=True):
    """What stands. `pending`: the call is genuine, and not ingested yet. Times in microseconds UTC."""

    id: int
    tenant: str
    call_id: str
    message_id: str | None
    user_id: str | None
    feedback_type: str
    value: float
    model_used: str | None
    task_type: str | None
    response_length: int | None
    comment: str | None
    metadata: dict[str, Any] | None
    pending: bool
    created_us: int
    updated_us: int


class FeedbackWord(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the history of a call."""

    feedback_type: str
    value: float
    user_id: str | None
    comment: str | None
    metadata: dict[str, Any] | None
    given_us: int


class Unseen(Protocol):
    """Knows the calls that lie in the spool and are not ingested yet."""

    def find(self, tenant: str, *, message_id: str | None, response_id: str | None) -> str | None:
        """Give the id of the newest such call, or None."""
        ...


class Feedbacks:
    """Take feedback and give it back."""

    def __init__(
        self,
        engine: sa.Engine,
        clock_us: Callable[[], int],
        issued: Callable[[str], bool],
        unseen: Unseen | None = None,
    ) -> None:
        self._engine = engine
        self._clock_us = clock_us
        self._issued = issued
        self._unseen = unseen

    def give(self, tenant: str, given: FeedbackGiven) -> Feedback:
        """Take one word, replacing what stood; `model_used` and `task_type` default to the call's.

        A call id that this deployment made but has not ingested is kept pending and linked at ingest.
        Raises `NotFound` for an id that never existed or is another tenant's, `InvalidRequest` for an unknown kind,
        or none or several ids.
        """
        value = VALUES.get(given.feedback_type)
        if value is None:
            kinds = ", ".join(VALUES)
            raise InvalidRequest(
                f"{given.feedback_type!r} is no kind of feedback.", hint=f"Kinds: {kinds}.", field="feedback_type"
            )
        named = [name for name in _IDS if getattr(given, name)]
        if len(named) != 1:
            raise InvalidRequest("Name exactly one of call_id, message_id and response_id.", field="call_id")
        now = self._clock_us()
        with writing(self._engine) as connection:
            row = self._row(connection, tenant, given, named[0])
            row |= {"value": value, "updated_at": now}
            insert = insert_into(connection, feedback).values(tenant=tenant, created_at=now, **row)
            connection.execute(insert.on_conflict_do_update(index_elements=["tenant", "call_id"], set_=row))
            word = {name: row[name] for name in _WORD} | {"tenant": tenant, "given_at": now}
            connection.execute(sa.insert(feedback_history).values(**word))
            touch(connection, tenant, row["call_id"])
            return _get(connection, tenant, row["call_id"])

    def _row(self, connection: sa.Connection, tenant: str, given: FeedbackGiven, kind: str) -> dict[str, Any]:
        """Complete what was given by what is known of the call. Raises `NotFound` where there is no such call."""
        row = msgspec.structs.asdict(given)
        del row["response_id"]
        wanted = getattr(given, kind)
        call = _find(connection, tenant, kind, wanted)
        call_id = None
        if call is None or call.state != "finished":
            call_id = call.id if call is not None else self._on_its_way(tenant, given)
            if call_id is not None or kind != "call_id":
                # Between the look at the store and the one at the spool the call may have moved from there to here; and an
                # ingest that begins later must see what is written now, to link it.
                next_sequence(connection, 0)
                call = _find(connection, tenant, kind, wanted)
        if call is not None:
            known = {"model_used": call.model, "task_type": call.task, "message_id": call.message_id}
            known |= {"user_id": call.user_id, "call_id": call.id}
            return {name: known.get(name) if value is None else value for name, value in row.items()} | {
                "call_id": call.id,
                "pending": call.state != "finished",
            }
        if call_id is None:
            raise NotFound(f"There is no call {wanted!r} to give feedback on.")
        return row | {"call_id": call_id, "pending": True}

    def _on_its_way(self, tenant: str, given: FeedbackGiven) -> str | None:
        """Give the id of a call that is not in the store yet, None where none is known."""
        if given.call_id is not None:
            return given.call_id if self._issued(given.call_id) else None
        if self._unseen is None:
            return None
        return self._unseen.find(tenant, message_id=given.message_id, response_id=given.response_id)

    def get(self, tenant: str, call_id: str) -> Feedback:
        """Give what stands for a call. Raises `NotFound`."""
        with reading(self._engine) as connection:
            return _get(connection, tenant, call_id)

    def history(self, tenant: str, call_id: str) -> tuple[FeedbackWord, ...]:
        """Give all that was said about a call, oldest first; empty where nothing was."""
        query = sa.select(*[_H[name] for name in _WORD if name != "call_id"], _H.given_at.label("given_us"))
        query = query.where(_H.tenant == tenant, _H.call_id == call_id).order_by(_H.id)
        with reading(self._engine) as connection:
            return tuple(FeedbackWord(**row._mapping) for row in connection.execute(query))

    def list(
        self,
        tenant: str,
        *,
        user: str | None = None,
        model: str | None = None,
        task: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Feedback]:
        """Give what stands, the last given first; at most 500."""
        limit = page_size(limit)
        query = _SELECT.where(_T.tenant == tenant)
        for column, wanted in ((_T.user_id, user), (_T.model_used, model), (_T.task_type, task)):
            if wanted is not None:
                query = query.where(column == wanted)
        if cursor is not None:
            query = query.where(before(_T.updated_at, _T.id, decode(cursor, int)))
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(_T.updated_at.desc(), _T.id.desc()).limit(limit + 1)).all()
        found = tuple(Feedback(**row._mapping) for row in rows[:limit])
        return Page(found, encode(found[-1].updated_us, found[-1].id) if len(rows) > limit else None)


_T = feedback.c
_H = feedback_history.c
_IDS = {"call_id": calls.c.id, "message_id": calls.c.message_id, "response_id": calls.c.response_id}
_WORD = ("call_id", "feedback_type", "value", "user_id", "comment", "metadata")
_SELECT = sa.select(
    *[_T[name] for name in Feedback.__struct_fields__ if not name.endswith("_us")],
    _T.created_at.label("created_us"),
    _T.updated_at.label("updated_us"),
)


def _get(connection: sa.Connection, tenant: str, call_id: str) -> Feedback:
    row = connection.execute(_SELECT.where(_T.tenant == tenant, _T.call_id == call_id)).one_or_none()
    if row is None:
        raise NotFound(f"No feedback was given on call {call_id!r}.")
    return Feedback(**row._mapping)


def _find(connection: sa.Connection, tenant: str, kind: str, wanted: str) -> AnyRow | None:
    """Give the call meant, the newest of several. Raises `NotFound` where it belongs to another tenant."""
    c = calls.c
    query = sa.select(c.id, c.state, c.model, c.task, c.message_id, c.user_id)
    own = query.where(c.tenant == tenant, _IDS[kind] == wanted)
    own = own.order_by((c.started_us + 0).desc()).limit(1)  # + 0: or the planner would walk through all calls
    if kind != "call_id":
        own = own.where(c.slot.in_(slots_of(connection, tenant)))
    row = connection.execute(own).one_or_none()
    if row is None and kind == "call_id" and connection.execute(query.where(c.id == wanted)).one_or_none() is not None:
        raise NotFound(f"There is no call {wanted!r} to give feedback on.")
    return row
