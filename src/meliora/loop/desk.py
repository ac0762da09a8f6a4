"""What people, agents and programs ask of the loop: how it stands, do this, stop that. HTTP, command line and MCP call it.

Each act is by somebody and noted in the audit; what the loop does by itself is not here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import msgspec

from meliora.errors import InvalidRequest, NotFound
from meliora.loop.acts import Acts
from meliora.loop.change import Change, Edge, Environment, Origin, OriginKind
from meliora.loop.cycle import Cycle
from meliora.loop.improvements import gains, improvements
from meliora.loop.pulse import Pulse
from meliora.loop.states import ENDED, State

DAY_US = 86_400_000_000
Target = Literal["all", "models", "infrastructure"]
AREAS: dict[str, tuple[str, ...]] = {
    "models": ("routing_policy", "routing_rule"),
    "infrastructure": ("model_choice",),
}
"""What the documented targets of a trigger mean."""


class Actor(msgspec.Struct, frozen=True):
    """Who asks: `person` or `agent`, by key id, or `cli`."""

    name: str
    kind: OriginKind = "person"


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the history: a change as it stands."""

    id: str
    cycle_id: str | None
    type: str
    target: str
    status: State
    environment: Environment
    origin: Origin
    summary: str
    reason: str | None
    created_us: int
    updated_us: int


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """How the loop stands; the first six as documented."""

    is_running: bool
    total_optimizations_24h: int
    actions_by_type: dict[str, int]
    quality_gates_status: Literal["passing", "near", "failing", "no_data"]
    next_cycle_in_minutes: float | None
    last_action: Action | None
    halted: bool
    environment: Environment
    open_cycles: tuple[str, ...]
    in_progress: tuple[Action, ...]
    waiting_for_people: int
    uptime_seconds: float | None = None


class Triggered(msgspec.Struct, frozen=True, kw_only=True):
    """What a trigger came to. `improvements` are null until they were measured."""

    status: Literal["started", "nothing_to_do"]
    cycle_id: str | None
    actions_taken: tuple[str, ...]
    improvements: dict[str, str | None]


class History(msgspec.Struct, frozen=True):
    """Actions, the newest first."""

    items: tuple[Action, ...]
    next: str | None = None


class CycleShown(msgspec.Struct, frozen=True, kw_only=True):
    """A cycle with its actions and what they brought."""

    cycle: Cycle
    actions: tuple[Action, ...]
    improvements: dict[str, str | None]


class ChangeShown(msgspec.Struct, frozen=True, kw_only=True):
    """A change with the edges it took."""

    change: Change
    edges: tuple[Edge, ...]
    gains: tuple[dict[str, Any], ...]


class PageOf(Protocol):
    """A page of changes."""

    @property
    def items(self) -> tuple[Change, ...]:
        """The changes."""
        ...

    @property
    def next(self) -> str | None:
        """The cursor."""
        ...


