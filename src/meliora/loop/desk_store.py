"""What the desk asks of the loop's records: changes, cycles, approvals, the switch, gates. Repositories of `store` implement it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol

from meliora.loop.approvals import Approval, Standing
from meliora.loop.audit.entry import AuditEntry, AuditNote
from meliora.loop.change import Change, Edge, Environment, Origin
from meliora.loop.control import Acks
from meliora.loop.cycle import Cycle
from meliora.loop.gates.board import GateRow
from meliora.loop.states import State


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

    def add(
        self,
        tenant: str,
        *,
        kind: str,
        target: str,
        surface: str,
        environment: Environment,
        origin: Origin,
        state: State,
        payload: dict[str, Any],
    ) -> Change:
        """Begin a change."""
        ...

    def wake(self, tenant: str, change: str) -> None:
        """Make a change due now."""
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
    """How the run state stands, for all processes."""

    def running(self) -> bool:
        """Tell whether the loop begins anything new."""
        ...

    def halted(self) -> bool:
        """Tell whether the kill switch is on."""
        ...

    def acks(self, epoch: int | None = None) -> Acks:
        """Give who has heard of the last turn of the kill switch."""
        ...


class Approvals(Protocol):
    """Requests for approvals."""

    def list(self, tenant: str, standing: Standing | None = None, *, limit: int = 100) -> tuple[Approval, ...]:
        """Give requests, the newest first."""
        ...


class Record(Protocol):
    """The audit, appended to in a transaction of its own."""

    def record(self, note: AuditNote) -> AuditEntry:
        """Append."""
        ...


class GateStates(Protocol):
    """How the gates stand."""

    def overall(self, tenant: str) -> Literal["passing", "near", "failing", "no_data"]:
        """Give the worst of them; no data where nothing is known of any."""
        ...

    def next_tick_us(self, tenant: str) -> int | None:
        """Give when they are looked at next."""
        ...

    def last(self, tenant: str) -> dict[str, float | None]:
        """Give the last value of each metric, by name."""
        ...

    def set_threshold(self, tenant: str, name: str, threshold: float | None, by: str) -> GateRow:
        """Set the bound of the gate of this name, or of the one on this metric. Raises `NotFound`, `InvalidRequest`."""
        ...
