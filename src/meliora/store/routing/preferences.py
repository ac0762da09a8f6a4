"""What preferences are learned from: interactions told by applications, recorded calls, and the feedback on them, as one list.

Nothing learned is kept here but the table of offsets (`preference_tables`): everything else is read out of these rows anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

import msgspec
import sqlalchemy as sa

from meliora.errors import Conflict, NotFound
from meliora.routing.preferences.interactions import Interaction, Mark, micros, moment
from meliora.routing.preferences.tracker import message_key, worth
from meliora.routing.preferences.words import same_task
from meliora.store.calls.slots import slots_of
from meliora.store.engine import reading, writing
from meliora.store.routing.preference_tables import drop_offsets
from meliora.store.rows import AnyRow, insert_into, new_id
from meliora.store.tables import calls, feedback, preference_interactions, preference_resets
from meliora.telemetry.ids import subject_of

SEEN = 2000
"""Most interactions of each source that are read for one answer: the latest."""
CALL_DAYS = 90
"""How far back calls without feedback are looked at."""
_CHARS_PER_TOKEN = 4
_DAY_US = 86_400_000_000

_P = preference_interactions.c
_F = feedback.c
_C = calls.c


class Preferences:
    """Implement `routing.preferences.Evidence` on the store."""

    def __init__(
        self, engine: sa.Engine, secret: str, clock_us: Callable[[], int], randbytes: Callable[[int], bytes]
    ) -> None:
        self._engine = engine
        self._secret = secret
        self._clock_us = clock_us
        self._randbytes = randbytes

    def interactions(self, tenant: str, user: str | None, *, rated: bool = False) -> Sequence[Interaction]:
        """Give the latest interactions of a user, oldest first; of all users together for None. With `rated` only those with a rating.

        A call with feedback is one interaction. What was said or done before a user was forgotten is left out.
        """
        with reading(self._engine) as connection:
            found = {} if rated else {one.id: one for one in self._calls(connection, tenant, user)}
            said = _said(connection, tenant, user)
            told = {one.id: one for one in _told(connection, tenant, user)}
            resets = _resets(connection, tenant)
        for one, message_id in said:
            twin = told.get(one.id) or told.get(message_key(one.user_id or "", message_id or ""))
            if twin is None or _last(twin) <= _last(one):
                found[one.id] = one
                if twin is not None:
                    del told[twin.id]
            else:
                found.pop(one.id, None)
        found.update(told)
        ordered = sorted(found.values(), key=lambda one: (one.timestamp, one.id))
        if rated:
            ordered = [one for one in ordered if one.value is not None]
        if resets:
            ordered = [one for one in ordered if not self._forgotten(resets, tenant, one)]
        return tuple(ordered[-SEEN:])

    def marks(self, tenant: str) -> dict[tuple[str, str], Mark]:
        """Give what all users say, by task and model, of the last 90 days."""
        since = self._clock_us() - CALL_DAYS * _DAY_US
        said = (
            sa.select(
                _F.task_type,
                _F.model_used,
                sa.func.sum(_F.value),
                sa.func.count(),
                sa.func.count(_F.user_id.distinct()),
            )
            .where(_F.tenant == tenant, _F.updated_at >= since, _F.model_used.is_not(None))
            .group_by(_F.task_type, _F.model_used)
        )
        also = sa.exists().where(_F.tenant == tenant, _F.call_id == _P.id)
        told = (
            sa.select(
                _P.task_type, _P.model, sa.func.sum(_P.value), sa.func.count(), sa.func.count(_P.user_id.distinct())
            )
            .where(_P.tenant == tenant, _P.at_us >= since, _P.value.is_not(None), ~also)
            .group_by(_P.task_type, _P.model)
        )
        found: dict[tuple[str, str], Mark] = {}
        with reading(self._engine) as connection:
            for query in (said, told):
                for task, model, total, ratings, users in connection.execute(query):
                    at = (same_task(task), model)
                    before = found.get(at, Mark(0.0, 0, 0))
                    found[at] = Mark(before.total + float(total), before.ratings + ratings, max(before.users, users))
        return found

    def keep(self, tenant: str, interaction: Interaction) -> Interaction:
        """Keep an interaction, in place of one with the same id; one with the id `""` gets one.

        Raises `Conflict` where that id is another user's.
        """
        if not interaction.id:
            interaction = msgspec.structs.replace(interaction, id=new_id("int", self._randbytes))
        row = {
            "tenant": tenant,
            "id": interaction.id,
            "user_id": interaction.user_id,
            "at_us": micros(interaction.timestamp),
            "kept_us": self._clock_us(),
            "model": interaction.model,
            "task_type": interaction.task_type,
            "prompt_hash": interaction.prompt_hash,
            "prompt_length": interaction.prompt_length,
            "response_length": interaction.response_length,
            "latency_ms": interaction.latency_ms,
            "feedback": interaction.feedback,
            "value": interaction.value,
            "feedback_us": None if interaction.feedback_timestamp is None else micros(interaction.feedback_timestamp),
            "metadata": sa.null() if interaction.metadata is None else interaction.metadata,
        }
        with writing(self._engine) as connection:
            insert = insert_into(connection, preference_interactions).values(**row)
            same = sa.or_(_P.user_id.is_(None), _P.user_id == insert.excluded.user_id)
            kept = insert.on_conflict_do_update(index_elements=["tenant", "id"], set_=row, where=same)
            if connection.execute(kept.returning(_P.id)).first() is None:
                raise Conflict(f"Interaction {interaction.id!r} is another user's.", hint="Give it another id.")
        return interaction

    def react(self, tenant: str, id: str, feedback: str, at: datetime, metadata: dict[str, Any] | None) -> Interaction:
        """Keep what is said of an interaction or a finished call; the last word stands. Raises `NotFound`."""
        said: dict[str, Any] = {"feedback": feedback, "value": worth(feedback), "feedback_us": micros(at)}
        if metadata is not None:
            said["metadata"] = metadata
        here = sa.and_(_P.tenant == tenant, _P.id == id)
        with writing(self._engine) as connection:
            changed = sa.update(preference_interactions).where(here).values(**said, kept_us=self._clock_us())
            if not connection.execute(changed).rowcount:
                row = connection.execute(_CALLS.where(_C.tenant == tenant, _C.id == id)).one_or_none()
                if row is None or row.model is None:
                    raise NotFound(
                        f"There is no interaction or call {id!r} to give feedback on.",
                        hint="A call is known here about a second after its end.",
                    )
                call = _of_call(row)
                values = {
                    "id": id,
                    "tenant": tenant,
                    "user_id": call.user_id,
                    "at_us": row.started_us,
                    "kept_us": self._clock_us(),
                    "model": call.model,
                    "task_type": call.task_type,
                    "prompt_hash": call.prompt_hash,
                    "response_length": call.response_length,
                    "latency_ms": call.latency_ms,
                }
                connection.execute(sa.insert(preference_interactions).values(**values | said))
            return _of_told(connection.execute(sa.select(preference_interactions).where(here)).one())

    def forget(self, tenant: str, user: str) -> int:
        """Forget a user: nothing from before now counts any more. Give how many interactions that were."""
        count = len(self.interactions(tenant, user))
        with writing(self._engine) as connection:
            now = self._clock_us()
            subject = subject_of(self._secret, tenant, user)
            forget_user(connection, tenant, user, subject, now)
            insert = insert_into(connection, preference_resets).values(tenant=tenant, subject=subject, at_us=now)
            again = insert.on_conflict_do_update(index_elements=["tenant", "subject"], set_={"at_us": now})
            connection.execute(again)
        return count

    def _calls(self, connection: sa.Connection, tenant: str, user: str | None) -> list[Interaction]:
        since = self._clock_us() - CALL_DAYS * _DAY_US
        query = _CALLS.where(_C.tenant == tenant, _C.outcome == "ok", _C.model.is_not(None))
        if user is None:
            rows = connection.execute(query.where(_C.started_us >= since).order_by(_C.started_us.desc()).limit(SEEN))
            return [_of_call(row) for row in rows]
        # + 0: or the planner would walk through everybody's calls. Slot by slot, since one user may have made most of them.
        query = query.where(_C.user_id == user).order_by((_C.started_us + 0).desc())
        slots, found = slots_of(connection, tenant, since), []
        for first, last in pairwise((0, 4, 32, len(slots))):
            if first < last and len(found) < SEEN:
                part = query.where(_C.slot.in_(slots[first:last])).limit(SEEN - len(found))
                found += [_of_call(row) for row in connection.execute(part)]
        return found

    def _forgotten(self, resets: dict[str, int], tenant: str, one: Interaction) -> bool:
        if one.user_id is None:
            return False
        return micros(_last(one)) <= resets.get(subject_of(self._secret, tenant, one.user_id), -1)


_CALLS = sa.select(
    _C.id, _C.started_us, _C.ended_us, _C.model, _C.user_id, _C.task, _C.prompt_hash, _C.tokens_out
).where(_C.state == "finished")


def forget_user(connection: sa.Connection, tenant: str, user: str, subject: str, now_us: int) -> int:
    """Delete what was told of a user, and their offsets. Give how many interactions that were."""
    mine = sa.and_(_P.tenant == tenant, _P.user_id == user)
    count = connection.execute(sa.delete(preference_interactions).where(mine)).rowcount
    drop_offsets(connection, tenant, subject, now_us)
    return count


def _said(connection: sa.Connection, tenant: str, user: str | None) -> list[tuple[Interaction, str | None]]:
    """Give calls that feedback was given on, each with the application's message id."""
    latest = sa.select(feedback).where(_F.tenant == tenant)
    if user is None:
        latest = latest.order_by(_F.updated_at.desc())
    else:
        latest = latest.where(_F.user_id == user).order_by((_F.updated_at + 0).desc())  # + 0: as in `_calls`
    word = latest.limit(SEEN).subquery()
    w = word.c
    model = sa.func.coalesce(w.model_used, _C.model)
    query = (
        sa.select(
            w.call_id.label("id"),
            sa.func.coalesce(_C.started_us, w.created_at).label("started_us"),
            _C.ended_us,
            model.label("model"),
            w.user_id,
            sa.func.coalesce(w.task_type, _C.task).label("task"),
            _C.prompt_hash,
            _C.tokens_out,
            w.response_length,
            w.feedback_type,
            w.value,
            w.updated_at,
            w.metadata,
            w.message_id,
        )
        .select_from(word.outerjoin(calls, sa.and_(_C.id == w.call_id, _C.tenant == w.tenant)))
        .where(model.is_not(None))
    )
    found = []
    for row in connection.execute(query):
        told = {"feedback": row.feedback_type, "value": row.value, "metadata": row.metadata}
        if row.response_length is not None:
            told["response_length"] = row.response_length
        found.append((_of_call(row, feedback_timestamp=moment(row.updated_at), **told), row.message_id))
    return found


