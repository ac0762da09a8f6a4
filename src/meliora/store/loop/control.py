"""Whether the loop runs, whether it is killed, and which processes have heard of it. Belongs to the deployment, not to a tenant."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import sqlalchemy as sa

from meliora.loop.audit.entry import AuditNote, word
from meliora.loop.control import Ack, Acks, Process, RunState
from meliora.store.engine import reading, writing
from meliora.store.loop.audit import Audit, Recording
from meliora.store.rows import hold, insert_into
from meliora.store.tables import gateways, loop_control, loop_processes

ALIVE_US = 60_000_000
"""A process that was silent for longer is not waited for."""
_FORGET_US = 86_400_000_000
_TENANT = "default"
"""Whose the acts on the whole deployment are."""
_LOCK = "lock:loop_control"


class Control:
    """Keep the run state and the acknowledgements. Nothing written yet: the loop runs, and nobody has killed it."""

    def __init__(self, engine: sa.Engine, audit: Audit, clock_us: Callable[[], int]) -> None:
        self._engine = engine
        self._audit = audit
        self._clock_us = clock_us

    def state(self) -> RunState:
        """Give how the loop stands."""
        with reading(self._engine) as connection:
            return _state(connection)

    def halted(self) -> bool:
        """Tell whether the kill switch is on."""
        query = sa.select(_T.value).where(_T.name == "halted")
        with reading(self._engine) as connection:
            return connection.execute(query).scalar_one_or_none() == "1"

    def running(self) -> bool:
        """Tell whether the loop may begin anything new."""
        query = sa.select(_T.value).where(_T.name == "running")
        with reading(self._engine) as connection:
            return connection.execute(query).scalar_one_or_none() != "0"

    def start(self, by: str) -> bool:
        """Let the loop begin things; False where it could already."""
        return self._run(by, running=True)

    def stop(self, by: str) -> bool:
        """Let it begin nothing new, over restarts too; False where it did not already."""
        return self._run(by, running=False)

    def kill(self, by: str, why: str) -> int:
        """Switch the kill switch on and give the epoch to acknowledge; killed already, the epoch stays."""
        return self._switch(by, why, halted=True)

    def resume(self, by: str, why: str) -> int:
        """Switch it off and give the epoch; not killed, the epoch stays."""
        return self._switch(by, why, halted=False)

    def beat(self, process: Process, epoch: int) -> None:
        """Note that a process lives, and which epoch it obeys. One silent for a day is forgotten.

        One that begins under an epoch obeys it from its start, and is late for none.
        """
        now = self._clock_us()
        with writing(self._engine) as connection:
            known = connection.execute(
                sa.select(_P.kill_epoch, _P.acked_us).where(_P.id == process.id).with_for_update()
            ).one_or_none()
            before, acked = (epoch, 0 if epoch else None) if known is None else (known.kill_epoch, known.acked_us)
            row = msgspec.structs.asdict(process) | {
                "seen_us": now,
                "kill_epoch": max(before, epoch),
                "acked_us": now if epoch > before else acked,
            }
            insert = insert_into(connection, loop_processes).values(**row)
            connection.execute(insert.on_conflict_do_update(index_elements=["id"], set_=row))
            connection.execute(sa.delete(loop_processes).where(_P.seen_us < now - _FORGET_US))

    def leave(self, process_id: str) -> None:
        """Forget a process that ends in order."""
        with writing(self._engine) as connection:
            connection.execute(sa.delete(loop_processes).where(_P.id == process_id))

    def acks(self, epoch: int | None = None) -> Acks:
        """Give who has acknowledged the present epoch, or had when a later one came; by kind and id.

        Gateways say so with their heartbeats, workers by `beat`.
        """
        now = self._clock_us()
        with reading(self._engine) as connection:
            state = _state(connection)
            made = state.since_us or 0
            others = [_P[name] for name in (*Process.__struct_fields__, "seen_us", "kill_epoch", "acked_us")]
            # A gateway that began after the turn obeys it from its start.
            acked = sa.case((_G.started_us > made, 0), else_=_G.kill_us).label("acked_us")
            same = [_G.id, sa.literal("gateway").label("kind"), _G.host, _G.pid, _G.seen_us, _G.kill_epoch, acked]
            both = sa.union_all(sa.select(*others), sa.select(*same)).subquery()
            rows = connection.execute(sa.select(both).order_by(both.c.kind, both.c.id)).all()
        wanted = state.kill_epoch if epoch is None else epoch
        at_us = state.since_us if wanted == state.kill_epoch else None
        found = []
        for row in rows:
            seconds = None
            if row.kill_epoch >= wanted and row.acked_us is not None:
                seconds = 0.0 if at_us is None else max(0.0, (row.acked_us - at_us) / 1e6)
            found.append(
                Ack(
                    id=row.id,
                    kind=row.kind,
                    host=row.host,
                    pid=row.pid,
                    seen_us=row.seen_us,
                    seconds=seconds,
                    alive=row.seen_us >= now - ALIVE_US,
                )
            )
        return Acks(epoch=wanted, at_us=at_us, processes=tuple(found))

    def _run(self, by: str, *, running: bool) -> bool:
        with self._audit.recording() as recording:
            hold(recording.connection, _LOCK)
            changed = _state(recording.connection).running != running
            if changed:
                self._put(recording, running="1" if running else "0")
                _tell(recording, by, "loop.start" if running else "loop.stop", {})
        return changed

    def _switch(self, by: str, why: str, *, halted: bool) -> int:
        with self._audit.recording() as recording:
            hold(recording.connection, _LOCK)
            state = _state(recording.connection)
            epoch = state.kill_epoch
            if state.halted != halted:
                epoch += 1
                self._put(
                    recording,
                    kill_epoch=str(epoch),
                    halted="1" if halted else "0",
                    halted_by=by,
                    halted_why=why,
                )
            body = {"epoch": epoch, "changed": state.halted != halted, "why": self._audit.digest(why)}
            _tell(recording, by, "loop.kill" if halted else "loop.resume", body)
        return epoch

    def _put(self, recording: Recording, **values: str) -> None:
        now = self._clock_us()
        for name, value in values.items():
            row = {"name": name, "value": value, "at_us": now}
            insert = insert_into(recording.connection, loop_control).values(**row)
            recording.connection.execute(insert.on_conflict_do_update(index_elements=["name"], set_=row))


_T = loop_control.c
_P = loop_processes.c
_G = gateways.c


def _state(connection: sa.Connection) -> RunState:
    rows = {row.name: row for row in connection.execute(sa.select(loop_control))}
    epoch = rows.get("kill_epoch")
    return RunState(
        running="running" not in rows or rows["running"].value == "1",
        halted="halted" in rows and rows["halted"].value == "1",
        kill_epoch=0 if epoch is None else int(epoch.value),
        since_us=None if epoch is None else epoch.at_us,
        by=rows["halted_by"].value if "halted_by" in rows else None,
        why=rows["halted_why"].value if "halted_why" in rows else None,
    )


def _tell(recording: Recording, by: str, action: str, body: dict[str, object]) -> None:
    recording.append(AuditNote(tenant=_TENANT, actor=word(by), action=action, subject="loop", body=body))
