"""Conversations, turn by turn. Implements `knowledge.memory.shelf.TurnShelf`.

Whoever appends holds the row of the conversation's user, so that numbers are committed in their order. That row knows the user by
a keyed hash alone and stays when the person is erased: what was derived before is then known to be void.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from meliora.errors import Conflict, NotFound
from meliora.knowledge.memory.records import Appended, Conversation, Erased, Said, Standing, Turn
from meliora.knowledge.memory.summary import Summary
from meliora.store.engine import reading, writing
from meliora.store.knowledge.rows import chunks, clean
from meliora.store.rows import AnyRow, insert_into, page_size
from meliora.store.tables import memory_conversations, memory_summaries, memory_turns, memory_users
from meliora.telemetry.ids import subject_of

_T = memory_turns.c
_C = memory_conversations.c
_U = memory_users.c
_S = memory_summaries.c
MOST = 10_000
"""Turns that one answer holds."""


class Memory:
    """Keep turns."""

    def __init__(self, engine: sa.Engine, secret: str, clock_us: Callable[[], int]) -> None:
        self._engine = engine
        self._secret = secret
        self._clock_us = clock_us

    def append(self, tenant: str, conversation: str, turns: Sequence[Said], now_us: int) -> Appended:
        """Keep turns at the end of a conversation, in their order; makes the conversation, for the user of its first turn.

        A turn whose `message` is there already is not kept again, whatever its text. A turn without `at_us` gets `now_us`, or the
        time of the turn before it where that is later. Raises `Conflict` where a turn names another user than the conversation's.
        """
        if not turns:
            return Appended((), 0)
        with writing(self._engine) as connection:
            row = _conversation(connection, tenant, conversation)
            user = turns[0].user if row is None else row.user_id or ""
            seq = self._hold(connection, tenant, user)
            row = _begun(connection, tenant, conversation, user, now_us)
            if (row.user_id or "") != user or any(one.user and one.user != user for one in turns):
                raise Conflict(
                    f"The conversation {conversation!r} belongs to another user.", hint="Begin another conversation."
                )
            numbers, fresh = _numbered(connection, tenant, conversation, turns, row.turns)
            rows: list[dict[str, Any]] = []
            last_us = row.last_us if row.turns else None
            for number, one in fresh:
                last_us = one.at_us if one.at_us is not None else max(now_us, last_us or 0)
                head = {"tenant": tenant, "conversation": conversation, "number": number, "user_id": user or None}
                rows.append(head | _values(one, seq + len(rows) + 1, last_us))
            if rows:
                connection.execute(sa.insert(memory_turns), rows)
                moved = {"turns": row.turns + len(rows), "last_us": last_us, "kept_us": self._clock_us()}
                moved["first_us"] = row.first_us if row.turns else rows[0]["at_us"]
                connection.execute(sa.update(memory_conversations).where(_one(tenant, conversation)).values(**moved))
                mine = sa.and_(_U.tenant == tenant, _U.subject == subject_of(self._secret, tenant, user))
                connection.execute(sa.update(memory_users).where(mine).values(seq=seq + len(rows)))
        return Appended(tuple(numbers), len(rows))

    def conversation(self, tenant: str, id: str) -> Conversation:
        """Give one. Raises `NotFound`."""
        with reading(self._engine) as connection:
            row = _conversation(connection, tenant, id)
        if row is None:
            raise _missing(id)
        return _read(row)

    def conversations(self, tenant: str, user: str, *, after: str = "", limit: int = 100) -> Sequence[Conversation]:
        """Give those of a user (empty: of nobody) by id, those after `after`; at most 500."""
        query = sa.select(memory_conversations).where(_C.tenant == tenant, _of(_C.user_id, user), _C.id > after)
        with reading(self._engine) as connection:
            return tuple(_read(row) for row in connection.execute(query.order_by(_C.id).limit(page_size(limit))))

    def read(
        self, tenant: str, conversation: str, *, first: int = 1, last: int | None = None, limit: int = 1000
    ) -> Sequence[Turn]:
        """Give turns by number, both ends included; nothing where there are none. At most 10,000."""
        own = sa.and_(_T.tenant == tenant, _T.conversation == conversation, _T.number >= first)
        query = sa.select(memory_turns).where(own if last is None else sa.and_(own, _T.number <= last))
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(_T.number).limit(min(limit, MOST)))
            return tuple(_turn(row) for row in rows)

    def fetch(self, tenant: str, places: Sequence[tuple[str, int]]) -> Sequence[Turn | None]:
        """Give turns in the order asked for; None for one that is not here."""
        found: dict[tuple[str, int], Turn] = {}
        wanted: dict[str, list[int]] = {}
        for conversation, number in places:
            wanted.setdefault(conversation, []).append(number)
        with reading(self._engine) as connection:
            for conversation, numbers in wanted.items():
                for at in range(0, len(numbers), 500):
                    own = sa.and_(_T.tenant == tenant, _T.conversation == conversation)
                    query = sa.select(memory_turns).where(own, _T.number.in_(numbers[at : at + 500]))
                    found |= {(row.conversation, row.number): _turn(row) for row in connection.execute(query)}
        return tuple(found.get(place) for place in places)

    def follow(self, tenant: str, user: str, after: int, limit: int) -> Sequence[Turn]:
        """Give a user's turns of a greater `seq`, in its order; at most 10,000."""
        query = sa.select(memory_turns).where(_T.tenant == tenant, _of(_T.user_id, user), _T.seq > after)
        with reading(self._engine) as connection:
            return tuple(_turn(row) for row in connection.execute(query.order_by(_T.seq).limit(min(limit, MOST))))

    def standing(self, tenant: str, user: str) -> Standing:
        """Give how far a user's turns go; zeros for an unknown one."""
        query = sa.select(_U.seq, _U.erasures)
        own = sa.and_(_U.tenant == tenant, _U.subject == subject_of(self._secret, tenant, user))
        with reading(self._engine) as connection:
            row = connection.execute(query.where(own)).one_or_none()
        return Standing(0, 0) if row is None else Standing(row.seq, row.erasures)

    def erase(self, tenant: str, user: str) -> Erased:
        """Delete a user's conversations for good, and count the erasure. `seq` goes on from where it was."""
        with writing(self._engine) as connection:
            self._hold(connection, tenant, user)
            return erase_turns(connection, tenant, user, subject_of(self._secret, tenant, user))

    def count(self, tenant: str) -> int:
        """Give how many turns the tenant has."""
        with reading(self._engine) as connection:
            return connection.execute(sa.select(_SUM).where(_C.tenant == tenant)).scalar_one()

    def keep_summary(self, tenant: str, conversation: str, summary: Summary) -> None:
        """Keep what turns come to, in the place of an earlier one of the same turns and method. Raises `NotFound`."""
        keys = {"tenant": tenant, "conversation": conversation}
        keys |= {"first": summary.first, "last": summary.last, "method": summary.method}
        said = {"text": clean(summary.text), "marks": list(summary.marks) or None, "failed": clean(summary.failed)}
        said["made_us"] = self._clock_us()
        with writing(self._engine) as connection:
            if connection.execute(sa.select(_C.id).where(_one(tenant, conversation)).with_for_update()).first() is None:
                raise _missing(conversation)
            insert = insert_into(connection, memory_summaries).values(**keys, **said)
            connection.execute(insert.on_conflict_do_update(index_elements=list(keys), set_=said))

    def summaries(self, tenant: str, conversation: str) -> Sequence[Summary]:
        """Give the summaries that are kept of a conversation, by their turns."""
        query = sa.select(*[_S[name] for name in Summary.__struct_fields__])
        query = query.where(_S.tenant == tenant, _S.conversation == conversation).order_by(_S.first, _S.last, _S.method)
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        return tuple(
            Summary(
                text=row.text,
                first=row.first,
                last=row.last,
                method=row.method,
                marks=tuple(row.marks or ()),
                failed=row.failed,
            )
            for row in rows
        )

    def _hold(self, connection: sa.Connection, tenant: str, user: str) -> int:
        """Take the lock of a user's turns until the transaction ends, and give the number of the last one."""
        subject = subject_of(self._secret, tenant, user)
        insert = insert_into(connection, memory_users).values(tenant=tenant, subject=subject)
        connection.execute(insert.on_conflict_do_nothing())
        held = sa.select(_U.seq).where(_U.tenant == tenant, _U.subject == subject).with_for_update()
        return connection.execute(held).scalar_one()


