"""Changes, the edges they take, and who holds which surface. The row is the truth; every write is held to the table of lawful edges.

A job writes under its fence: in one transaction it is seen to be the current attempt, the edge is lawful, the target's surface is
free or its own, and the edge, its evidence, its audit entry and what else belongs to it are written together, or nothing is.
Leases run on the database's clock, so that workers need not agree on the time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from meliora.errors import Conflict
from meliora.loop.change import Change, Edge, Environment, Origin
from meliora.loop.improvements import impact
from meliora.loop.record import noted
from meliora.loop.shelf import Due, EdgeWish, Held, Tally
from meliora.loop.states import ENDED, HOLDING, State, holds, lawful
from meliora.loop.work import Fence, Superseded
from meliora.store.audit import Audit, Recording
from meliora.store.change_rows import EDGE, change_of, edge_of, holder_of, read_change, row_of, set_columns
from meliora.store.cursors import Page, decode, encode
from meliora.store.engine import reading, writing
from meliora.store.halting import halting
from meliora.store.learning_events import Learned, LearningEvents
from meliora.store.rows import before, insert_into, new_id, page_size
from meliora.store.tables import audit_entries, change_edges, change_holds, changes, cycles

Also = Callable[[sa.Connection], None]
"""What belongs to an edge and is written in its transaction."""

MOST_LEASE_US = 3_600_000_000
"""A lease that ends later than this from now was made before the clock was set back: it is over."""


class Changes:
    """Keep the changes of all tenants."""

    def __init__(
        self,
        engine: sa.Engine,
        clock_us: Callable[[], int],
        randbytes: Callable[[int], bytes],
        audit: Audit,
        *,
        database_clock: bool = True,
    ) -> None:
        self._engine = engine
        self._clock_us = clock_us
        self._randbytes = randbytes
        self._audit = audit
        self._events = LearningEvents(engine, clock_us)
        self._database_clock = database_clock and engine.dialect.name == "postgresql"

    def now_us(self, connection: sa.Connection | None = None) -> int:
        """Give the time that leases and dates run on."""
        if not self._database_clock:
            return self._clock_us()
        if connection is None:
            with reading(self._engine) as own:
                return self.now_us(own)
        return round(float(connection.execute(_DATABASE_NOW).scalar_one()) * 1e6)

    # Reading

    def get(self, tenant: str, change: str) -> Change:
        """Give one change. Raises `NotFound`."""
        with reading(self._engine) as connection:
            return read_change(connection, tenant, change)

    def edges(self, tenant: str, change: str) -> tuple[Edge, ...]:
        """Give the edges that a change took, the first one first. Raises `NotFound`."""
        query = sa.select(*EDGE).where(_E.tenant == tenant, _E.change == change).order_by(_E.seq)
        with reading(self._engine) as connection:
            read_change(connection, tenant, change)
            return tuple(edge_of(row) for row in connection.execute(query))

    def list(
        self,
        tenant: str,
        *,
        state: Sequence[State] = (),
        kind: str | None = None,
        cycle: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Change]:
        """Give changes, the newest first; at most 500."""
        limit = page_size(limit)
        query = sa.select(changes).where(_T.tenant == tenant)
        if state:
            query = query.where(_T.state.in_([str(one) for one in state]))
        if kind is not None:
            query = query.where(_T.kind == kind)
        if cycle is not None:
            query = query.where(_T.cycle == cycle)
        if cursor is not None:
            query = query.where(before(_T.created_us, _T.id, decode(cursor, str)))
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(_T.created_us.desc(), _T.id.desc()).limit(limit + 1)).all()
        found = tuple(change_of(row) for row in rows[:limit])
        return Page(found, encode(found[-1].created_us, found[-1].id) if len(rows) > limit else None)

    def of_cycle(self, tenant: str, cycle: str) -> tuple[Change, ...]:
        """Give a cycle's changes, the oldest first."""
        query = sa.select(changes).where(_T.tenant == tenant, _T.cycle == cycle).order_by(_T.created_us, _T.id)
        with reading(self._engine) as connection:
            return tuple(change_of(row) for row in connection.execute(query))

    def moved(self, tenant: str, since_us: int, until_us: int, limit: int = 1000) -> tuple[Change, ...]:
        """Give the changes that took an edge in a time, the oldest first; at most `limit`, the newest ones."""
        ids = sa.select(_E.change).where(_E.tenant == tenant, _E.at_us >= since_us, _E.at_us < until_us)
        query = sa.select(changes).where(_T.tenant == tenant, _T.id.in_(ids.scalar_subquery()))
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(_T.created_us.desc(), _T.id.desc()).limit(limit)).all()
        return tuple(change_of(row) for row in reversed(rows))

    def counts(self, tenant: str, since_us: int) -> dict[str, dict[str, int]]:
        """Count the changes made since, by kind and state."""
        query = (
            sa.select(_T.kind, _T.state, sa.func.count())
            .where(_T.tenant == tenant, _T.created_us >= since_us)
            .group_by(_T.kind, _T.state)
        )
        found: dict[str, dict[str, int]] = {}
        with reading(self._engine) as connection:
            for kind, state, count in connection.execute(query):
                found.setdefault(kind, {})[state] = count
        return found

    def tally(self, tenant: str, target: str, since_us: int, but: str) -> Tally:
        """Count what was delivered since, over all tenants, and say when the last other change of a target ended."""
        delivered = (
            sa.select(sa.func.count()).select_from(change_edges).where(_E.target == "delivering", _E.at_us >= since_us)
        )
        ended = sa.select(sa.func.max(_T.updated_us)).where(
            _T.tenant == tenant, _T.target == target, _T.id != but, _T.state.in_([str(one) for one in ENDED])
        )
        with reading(self._engine) as connection:
            return Tally(connection.execute(delivered).scalar_one(), connection.execute(ended).scalar())

    def earlier_trials(self, change: str) -> tuple[bool, ...]:
        """Give, of all trials that began before a change's, in their order, whether each ended in a delivery."""
        began = (
            sa.select(_E.change, sa.func.min(_E.at_us).label("at")).where(_E.target == "trying").group_by(_E.change)
        ).subquery()
        delivered = sa.exists().where(_E.change == began.c.change, _E.target == "delivering")
        own = sa.select(began.c.at).where(began.c.change == change).scalar_subquery()
        query = sa.select(delivered).select_from(began).where(began.c.change != change)
        query = query.where(sa.or_(own.is_(None), began.c.at < own)).order_by(began.c.at, began.c.change)
        with reading(self._engine) as connection:
            return tuple(bool(one) for one in connection.execute(query).scalars())

    def holder(self, tenant: str, surface: str) -> str | None:
        """Give the change that holds a surface."""
        with reading(self._engine) as connection:
            return holder_of(connection, tenant, surface)

    def last_of_target(self, tenant: str, change: str) -> Also:
        """Give what refuses, in an edge's transaction, where another change was delivered to its target after it and still stands.

        It raises `Conflict`. After is by the order of the audit, which no clock can change.
        """

        def checked(connection: sa.Connection) -> None:
            delivered = sa.and_(_A.tenant == tenant, _A.action == _DELIVERED)
            mine = sa.select(sa.func.max(_A.seq)).where(delivered, _A.subject == change).scalar_subquery()
            target = read_change(connection, tenant, change).target
            later = (
                sa.select(_T.id)
                .join(audit_entries, sa.and_(delivered, _A.subject == _T.id, _A.seq > mine))
                .where(_T.tenant == tenant, _T.target == target, _T.id != change, _T.state.in_(_STANDING))
                .order_by(_A.seq.desc())
            )
            found = connection.execute(later.limit(1)).scalar()
            if found is not None:
                raise Conflict(
                    f"Change {found} was delivered to {target} after {change}.",
                    hint="Roll that one back first.",
                )

        return checked

    def due(self, limit: int = 20, *, restoring_only: bool = False) -> tuple[Due, ...]:
        """Give the changes that have something to do and nobody at it, the longest due first."""
        with reading(self._engine) as connection:
            now = self.now_us(connection)
            query = (
                sa.select(_T.tenant, _T.id, _T.state)
                .where(_T.due_us.is_not(None), _ripe(now), _free(now))
                .order_by(_T.due_us)
                .limit(limit)
            )
            if restoring_only:
                query = query.where(_T.state.in_(_RESTORED))
            return tuple(Due(row.tenant, row.id, State(row.state)) for row in connection.execute(query))

    # Writing

    def add(
        self,
        tenant: str,
        *,
        kind: str,
        target: str,
        surface: str,
        environment: Environment,
        origin: Origin,
        state: State = State.OBSERVED,
        summary: str = "",
        payload: dict[str, Any] | None = None,
        baseline: str | None = None,
        candidate: str | None = None,
        cycle: str | None = None,
        finding: str | None = None,
        evidence: dict[str, Any] | None = None,
        nth: int | None = None,
        also: Callable[[sa.Connection, Change], None] | None = None,
    ) -> Change:
        """Begin a change, due at once. Its first edge leads from `observed` to where it begins.

        With `nth` it is the cycle's change of that number, counted from 0; raises `Conflict` where another has made it meanwhile.
        """
        with self._audit.recording() as recording:
            connection = recording.connection
            if nth is not None:
                connection.execute(sa.select(cycles.c.id).where(cycles.c.id == cycle).with_for_update())
                made = sa.select(sa.func.count()).select_from(changes).where(_T.cycle == cycle)
                if connection.execute(made).scalar_one() != nth:
                    raise Conflict(f"Cycle {cycle} has its change number {nth} already.")
            now = self.now_us(connection)
            change = Change(
                id=new_id("chg", self._randbytes),
                tenant=tenant,
                kind=kind,
                target=target,
                surface=surface,
                environment=environment,
                origin=origin,
                state=state,
                summary=summary,
                payload=payload or {},
                baseline=baseline,
                candidate=candidate,
                cycle=cycle,
                finding=finding,
                due_us=now,
                created_us=now,
                updated_us=now,
            )
            connection.execute(sa.insert(changes).values(**row_of(change)))
            self._note(recording, change, State.OBSERVED, origin.name, evidence or {}, None, now)
            if also is not None:
                also(connection, change)
            return change

    def claim(self, due: Due, owner: str, lease_us: int) -> Change | None:
        """Take up what is due under the next attempt number; None where somebody else did, or it is due no more."""
        with writing(self._engine) as connection:
            now = self.now_us(connection)
            taken = connection.execute(
                sa.update(changes)
                .where(_T.tenant == due.tenant, _T.id == due.change, _T.due_us.is_not(None), _ripe(now), _free(now))
                .values(attempt=_T.attempt + 1, lease_owner=owner, lease_until_us=now + lease_us)
            )
            return read_change(connection, due.tenant, due.change) if taken.rowcount else None

    def renew(self, fence: Fence, lease_us: int, progress: dict[str, Any] | None = None) -> None:
        """Go on for another while, and note how far it is. Raises `Superseded`."""
        with writing(self._engine) as connection:
            change = self._held(connection, fence)
            values: dict[str, Any] = {"lease_until_us": self.now_us(connection) + lease_us}
            if progress is not None:
                values["progress"] = change.progress | progress
            set_columns(connection, change, **values)

    def put_off(
        self, fence: Fence, seconds: float | None, *, progress: dict[str, Any] | None = None, reason: str | None = None
    ) -> Change:
        """Leave it where it stands until later (None: until somebody acts), and give up the lease. Raises `Superseded`."""
        with writing(self._engine) as connection:
            change = self._held(connection, fence)
            now = self.now_us(connection)
            due = None if seconds is None else now + round(seconds * 1e6)
            set_columns(
                connection,
                change,
                due_us=due,
                lease_owner=None,
                lease_until_us=None,
                progress=change.progress | (progress or {}),
                reason=reason,
                updated_us=now,
            )
            return read_change(connection, fence.tenant, fence.change)

    def take(self, fence: Fence, wish: EdgeWish, also: Also | None = None) -> Change:
        """Take an edge as the current attempt. Raises `Superseded`; `Held` where another change holds the surface."""
        with self._audit.recording() as recording:
            return self._go(recording, self._held(recording.connection, fence), wish, also)

    def act(self, tenant: str, change: str, expected: State, wish: EdgeWish, also: Also | None = None) -> Change:
        """Take an edge by a person's word: what is under way there is superseded. Raises `Conflict` where it stands elsewhere by now."""
        with self._audit.recording() as recording:
            found = read_change(recording.connection, tenant, change, lock=True)
            if found.state is not expected:
                raise Conflict(f"Change {change} is {found.state} by now, not {expected}.", hint="Look at it again.")
            set_columns(recording.connection, found, attempt=found.attempt + 1)
            return self._go(recording, msgspec.structs.replace(found, attempt=found.attempt + 1), wish, also)

    def wake(self, tenant: str, change: str) -> None:
        """Make a change due now: something that it waited for has come. Nothing happens to one that has ended."""
        with writing(self._engine) as connection:
            connection.execute(
                sa.update(changes)
                .where(_T.tenant == tenant, _T.id == change, _T.state.not_in([str(one) for one in ENDED]))
                .values(due_us=self.now_us(connection))
            )

    def check(self, fence: Fence) -> Callable[[sa.Connection], None]:
        """Give what a plane's repository calls first in its own transaction: it raises `Superseded` for an old attempt."""

        def held(connection: sa.Connection) -> None:
            self._held(connection, fence)

        return held

    def _held(self, connection: sa.Connection, fence: Fence) -> Change:
        found = read_change(connection, fence.tenant, fence.change, lock=True)
        if found.attempt != fence.attempt:
            raise Superseded(
                f"Attempt {fence.attempt} at change {fence.change} was superseded by attempt {found.attempt}.",
                hint="Nothing is to be done: what it wanted to write was not written.",
            )
        return found

    def _go(self, recording: Recording, change: Change, wish: EdgeWish, also: Also | None) -> Change:
        connection = recording.connection
        if not lawful(change.state, wish.target, change.paused_from):
            raise Conflict(f"Change {change.id} is {change.state}: no edge leads from there to {wish.target}.")
        if wish.target not in _UNDER_HALT and halting(connection).halted:
            raise Conflict(
                f"The kill switch is on: change {change.id} stays {change.state}.",
                hint="`meliora loop resume` lifts it.",
            )
        now = self.now_us(connection)
        stands = change.paused_from if change.state is State.PAUSED else change.state
        paused_from = stands if wish.target is State.PAUSED else None
        self._hold(connection, change, wish.target, paused_from)
        moved = msgspec.structs.replace(
            change,
            **wish.values,
            state=wish.target,
            paused_from=paused_from,
            reason=wish.reason,
            progress=wish.progress if wish.progress is not None else change.progress,
            due_us=None if wish.wait is None or wish.target in ENDED else now + round(wish.wait * 1e6),
            lease_owner=None,
            lease_until_us=None,
            updated_us=now,
        )
        connection.execute(sa.update(changes).where(_T.id == change.id).values(**row_of(moved)))
        self._note(recording, moved, change.state, wish.actor, wish.evidence, wish.policy, now)
        if wish.target in (State.KEPT, State.ROLLED_BACK):
            self._learn(connection, moved)
        if also is not None:
            also(connection)
        return moved

    def _learn(self, connection: sa.Connection, change: Change) -> None:
        """Note what the deployment learned of a change: what it was worth where it stays, and 0 where nothing of it does."""
        kept = change.state is State.KEPT
        versions = {"version": change.baseline}, {"version": change.candidate}
        before, after = versions if kept else versions[::-1]
        seen = connection.execute(sa.select(*EDGE).where(_E.change == change.id).order_by(_E.seq))
        learned = Learned(
            event_type="improvement_applied",
            category=change.kind,
            before_state=before,
            after_state=after | {"change": change.id, "state": str(change.state), "target": change.target},
            impact_score=impact([edge_of(row) for row in seen]) if kept else 0.0,
        )
        self._events.add(change.tenant, connection, learned)

    def _hold(self, connection: sa.Connection, change: Change, target: State, paused_from: State | None) -> None:
        had, has = holds(change.state, change.paused_from), holds(target, paused_from)
        if has and not had:
            insert = insert_into(connection, change_holds).values(
                tenant=change.tenant, surface=change.surface, change=change.id
            )
            connection.execute(insert.on_conflict_do_nothing())
            holder = holder_of(connection, change.tenant, change.surface)
            if holder != change.id:
                raise Held(change.surface, holder or "another change")
        elif had and not has:
            connection.execute(sa.delete(change_holds).where(_H.tenant == change.tenant, _H.change == change.id))

    def _note(
        self,
        recording: Recording,
        change: Change,
        source: State,
        actor: str,
        evidence: dict[str, Any],
        policy: str | None,
        now: int,
    ) -> None:
        connection = recording.connection
        last = connection.execute(sa.select(sa.func.max(_E.seq)).where(_E.change == change.id)).scalar() or 0
        edge = Edge(
            change=change.id,
            seq=last + 1,
            source=source,
            target=change.state,
            at_us=now,
            actor=actor,
            attempt=change.attempt,
            evidence=evidence,
            policy=policy,
        )
        row = msgspec.structs.asdict(edge) | {
            "tenant": change.tenant,
            "source": str(edge.source),
            "target": str(edge.target),
            "evidence": msgspec.json.encode(edge.evidence, order="sorted").decode(),
        }
        connection.execute(sa.insert(change_edges).values(**row))
        recording.append(noted(change, edge))


_T = changes.c
_E = change_edges.c
_H = change_holds.c
_A = audit_entries.c
_DELIVERED = "change.delivering"
_DATABASE_NOW = sa.text("SELECT extract(epoch FROM clock_timestamp())")
_UNDER_HALT = {
    State.STOPPING,
    State.ROLLING_BACK,
    State.ROLLED_BACK,
    State.ROLLBACK_FAILED,
    State.REJECTED,
    State.PAUSED,
}
_STANDING = [str(one) for one in (State.KEPT, State.PAUSED, *HOLDING)]
_RESTORED = [str(one) for one in (State.STOPPING, State.ROLLING_BACK, State.DELIVERING)]


def _ripe(now: int) -> sa.ColumnElement[bool]:
    """Due by now, or due by a clock that has been set back since."""
    return sa.or_(_T.due_us <= now, _T.updated_us > now + 60_000_000)


def _free(now: int) -> sa.ColumnElement[bool]:
    return sa.or_(_T.lease_until_us.is_(None), _T.lease_until_us <= now, _T.lease_until_us > now + MOST_LEASE_US)
