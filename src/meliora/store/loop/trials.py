"""The live trials of tenants, which gateways follow, and their stages. Of a tenant and a surface one at most is live.

Methods that end in `_in` are part of a transaction of whoever decides; the others take it themselves, and call `fenced` first in
it, which raises where the caller may no longer write.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import sqlalchemy as sa

from meliora.errors import Conflict, InvalidRequest, NotFound
from meliora.gateway.state import GATEWAY, Overlay, Phase, TrialState
from meliora.store.engine import once_more, reading, writing
from meliora.store.loop.halting import Halting, halting
from meliora.store.rows import AnyRow, hold, insert_into
from meliora.store.tables import trial_stages, trials

Fenced = Callable[[sa.Connection], None]


def unfenced(_connection: sa.Connection) -> None:
    """Let everybody write."""


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """A trial as it is kept."""

    state: TrialState
    live: bool
    began_us: int
    """When its phase began."""
    updated_us: int


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """A stage of a trial: the share that it had, and when."""

    phase: Phase
    stage: int
    share: float
    began_us: int
    ended_us: int | None


class Trials:
    """Keep trials, and the kill switch that stops all of them."""

    def __init__(self, engine: sa.Engine, clock_us: Callable[[], int]) -> None:
        self._engine = engine
        self._clock_us = clock_us

    def begin(self, tenant: str, trial: TrialState, fenced: Fenced = unfenced) -> None:
        """As `begin_in`, in a transaction of its own."""
        with writing(self._engine) as connection:
            fenced(connection)
            self.begin_in(tenant, connection, trial)

    def begin_in(self, tenant: str, connection: sa.Connection, trial: TrialState) -> None:
        """Let a trial split the tenant's calls from now on; a change begins again in its next phase.

        Once, however often it is called. One that was ended goes on as it was, at its stage or a later one. Raises `Conflict` where
        another change is on trial on the same surface, or this one is or was split in another way; `InvalidRequest` where the
        trial is of another tenant, or its share no share.
        """
        if trial.tenant != tenant:
            raise InvalidRequest(f"The trial of {trial.change} is of another tenant.", field="tenant")
        _check_share(trial.share)
        hold(connection, LEARNING_LOCK)  # one at a time, and no policy is published while the split begins
        before = connection.execute(_by_change(trial.change)).one_or_none()
        if before is not None and before.tenant != tenant:
            raise Conflict(f"The change {trial.change} is of another tenant.")
        if before is not None and before.live and _state(before) == trial:
            return
        if before is not None and not _may_follow(before, trial):
            raise Conflict(
                f"The {before.phase} of {trial.change} came to stage {before.stage}: it cannot begin as another one.",
                hint="A stage goes on by `ramp`.",
            )
        other = sa.select(_T.change).where(_T.tenant == tenant, _T.surface == trial.surface, _T.live)
        held = connection.execute(other.where(_T.change != trial.change)).scalar()
        if held is not None:
            raise Conflict(
                f"The change {held} is on trial on {trial.surface}.", hint="One at a time; wait for its end."
            )
        now = self._clock_us()
        values = {
            **{name: getattr(trial, name) for name in ("tenant", "surface", "phase", "salt", "unit", "stage", "share")},
            "overlay": msgspec.to_builtins(trial.overlay),
            "live": True,
            "began_us": now,
            "updated_us": now,
        }
        if before is None:
            connection.execute(sa.insert(trials).values(change=trial.change, **values))
        else:
            _close(connection, trial.change, now)
            connection.execute(sa.update(trials).where(_T.change == trial.change).values(**values))
        _open(connection, tenant, trial, now)

    def ramp(self, tenant: str, change: str, stage: int, share: float, fenced: Fenced = unfenced) -> None:
        """As `ramp_in`, in a transaction of its own."""
        with writing(self._engine) as connection:
            fenced(connection)
            self.ramp_in(tenant, connection, change, stage, share)

    def ramp_in(self, tenant: str, connection: sa.Connection, change: str, stage: int, share: float) -> None:
        """Go on to a later stage; nothing where it is there already. What is read of a trial is read stage by stage.

        Raises `NotFound` where no such trial is live, `Conflict` where it is at a later stage, or at this one with another share.
        """
        _check_share(share)
        row = connection.execute(_by_change(change).with_for_update()).one_or_none()
        if row is None or row.tenant != tenant or not row.live:
            raise _unknown(change)
        if (row.stage, row.share) == (stage, share):
            return
        if stage <= row.stage:
            raise Conflict(f"The trial of {change} is at stage {row.stage}, with a share of {row.share:g}.")
        now = self._clock_us()
        _close(connection, change, now)
        moved = {"stage": stage, "share": share, "updated_us": now}
        connection.execute(sa.update(trials).where(_T.change == change).values(**moved))
        _open(connection, tenant, msgspec.structs.replace(_state(row), stage=stage, share=share), now)

    def end(self, tenant: str, change: str, fenced: Fenced = unfenced) -> None:
        """As `end_in`, in a transaction of its own."""
        with writing(self._engine) as connection:
            fenced(connection)
            self.end_in(tenant, connection, change)

    def end_in(self, tenant: str, connection: sa.Connection, change: str) -> None:
        """Split no more: everybody is served by what serves. Nothing where none is live."""
        now = self._clock_us()
        own = sa.and_(_T.change == change, _T.tenant == tenant, _T.live)
        ended = connection.execute(sa.update(trials).where(own).values(live=False, updated_us=now)).rowcount
        if ended:
            _close(connection, change, now)

    def get(self, tenant: str, change: str) -> Trial:
        """Give the trial of a change, in its last phase. Raises `NotFound`."""
        with reading(self._engine) as connection:
            row = connection.execute(_by_change(change).where(_T.tenant == tenant)).one_or_none()
        if row is None:
            raise _unknown(change)
        return Trial(state=_state(row), live=row.live, began_us=row.began_us, updated_us=row.updated_us)

    @once_more
    def live(self, tenant: str) -> tuple[TrialState, ...]:
        """Give the tenant's live trials, one a surface at most."""
        with reading(self._engine) as connection:
            return live_in(connection, tenant)

    def stages(self, tenant: str, change: str) -> tuple[Stage, ...]:
        """Give the stages that a change went through, in their order."""
        query = sa.select(*[_S[name] for name in Stage.__struct_fields__])
        query = query.where(_S.tenant == tenant, _S.change == change).order_by(_S.began_us, _S.phase, _S.stage)
        with reading(self._engine) as connection:
            return tuple(Stage(**row._mapping) for row in connection.execute(query))

    def frozen(self, tenant: str) -> bool:
        """Say whether learning must not move the tenant's policy: a trial or watch splits its calls, or everything is halted."""
        with reading(self._engine) as connection:
            return frozen_in(connection, tenant)

    @once_more
    def halting(self) -> Halting:
        """Give how the kill switch stands: one row of a small table."""
        with reading(self._engine) as connection:
            return halting(connection)