def erase_turns(connection: sa.Connection, tenant: str, user: str, subject: str) -> Erased:
    """Delete a user's conversations, and count the erasure where there ever was one of theirs."""
    mine = sa.and_(_U.tenant == tenant, _U.subject == subject)
    connection.execute(sa.update(memory_users).where(mine).values(erasures=_U.erasures + 1))  # and takes the lock
    ids = connection.execute(sa.select(_C.id).where(_C.tenant == tenant, _of(_C.user_id, user))).scalars().all()
    return Erased(len(ids), _delete(connection, tenant, ids))


def drop_conversations(connection: sa.Connection, secret: str, before_us: int, limit: int) -> int:
    """Delete conversations whose last turn came earlier; what was derived of their users' turns is void then."""
    old = sa.select(_C.tenant, _C.user_id, _C.id).where(_C.kept_us < before_us).order_by(_C.kept_us).limit(limit)
    rows = connection.execute(old).all()
    dropped = 0
    for tenant, user in sorted({(row.tenant, row.user_id or "") for row in rows}):
        mine = sa.and_(_U.tenant == tenant, _U.subject == subject_of(secret, tenant, user))
        connection.execute(sa.update(memory_users).where(mine).values(erasures=_U.erasures + 1))
        ids = [row.id for row in rows if (row.tenant, row.user_id or "") == (tenant, user)]
        still = sa.select(_C.id).where(_C.tenant == tenant, _C.id.in_(ids), _C.kept_us < before_us)
        ids = connection.execute(still).scalars().all()
        _delete(connection, tenant, ids)
        dropped += len(ids)
    return dropped


