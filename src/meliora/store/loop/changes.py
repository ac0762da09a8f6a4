"""Changes, the edges they take, and who holds which surface. The row is the truth; every write is held to the table of lawful edges.

A job writes under its fence: in one transaction it is seen to be the current attempt, the edge is lawful, the target's surface is
free or its own, and the edge, its evidence, its audit entry and what else belongs to it are written together, or nothing is.
Leases run on the database's clock, so that workers need not agree on the time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import sqlalchemy as sa

from meliora.errors import Conflict
from meliora.loop.change import Change, Edge, Environment, Origin
from meliora.loop.improvements import impact
from meliora.loop.record import noted
from meliora.loop.shelf import Due, EdgeWish, Held
from meliora.loop.states import ENDED, HOLDING, State, holds, lawful
from meliora.loop.work import Fence, Superseded
from meliora.store.engine import writing
from meliora.store.loop.audit import Audit, Recording
from meliora.store.loop.change_rows import EDGE, edge_of, holder_of, read_change, row_of, set_columns
from meliora.store.loop.changes_read import ChangesRead, free, ripe
from meliora.store.loop.halting import halting
from meliora.store.loop.learning_events import Learned, LearningEvents
from meliora.store.rows import insert_into, new_id
from meliora.store.tables import audit_entries, change_edges, change_holds, changes, cycles

Also = Callable[[sa.Connection], None]
"""What belongs to an edge and is written in its transaction."""


class Changes(ChangesRead):
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
        super().__init__(engine, clock_us, database_clock=database_clock)
        self._randbytes = randbytes
        self._audit = audit
        self._events = LearningEvents(engine, clock_us)

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
                .where(_T.tenant == due.tenant, _T.id == due.change, _T.due_us.is_not(None), ripe(now), free(now))
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
_UNDER_HALT = {
    State.STOPPING,
    State.ROLLING_BACK,
    State.ROLLED_BACK,
    State.ROLLBACK_FAILED,
    State.REJECTED,
    State.PAUSED,
}
_STANDING = [str(one) for one in (State.KEPT, State.PAUSED, *HOLDING)]
