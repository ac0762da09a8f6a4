"""What the ingester asks for: batches of records into tables, each call counted once.

Transactions that write many calls take one row of `deployment` first, so they run one after the other also on PostgreSQL.
Sequence numbers are then committed in their order (`Calls.tail` misses nothing), sums cannot deadlock, and an erasure falls
before or after a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import sqlalchemy as sa

from meliora.errors import Conflict, StoreError
from meliora.store.bulk import insert_rows, rows_of_calls, states_of
from meliora.store.calls.shadows import keep_shadows, lose_shadows
from meliora.store.calls.slots import note_slots, slot_of
from meliora.store.calls.sums import Sums
from meliora.store.engine import reading, writing
from meliora.store.erasures import Erased, erased_subjects
from meliora.store.knowledge.search_rows import keep_searches
from meliora.store.routing.model_performances import add_outcomes
from meliora.store.routing.outcomes import keep_outcomes
from meliora.store.rows import insert_into
from meliora.store.tables import calls, deployment, spool_segments
from meliora.telemetry.ingest import Batch, Taken
from meliora.telemetry.records import CallBegun, CallFinished

_SEQUENCE = "ingest_seq"


class SpoolSink:
    """Implement `telemetry.ingest.Sink` on the store."""

    def __init__(self, engine: sa.Engine, secret: str, clock_us: Callable[[], int]) -> None:
        self._engine = engine
        self._secret = secret
        self._clock_us = clock_us

    def offsets(self) -> dict[str, int]:
        """Give how far each segment has been taken."""
        query = sa.select(spool_segments.c.segment, spool_segments.c.offset)
        with reading(self._engine) as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def take(self, batch: Batch) -> Taken:
        """Keep a batch and move the offset in one transaction. Raises as `Sink.take` says."""
        try:
            with writing(self._engine) as connection:
                return self._take(connection, batch)
        except (OverflowError, UnicodeError) as error:
            raise StoreError(f"A record cannot be kept: {error}.") from error

    def done(self, segment: str) -> None:
        """Note that a segment is taken whole. Its offset is remembered for a while, in case a restored file comes back."""
        values = {"segment": segment, "offset": 0, "updated_us": self._clock_us(), "done_us": self._clock_us()}
        with writing(self._engine) as connection:
            insert = insert_into(connection, spool_segments).values(**values)
            done = {"done_us": values["done_us"]}
            connection.execute(insert.on_conflict_do_update(index_elements=["segment"], set_=done))

    def lose(self, before_us: int) -> int:
        """Mark calls open since before `before_us` as lost."""
        late = sa.and_(calls.c.state == "open", calls.c.state != sa.text("'finished'"), calls.c.started_us < before_us)
        with writing(self._engine) as connection:
            next_sequence(connection, 0)
            lose_shadows(connection, before_us)
            return connection.execute(sa.update(calls).where(late).values(state="lost")).rowcount

    def _take(self, connection: sa.Connection, batch: Batch) -> Taken:
        self._move(connection, batch)
        if not (batch.begun or batch.finished or batch.shadows or batch.searches):
            return Taken(0, 0, 0)
        count = len(batch.begun) + len(batch.finished)
        first = next_sequence(connection, count)
        erased = erased_subjects(connection, self._secret)
        finished = {record.id: record for record in batch.finished}
        begun = {record.id: record for record in batch.begun if record.id not in finished}
        known = states_of(connection, [*finished, *begun])
        fresh = [record for id, record in finished.items() if known.get(id) != "finished"]
        opened = [record for id, record in begun.items() if id not in known]
        _remove(connection, [record.id for record in fresh if record.id in known])
        fresh, opened = _cleaned(fresh, opened, erased)
        insert_rows(connection, *rows_of_calls(fresh, opened, first))
        if fresh or opened:
            note_slots(connection, {(record.tenant, slot_of(record.started_us)) for record in (*fresh, *opened)})
        if fresh:
            sums = Sums.of(fresh)
            sums.write(connection, last_seq=first + count - 1)
            add_outcomes(connection, sums.outcomes, self._clock_us())
            keep_outcomes(connection, fresh)
            _link_feedback(connection)
        keep_shadows(connection, batch.shadows, erased)
        keep_searches(connection, batch.searches, erased)
        return Taken(len(opened), len(fresh), len(batch.begun) + len(batch.finished) - len(opened) - len(fresh))

    def _move(self, connection: sa.Connection, batch: Batch) -> None:
        """Compare and set the segment's offset. Raises `Conflict` where another ingester was here."""
        table = spool_segments.c
        now = self._clock_us()
        moved = {"offset": batch.end, "updated_us": now}
        if batch.start == 0:
            insert = insert_into(connection, spool_segments).values(segment=batch.segment, **moved)
            unmoved = insert.on_conflict_do_update(index_elements=["segment"], set_=moved, where=table.offset == 0)
            result = connection.execute(unmoved.returning(table.segment))
        else:
            here = sa.and_(table.segment == batch.segment, table.offset == batch.start)
            result = connection.execute(sa.update(spool_segments).where(here).values(**moved).returning(table.segment))
        if result.first() is None:
            raise Conflict(f"Segment {batch.segment} is not at {batch.start} any more.")


def next_sequence(connection: sa.Connection, count: int) -> int:
    """Take `count` numbers and give the first; holds the ingest lock until the transaction ends."""
    table = deployment.c
    held = sa.select(table.value).where(table.name == _SEQUENCE).with_for_update()
    last = connection.execute(held).scalar_one_or_none()
    if last is None:
        insert = insert_into(connection, deployment).values(name=_SEQUENCE, value="0")
        connection.execute(insert.on_conflict_do_nothing())
        last = connection.execute(held).scalar_one()
    if count:
        taken = sa.update(deployment).where(table.name == _SEQUENCE).values(value=str(int(last) + count))
        connection.execute(taken)
    return int(last) + 1


def last_sequence(connection: sa.Connection) -> int:
    """Give the last number of which all up to it are committed."""
    query = sa.select(deployment.c.value).where(deployment.c.name == _SEQUENCE)
    return int(connection.execute(query).scalar_one_or_none() or 0)


def _remove(connection: sa.Connection, ids: Sequence[str]) -> None:
    """Make room for the finish of calls that were known as begun."""
    for at in range(0, len(ids), 500):
        connection.execute(sa.delete(calls).where(calls.c.id.in_(ids[at : at + 500])))


def _cleaned(
    fresh: list[CallFinished], opened: list[CallBegun], erased: Erased
) -> tuple[list[CallFinished], list[CallBegun]]:
    if not erased:
        return fresh, opened
    return [erased.finished(record) for record in fresh], [erased.begun(record) for record in opened]


def _link_feedback(connection: sa.Connection) -> None:
    """Give feedback that came before its call what it lacks."""
    if connection.exec_driver_sql("SELECT 1 FROM feedback WHERE pending LIMIT 1").first() is None:
        return

    def own(column: str, source: str) -> str:
        return f"{column} = COALESCE({column}, (SELECT c.{source} FROM calls c WHERE c.id = feedback.call_id))"

    connection.exec_driver_sql(
        f"UPDATE feedback SET pending = false, {own('model_used', 'model')}, {own('task_type', 'task')}, "
        f"{own('message_id', 'message_id')}, {own('user_id', 'user_id')} "
        "WHERE pending AND EXISTS (SELECT 1 FROM calls c WHERE c.id = feedback.call_id "
        "AND c.tenant = feedback.tenant AND c.state = 'finished')"
    )