class Changes(Protocol):
    """Changes as the desk shows them."""

    def now_us(self) -> int:
        """Give the time."""
        ...

    def get(self, tenant: str, change: str) -> Change:
        """Give one. Raises `NotFound`."""
        ...

    def edges(self, tenant: str, change: str) -> Sequence[Edge]:
        """Give its edges."""
        ...

    def list(
        self,
        tenant: str,
        *,
        state: Sequence[State] = (),
        kind: str | None = None,
        cycle: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> PageOf:
        """Give a page."""
        ...

    def of_cycle(self, tenant: str, cycle: str) -> Sequence[Change]:
        """Give a cycle's changes."""
        ...

    def counts(self, tenant: str, since_us: int) -> dict[str, dict[str, int]]:
        """Count by kind and state."""
        ...


class Cycles(Protocol):
    """Cycles as the desk shows them."""

    def get(self, tenant: str, cycle: str) -> Cycle:
        """Give one. Raises `NotFound`."""
        ...

    def open_ones(self, limit: int = 500) -> Sequence[Cycle]:
        """Give those that are open."""
        ...


class Switch(Protocol):
    """Start, stop, kill and resume, for all processes."""

    def running(self) -> bool:
        """Tell whether it begins anything new."""
        ...

    def halted(self) -> bool:
        """Tell whether the kill switch is on."""
        ...


class GateStates(Protocol):
    """How the gates stand."""

    def overall(self, tenant: str) -> Literal["passing", "near", "failing", "no_data"]:
        """Give the worst of them; no data where nothing is known of any."""
        ...

    def next_tick_us(self, tenant: str) -> int | None:
        """Give when they are looked at next."""
        ...


WAITING = (State.PROPOSED, State.PROVED, State.TRYING)


@dataclass(frozen=True, slots=True)
class Desk:
    """Answers questions about the loop, and does as it is told."""

    changes: Changes
    cycles: Cycles
    acts: Acts
    pulse: Pulse
    switch: Switch
    gates: GateStates
    environment: Environment

    def status(self, tenant: str) -> Status:
        """Say how it stands. A day's counts are of changes that were begun in it."""
        now = self.changes.now_us()
        counts = self.changes.counts(tenant, now - DAY_US)
        latest = self.changes.list(tenant, limit=1).items
        busy = self.changes.list(tenant, state=[one for one in State if one not in ENDED], limit=50).items
        running = self.switch.running() and not self.switch.halted()
        tick = self.gates.next_tick_us(tenant)
        return Status(
            is_running=running,
            total_optimizations_24h=sum(sum(states.values()) for states in counts.values()),
            actions_by_type={kind: sum(states.values()) for kind, states in sorted(counts.items())},
            quality_gates_status=self.gates.overall(tenant),
            next_cycle_in_minutes=max(0.0, round((tick - now) / 60e6, 1)) if running and tick is not None else None,
            last_action=action(latest[0]) if latest else None,
            halted=self.switch.halted(),
            environment=self.environment,
            open_cycles=tuple(one.id for one in self.cycles.open_ones() if one.tenant == tenant),
            in_progress=tuple(action(one) for one in busy),
            waiting_for_people=sum(one.due_us is None or "waits for an approval" in (one.reason or "") for one in busy),
        )

    def trigger(self, tenant: str, actor: Actor, *, force: bool, target: Target = "all") -> Triggered:
        """Look at the gates now; with `force` begin a cycle whatever they say. Raises `Conflict` where none may be begun."""
        kinds = () if target == "all" else AREAS.get(target)
        if kinds is None:
            raise InvalidRequest(
                f"There is no target {target!r}.", hint="Write all, models or infrastructure.", field="target"
            )
        known = tuple(kind for kind in kinds if kind in self.pulse.kinds)
        cycle = self.pulse.trigger(tenant, Origin(actor.kind, actor.name), force=force, kinds=known)
        if cycle is None:
            return Triggered(status="nothing_to_do", cycle_id=None, actions_taken=(), improvements=improvements(()))
        taken = tuple(one.kind for one in self.changes.of_cycle(tenant, cycle.id))
        return Triggered(status="started", cycle_id=cycle.id, actions_taken=taken, improvements=improvements(()))

    def history(self, tenant: str, *, limit: int = 50, cursor: str | None = None) -> History:
        """Give all that was ever done, the newest first."""
        page = self.changes.list(tenant, limit=limit, cursor=cursor)
        return History(tuple(action(one) for one in page.items), page.next)

    def cycle(self, tenant: str, cycle: str) -> CycleShown:
        """Show a cycle. Raises `NotFound`."""
        found = self.cycles.get(tenant, cycle)
        changes = self.changes.of_cycle(tenant, cycle)
        kept = next((one for one in reversed(changes) if one.state is State.KEPT), None)
        measured = gains(self.changes.edges(tenant, kept.id)) if kept is not None else ()
        return CycleShown(
            cycle=found, actions=tuple(action(one) for one in changes), improvements=improvements(measured)
        )

    def change(self, tenant: str, change: str) -> ChangeShown:
        """Show a change with its edges and evidence. Raises `NotFound`."""
        edges = tuple(self.changes.edges(tenant, change))
        return ChangeShown(
            change=self.changes.get(tenant, change),
            edges=edges,
            gains=tuple(msgspec.to_builtins(one) for one in gains(edges)),
        )

    def rollback(self, tenant: str, actor: Actor, *, environment: str, to_version: str | None, why: str) -> Change:
        """Roll back the last delivered change, or the one whose baseline is `to_version`.

        Raises `InvalidRequest` for another environment than this one, `NotFound` where no such change was delivered.
        """
        if environment != self.environment:
            raise InvalidRequest(
                f"This deployment is {self.environment}, not {environment}.", hint="Ask that one.", field="environment"
            )
        delivered = self.changes.list(tenant, state=(State.KEPT, State.WATCHING, State.DELIVERING), limit=500).items
        for one in sorted(delivered, key=lambda change: change.updated_us, reverse=True):
            if to_version is None or one.baseline == to_version:
                return self.acts.roll_back(tenant, one.id, actor=actor.name, why=why)
        what = "No change was delivered" if to_version is None else f"No delivered change replaced {to_version!r}"
        raise NotFound(f"{what}: there is nothing to roll back.", hint="`meliora changes list` shows what there is.")


def action(change: Change) -> Action:
    """Give a change as a line of the history."""
    return Action(
        id=change.id,
        cycle_id=change.cycle,
        type=change.kind,
        target=change.target,
        status=change.state,
        environment=change.environment,
        origin=change.origin,
        summary=change.summary,
        reason=change.reason,
        created_us=change.created_us,
        updated_us=change.updated_us,
    )
