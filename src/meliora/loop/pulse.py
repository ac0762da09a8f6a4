"""The loop's pulse: at each tick the gates are looked at; a breach, a schedule or a person opens a cycle, and open cycles go on.

A cycle tries one kind of change after the other until one is kept. A tick that finds nothing opens none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from meliora.errors import Conflict, InvalidRequest, MelioraError
from meliora.loop.change import Change, Environment, Origin
from meliora.loop.cycle import Cycle, CycleOutcome
from meliora.loop.kind import ChangeKind
from meliora.loop.policy.decide import Decision
from meliora.loop.states import ENDED, State

log = structlog.get_logger(__name__)


class Breach(Protocol):
    """A gate as a tick left it."""

    @property
    def gate(self) -> str:
        """Its name."""
        ...

    def plain(self) -> dict[str, Any]:
        """Give what was measured, as plain data."""
        ...


class Reaction(Protocol):
    """What a trigger says is to be done."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of change to try, in order."""
        ...


class Signals(Protocol):
    """Gates, triggers and schedules of a tenant."""

    def tick(self, tenant: str) -> Sequence[Breach]:
        """Evaluate the gates that are due, and give those that fail now."""
        ...

    def reaction(self, tenant: str, gate: str) -> Reaction | None:
        """Give what is to be done about a gate; None where no trigger names it."""
        ...

    def scheduled(self, tenant: str) -> Sequence[Reaction]:
        """Give the schedules whose time has come, each once."""
        ...

    def failing(self, tenant: str) -> Sequence[Breach]:
        """Give the gates that fail now."""
        ...


class CycleShelf(Protocol):
    """Cycles as they are kept. All methods raise `StoreError`."""

    def open(
        self,
        tenant: str,
        *,
        environment: Environment,
        origin: Origin,
        subject: str,
        kinds: tuple[str, ...],
        breach: dict[str, Any] | None = None,
    ) -> Cycle | None:
        """Open one; None where one of the subject is open."""
        ...

    def close(self, tenant: str, cycle: str, outcome: CycleOutcome, notes: dict[str, Any] | None = None) -> Cycle:
        """Close it."""
        ...

    def open_ones(self, limit: int = 500) -> Sequence[Cycle]:
        """Give those that are open."""
        ...


class ChangeShelf(Protocol):
    """Changes as the pulse needs them."""

    def of_cycle(self, tenant: str, cycle: str) -> Sequence[Change]:
        """Give a cycle's changes, the oldest first."""
        ...

    def add(
        self,
        tenant: str,
        *,
        kind: str,
        target: str,
        surface: str,
        environment: Environment,
        origin: Origin,
        cycle: str | None = None,
        finding: str | None = None,
        nth: int | None = None,
    ) -> Change:
        """Begin a change. Raises `Conflict` where the cycle has its `nth` change already."""
        ...