def _told(connection: sa.Connection, tenant: str, user: str | None) -> list[Interaction]:
    query = sa.select(preference_interactions).where(_P.tenant == tenant)
    if user is not None:
        query = query.where(_P.user_id == user)
    return [_of_told(row) for row in connection.execute(query.order_by(_P.at_us.desc()).limit(SEEN))]


def _resets(connection: sa.Connection, tenant: str) -> dict[str, int]:
    query = sa.select(preference_resets.c.subject, preference_resets.c.at_us)
    return {row[0]: row[1] for row in connection.execute(query.where(preference_resets.c.tenant == tenant))}


def _of_call(row: AnyRow, **more: Any) -> Interaction:
    given: dict[str, Any] = {
        "id": row.id,
        "timestamp": moment(row.started_us),
        "user_id": row.user_id,
        "model": row.model,
        "task_type": row.task,
        "prompt_hash": row.prompt_hash,
        "response_length": None if row.tokens_out is None else row.tokens_out * _CHARS_PER_TOKEN,
        "latency_ms": None if row.ended_us is None else (row.ended_us - row.started_us) / 1000,
    }
    return Interaction(**given | more)


def _of_told(row: AnyRow) -> Interaction:
    return Interaction(
        id=row.id,
        timestamp=moment(row.at_us),
        user_id=row.user_id,
        model=row.model,
        task_type=row.task_type,
        prompt_hash=row.prompt_hash,
        prompt_length=row.prompt_length,
        response_length=row.response_length,
        latency_ms=row.latency_ms,
        feedback=row.feedback,
        value=row.value,
        feedback_timestamp=None if row.feedback_us is None else moment(row.feedback_us),
        metadata=row.metadata,
    )


def _last(one: Interaction) -> datetime:
    """Give when the last was heard of it."""
    return one.feedback_timestamp or one.timestamp
