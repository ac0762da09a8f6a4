"""The loop as one object for whoever talks to it. Built by `runtime`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from meliora.errors import Conflict
from meliora.loop.alerts import Alerts
from meliora.loop.artifacts.archive import Archive
from meliora.loop.change import Change
from meliora.loop.desk import Desk
from meliora.loop.engine import Engine
from meliora.loop.gates.board import GateBoard
from meliora.loop.policy.request import Actor
from meliora.loop.pulse import Pulse
from meliora.loop.report import Reports
from meliora.loop.shelf import Due
from meliora.loop.states import State
from meliora.loop.triggers import Triggers


@dataclass(frozen=True, slots=True)
class Loop:
    """All of it."""

    desk: Desk
    engine: Engine
    pulse: Pulse
    board: GateBoard
    triggers: Triggers
    archive: Archive
    alerts: Alerts
    reports: Reports

    def asked(self, tenant: str, actor: Actor, kind: str, target: str, payload: dict[str, Any]) -> Change:
        """Begin a change that somebody asks for, and hurry it. Raises `Forbidden`, `NotFound`."""
        return self.hurry(tenant, self.desk.propose(tenant, actor, kind, target, payload).id)

    def taken_back(self, tenant: str, change: str, actor: Actor, why: str) -> Change:
        """Roll a delivered change back at once. Raises `Conflict` where the baseline could not be restored yet; it goes on."""
        self.desk.roll_back(tenant, change, actor, why)
        found = self.hurry(tenant, change)
        if found.state is not State.ROLLED_BACK:
            raise Conflict(
                f"Change {change} is {found.state}: {found.reason}.",
                hint=f"`meliora changes show {change}` tells more.",
            )
        return found

    def hurry(self, tenant: str, change: str) -> Change:
        """Take at once the edges of a change that are due and take no traffic, so that who asked hears what came of it.

        Gives the change as it stands then: delivered, or where it waits and why. The worker goes on from there.
        """
        shelf = self.desk.changes
        found = shelf.get(tenant, change)
        for _ in range(_STEPS):
            if found.state not in _QUICK or found.due_us is None or found.due_us > shelf.now_us():
                break
            if not self.engine.take(Due(tenant, change, found.state)):
                break
            found = shelf.get(tenant, change)
        return found


_STEPS = 12
_QUICK = frozenset(set(State) - {State.OBSERVED, State.TRYING, State.PAUSED})
