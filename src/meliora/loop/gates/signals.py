"""What the loop's pulse listens to: gates that fail and the triggers they set off, and the schedule of retraining."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from meliora.loop.gates.board import GateBoard, GateRow
from meliora.loop.schedule import last_run
from meliora.loop.triggers import Trigger, Triggers

GRACE_US = 3_600_000_000
"""A run of the schedule that is missed by longer waits for the next: a deployment that was off begins nothing at once."""


@dataclass(frozen=True, slots=True)
class FailingGate:
    """A gate that fails, as the board has it."""

    row: GateRow

    @property
    def gate(self) -> str:
        """Its name."""
        return self.row.name

    def plain(self) -> dict[str, Any]:
        """Give what was measured."""
        last = None if self.row.last is None else msgspec.to_builtins(self.row.last)
        baseline = None if self.row.baseline is None else msgspec.to_builtins(self.row.baseline)
        definition = self.row.definition
        return {
            "gate": self.gate,
            "metric": definition.metric,
            "direction": definition.direction,
            "window_seconds": definition.window_seconds,
            "where": msgspec.to_builtins(definition.where),
            "reading": last,
            "baseline": baseline,
        }


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A schedule whose time has come."""

    name: str
    kinds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Schedule:
    """Kinds of change that are tried at times, whatever the gates say."""

    name: str
    cron: str
    """Empty: never."""
    kinds: tuple[str, ...]
    wanted: Callable[[str], bool] = lambda tenant: True
    """Tenant to whether there is anything to look at."""


@dataclass(frozen=True, slots=True)
class Signals:
    """Gates, triggers and schedules."""

    board: GateBoard
    triggers: Triggers
    schedules: tuple[Schedule, ...]
    since: Callable[[str, int, str], bool]
    """Tenant, time and subject to whether a cycle of it was opened since."""
    now_us: Callable[[], int]

    def tick(self, tenant: str) -> Sequence[FailingGate]:
        """Evaluate the gates that are due, and give those that fail: each tick again, so that what a cap held up comes later."""
        self.board.tick(tenant, self.now_us())
        return self.failing(tenant)

    def failing(self, tenant: str) -> Sequence[FailingGate]:
        """Give the gates that fail now, the most severe first."""
        rows = [row for row in self.board.status(tenant) if row.standing.failing]
        return [FailingGate(row) for row in sorted(rows, key=lambda row: _SEVERITY[row.definition.severity])]

    def reaction(self, tenant: str, gate: str) -> Trigger | None:
        """Give the most urgent trigger that a failing gate sets off."""
        row = next((one for one in self.board.status(tenant) if one.name == gate), None)
        if row is None:
            return None
        value = None if row.last is None else row.last.value
        found = self.triggers.of(tenant, row.definition, value)
        return found[0] if found else None

    def scheduled(self, tenant: str) -> Sequence[Scheduled]:
        """Give the schedules whose time has come within the last hour, and for which nothing was begun since."""
        return tuple(Scheduled(one.name, one.kinds) for one in self.schedules if self._is_due(tenant, one))

    def _is_due(self, tenant: str, one: Schedule) -> bool:
        now = self.now_us()
        run = last_run(one.cron, now) if one.cron and one.kinds else None
        if run is None or now - run > GRACE_US or self.since(tenant, run, one.name):
            return False
        return one.wanted(tenant)


_SEVERITY = {"critical": 0, "warning": 1, "info": 2}