_T = trials.c
_S = trial_stages.c
_PHASES: tuple[Phase, ...] = ("shadow", "trial", "watch")
"""In the order in which a change goes through them; none has to be there."""
LEARNING_LOCK = "routing_snapshots"
"""Held while a policy is put in service, and while a split of calls begins."""


def _by_change(change: str) -> sa.Select[*tuple[Any, ...]]:
    return sa.select(trials).where(_T.change == change)


def live_in(connection: sa.Connection, tenant: str | None = None) -> tuple[TrialState, ...]:
    """Give the live trials of a tenant, or of all."""
    query = sa.select(trials).where(_T.live).order_by(_T.tenant, _T.surface)
    if tenant is not None:
        query = query.where(_T.tenant == tenant)
    return tuple(_state(row) for row in connection.execute(query))


def frozen_in(connection: sa.Connection, tenant: str) -> bool:
    """As `Trials.frozen`, within a transaction."""
    split = sa.select(_T.change).where(_T.tenant == tenant, _T.surface == GATEWAY, _T.live)
    return connection.execute(split).first() is not None or halting(connection).halted


def _state(row: AnyRow) -> TrialState:
    values = {name: getattr(row, name) for name in TrialState.__struct_fields__ if name != "overlay"}
    return TrialState(**values, overlay=msgspec.convert(row.overlay, Overlay))


def _may_follow(before: AnyRow, trial: TrialState) -> bool:
    """Say whether a trial goes on from what is kept of its change: in a later phase, or the same one after a pause."""
    if before.phase != trial.phase:
        return _PHASES.index(before.phase) < _PHASES.index(trial.phase)
    held = _state(before)
    same = msgspec.structs.replace(held, stage=trial.stage, share=trial.share) == trial
    on = trial.stage > held.stage or (trial.stage, trial.share) == (held.stage, held.share)
    return not before.live and same and on


def _open(connection: sa.Connection, tenant: str, trial: TrialState, now: int) -> None:
    """Note that a stage begins, or goes on after a pause."""
    values = {name: getattr(trial, name) for name in ("change", "phase", "stage", "share")}
    insert = insert_into(connection, trial_stages).values(tenant=tenant, began_us=now, **values)
    again = insert.on_conflict_do_update(index_elements=["change", "phase", "stage"], set_={"ended_us": None})
    connection.execute(again)


def _close(connection: sa.Connection, change: str, now: int) -> None:
    opened = sa.and_(_S.change == change, _S.ended_us.is_(None))
    connection.execute(sa.update(trial_stages).where(opened).values(ended_us=now))


def _check_share(share: float) -> None:
    if not 0 <= share <= 1:
        raise InvalidRequest(f"The share {share:g} is none.", hint="It is from 0 to 1.", field="share")


def _unknown(change: str) -> NotFound:
    return NotFound(f"There is no trial of {change!r}.")