@dataclass(frozen=True, slots=True)
class Pulse:
    """The loop's heart. Several may beat on one store: a subject has one open cycle, a cycle one change at a time."""

    signals: Signals
    cycles: CycleShelf
    changes: ChangeShelf
    kinds: Mapping[str, ChangeKind]
    may_open: Callable[[str, str], Decision]
    """Tenant and subject to whether a cycle may be opened: caps, cooldown, running, the kill switch."""
    tenants: Callable[[], Sequence[str]]
    environment: Environment
    closed: Callable[[Cycle, Sequence[Change]], None] = lambda cycle, changes: None
    """Told of each cycle that ended, once it is written: artifacts are made then."""
    prefer: Callable[[str, str], Sequence[str]] = lambda tenant, finding: ()
    """Tenant and finding to the kinds that answer what was found, the likeliest first. Others come after, as the trigger has them."""

    def tick(self) -> tuple[Cycle, ...]:
        """Look at all tenants, and go on with what is open. Gives the cycles that it opened."""
        self.follow()
        opened = []
        for tenant in self.tenants():
            opened.extend(self._tick(tenant))
        return tuple(opened)

    def trigger(self, tenant: str, origin: Origin, *, force: bool, kinds: Sequence[str] = ()) -> Cycle | None:
        """Look at once, by a person's word; with `force` open a cycle also where every gate holds. None where there is nothing to do.

        Raises `InvalidRequest` for a kind that is not known, `Conflict` where a cycle may not be opened now.
        """
        for kind in kinds:
            self._known(kind)
        for breach in self.signals.failing(tenant):
            reaction = self.signals.reaction(tenant, breach.gate)
            wanted = tuple(k for k in reaction.kinds if not kinds or k in kinds) if reaction is not None else ()
            if wanted:
                return self._asked(tenant, origin, breach.gate, wanted, breach.plain())
        if not force:
            return None
        return self._asked(tenant, origin, "asked", tuple(kinds) or tuple(self.kinds), None)

    def follow(self) -> None:
        """Go on with the cycles that are open: the next kind where one was rejected, the end where there is no other."""
        for cycle in self.cycles.open_ones():
            try:
                self._follow(cycle)
            except MelioraError as error:
                log.error("a cycle could not go on", cycle=cycle.id, error=str(error))

    def _tick(self, tenant: str) -> list[Cycle]:
        asked = [
            (Origin("gate", breach.gate), breach.gate, reaction, breach.plain())
            for breach in self.signals.tick(tenant)
            if (reaction := self.signals.reaction(tenant, breach.gate)) is not None
        ]
        asked += [(Origin("schedule", one.name), one.name, one, None) for one in self.signals.scheduled(tenant)]
        cycles = [self._open(tenant, origin, subject, one.kinds, plain) for origin, subject, one, plain in asked]
        return [cycle for cycle in cycles if cycle is not None]

    def _open(
        self, tenant: str, origin: Origin, subject: str, kinds: tuple[str, ...], breach: dict[str, Any] | None
    ) -> Cycle | None:
        decision = self.may_open(tenant, subject)
        if not decision.allowed:
            log.info("no cycle is opened", tenant=tenant, subject=subject, reason=decision.reason)
            return None
        wanted = tuple(kind for kind in kinds if kind in self.kinds)
        if not wanted:
            log.warning("no kind of change that is known here answers this", subject=subject, kinds=kinds)
            return None
        cycle = self.cycles.open(
            tenant, environment=self.environment, origin=origin, subject=subject, kinds=wanted, breach=breach
        )
        if cycle is not None:
            log.info("a cycle was opened", cycle=cycle.id, subject=subject, kinds=wanted)
            self._follow(cycle)
        return cycle

    def _asked(
        self, tenant: str, origin: Origin, subject: str, kinds: tuple[str, ...], breach: dict[str, Any] | None
    ) -> Cycle:
        decision = self.may_open(tenant, subject)
        if not decision.allowed:
            raise Conflict(f"No cycle is opened now: {decision.reason.rstrip('.')}.")
        cycle = self._open(tenant, origin, subject, kinds, breach)
        if cycle is None:
            raise Conflict(f"A cycle about {subject!r} is open already.", hint="`meliora loop status` shows it.")
        return cycle

    def _follow(self, cycle: Cycle) -> None:
        changes = self.changes.of_cycle(cycle.tenant, cycle.id)
        if changes and changes[-1].state not in ENDED:
            return
        last = changes[-1] if changes else None
        if last is not None and last.state is not State.REJECTED:
            outcome: CycleOutcome = "improved" if last.state is State.KEPT else "rolled_back"
            self._close(cycle, outcome, changes)
        elif len(changes) < len(cycle.kinds):
            finding = next((change.finding for change in reversed(changes) if change.finding is not None), None)
            self._next(cycle, self._known(self._choose(cycle, changes, finding)), finding, len(changes))
        else:
            self._close(cycle, "unchanged", changes)

    def _choose(self, cycle: Cycle, changes: Sequence[Change], finding: str | None) -> str:
        tried = {change.kind for change in changes}
        left = [kind for kind in cycle.kinds if kind not in tried] or [cycle.kinds[len(changes)]]
        wanted = () if finding is None else self.prefer(cycle.tenant, finding)
        return next((kind for kind in wanted if kind in left), left[0])

    def _next(self, cycle: Cycle, kind: ChangeKind, finding: str | None, nth: int) -> None:
        try:
            self.changes.add(
                cycle.tenant,
                kind=kind.name,
                target=kind.name,
                surface=kind.surface,
                environment=cycle.environment,
                origin=cycle.origin,
                cycle=cycle.id,
                finding=finding,
                nth=nth,
            )
        except Conflict as error:
            log.info("another worker went on with the cycle", cycle=cycle.id, reason=str(error))

    def _close(self, cycle: Cycle, outcome: CycleOutcome, changes: Sequence[Change]) -> None:
        ended = self.cycles.close(cycle.tenant, cycle.id, outcome)
        log.info("a cycle was closed", cycle=cycle.id, outcome=outcome, changes=len(changes))
        self.closed(ended, changes)

    def _known(self, kind: str) -> ChangeKind:
        found = self.kinds.get(kind)
        if found is None:
            known = ", ".join(sorted(self.kinds))
            raise InvalidRequest(f"There is no kind of change {kind!r}.", hint=f"There are: {known}.", field="kinds")
        return found