_SUM = sa.func.coalesce(sa.func.sum(_C.turns), 0).cast(sa.BigInteger)


def _delete(connection: sa.Connection, tenant: str, ids: Sequence[str]) -> int:
    turns = 0
    for some in chunks(ids):
        own = sa.and_(_T.tenant == tenant, _T.conversation.in_(some))
        turns += connection.execute(sa.delete(memory_turns).where(own)).rowcount
        summed = sa.and_(_S.tenant == tenant, _S.conversation.in_(some))
        connection.execute(sa.delete(memory_summaries).where(summed))
        connection.execute(sa.delete(memory_conversations).where(_C.tenant == tenant, _C.id.in_(some)))
    return turns


def _one(tenant: str, conversation: str) -> sa.ColumnElement[bool]:
    return sa.and_(_C.tenant == tenant, _C.id == conversation)


def _of(column: sa.ColumnElement[Any], user: str) -> sa.ColumnElement[bool]:
    return column == user if user else column.is_(None)


def _conversation(connection: sa.Connection, tenant: str, id: str) -> AnyRow | None:
    return connection.execute(sa.select(memory_conversations).where(_one(tenant, id))).one_or_none()


def _begun(connection: sa.Connection, tenant: str, id: str, user: str, now: int) -> AnyRow:
    """Give the row of a conversation, which is made where it is new, and hold it."""
    values = {"tenant": tenant, "id": id, "user_id": user or None, "first_us": now, "last_us": now, "kept_us": now}
    connection.execute(insert_into(connection, memory_conversations).values(**values).on_conflict_do_nothing())
    return connection.execute(sa.select(memory_conversations).where(_one(tenant, id)).with_for_update()).one()


def _numbered(
    connection: sa.Connection, tenant: str, conversation: str, turns: Sequence[Said], last: int
) -> tuple[list[int], list[tuple[int, Said]]]:
    """Give the number of each turn, and those that are new with theirs."""
    known: dict[str, int] = {}
    for some in chunks(one.message for one in turns if one.message):
        query = sa.select(_T.message_id, _T.number).where(_T.tenant == tenant, _T.conversation == conversation)
        known.update((row[0], row[1]) for row in connection.execute(query.where(_T.message_id.in_(some))))
    numbers: list[int] = []
    fresh: list[tuple[int, Said]] = []
    for one in turns:
        number = known.get(one.message) if one.message else None
        if number is None:
            last += 1
            number = last
            fresh.append((number, one))
            if one.message:
                known[one.message] = number
        numbers.append(number)
    return numbers, fresh


def _values(one: Said, seq: int, at_us: int) -> dict[str, Any]:
    return {
        "seq": seq,
        "message_id": one.message or None,
        "session_id": one.session or None,
        "speaker": clean(one.speaker),
        "at_us": at_us,
        "text": clean(one.text),
        "metadata": clean(dict(one.metadata)) or None,
        "marks": list(one.marks) or None,
    }


def _turn(row: AnyRow) -> Turn:
    metadata = {name: tuple(one) if isinstance(one, list) else one for name, one in (row.metadata or {}).items()}
    return Turn(
        conversation=row.conversation,
        number=row.number,
        speaker=row.speaker,
        text=row.text,
        at_us=row.at_us,
        user=row.user_id or "",
        session=row.session_id or "",
        message=row.message_id or "",
        seq=row.seq,
        metadata=metadata,
        marks=tuple(row.marks or ()),
    )


def _read(row: AnyRow) -> Conversation:
    return Conversation(id=row.id, user=row.user_id or "", turns=row.turns, first_us=row.first_us, last_us=row.last_us)


def _missing(id: str) -> NotFound:
    return NotFound(f"There is no conversation {id!r}.", hint="What is said in it makes it.")
