"""What is read of a closed cycle, and the protocols it is read by. Frozen at the closing: what happens later changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import msgspec

from meliora.errors import Conflict
from meliora.loop.change import Change, Edge
from meliora.loop.cycle import Cycle
from meliora.loop.states import State

NOTE = "artifacts"
"""Name of the note of a cycle that says how its changes stood and what it cost when it was closed."""


class Closing(msgspec.Struct, frozen=True, kw_only=True):
    """How a cycle stood when it was closed."""

    edges: dict[str, int]
    """Change to the number of the last edge that it had taken."""
    cost_micros: int | None
    """What the loop's own calls cost meanwhile; None where a price is unknown."""


class MadeData(msgspec.Struct, frozen=True, kw_only=True):
    """A data set that a kind of change made."""

    rows: bytes
    """As CSV."""
    manifest: Mapping[str, Any]
    """Its fields as `dataset_manifest.yaml` has them, as far as the kind knows them."""


class Passed(msgspec.Struct, frozen=True, kw_only=True):
    """A change of the cycle, with the edges it had taken, its diagnosis, and the data set that its kind made, if any."""

    change: Change
    edges: tuple[Edge, ...]
    report: dict[str, Any] | None = None
    augmented: MadeData | None = None

    @property
    def state(self) -> State:
        """Where it stood."""
        return self.edges[-1].target if self.edges else self.change.state

    @property
    def delivered(self) -> bool:
        """Whether it was in service at any time."""
        return any(edge.target is State.WATCHING for edge in self.edges)

    def said(self, name: str) -> dict[str, Any] | None:
        """Give the last evidence of a name; None where no edge had any."""
        for edge in reversed(self.edges):
            found = edge.evidence.get(name)
            if isinstance(found, dict):
                return found
        return None


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """All that the artifacts are made of."""

    cycle: Cycle
    changes: tuple[Passed, ...]
    cost_micros: int | None

    @property
    def delivered(self) -> tuple[Passed, ...]:
        """Give the changes that were in service at any time."""
        return tuple(one for one in self.changes if one.delivered)

    @property
    def proofs(self) -> tuple[tuple[Passed, dict[str, Any]], ...]:
        """Give the changes that came to a proof, whatever it said, with it."""
        found = ((one, one.said("proof")) for one in self.changes)
        return tuple((one, proof) for one, proof in found if proof is not None)


class Cycles(Protocol):
    """Cycles as the artifacts need them. All methods raise `StoreError`."""

    def get(self, tenant: str, cycle: str) -> Cycle:
        """Give one. Raises `NotFound`."""
        ...

    def settle(self, tenant: str, cycle: str, notes: dict[str, Any]) -> Cycle:
        """Note what is not noted yet; what is stays."""
        ...

    def renote(self, tenant: str, cycle: str, notes: dict[str, Any]) -> Cycle:
        """Put notes in the place of those that are there."""
        ...

    def closed(self, since_us: int, limit: int = 500) -> Sequence[Cycle]:
        """Give the cycles of all tenants closed since."""
        ...


class Changes(Protocol):
    """Changes as the artifacts need them."""

    def of_cycle(self, tenant: str, cycle: str) -> Sequence[Change]:
        """Give a cycle's changes, the oldest first."""
        ...

    def edges(self, tenant: str, change: str) -> Sequence[Edge]:
        """Give the edges that a change took."""
        ...


@runtime_checkable
class MakesData(Protocol):
    """A kind of change that makes a data set of its own to fit a candidate on."""

    def augmented(self, change: Change) -> MadeData | None:
        """Give it, the same each time; None where this change has none."""
        ...


class Reader:
    """Reads the facts of a cycle, and freezes at its closing what would move on."""

    def __init__(
        self,
        cycles: Cycles,
        changes: Changes,
        report: Callable[[str, str, str], dict[str, Any] | None],
        cost: Callable[[Cycle], int | None],
        augmented: Callable[[Change], MadeData | None] = lambda change: None,
    ) -> None:
        """`report` takes tenant, finding and cycle; `cost` gives micro-dollars, None where a price is unknown."""
        self.cycles = cycles
        self._changes = changes
        self._report = report
        self._cost = cost
        self._augmented = augmented

    def freeze(self, cycle: Cycle) -> Cycle:
        """Note how it stands, once: whoever reads it later reads the same."""
        if NOTE in cycle.notes:
            return cycle
        changes = self._changes.of_cycle(cycle.tenant, cycle.id)
        edges = {one.id: len(self._changes.edges(cycle.tenant, one.id)) for one in changes}
        closing = Closing(edges=edges, cost_micros=self._cost(cycle))
        return self.cycles.settle(cycle.tenant, cycle.id, {NOTE: msgspec.to_builtins(closing)})

    def read(self, cycle: Cycle) -> Facts:
        """Read them. Raises `Conflict` for a cycle that is open."""
        if cycle.closed_us is None:
            raise Conflict(f"Cycle {cycle.id} is open.", hint="Its artifacts are made when it is closed.")
        cycle = self.freeze(cycle)
        closing = msgspec.convert(cycle.notes[NOTE], Closing)
        changes = self._changes.of_cycle(cycle.tenant, cycle.id)
        passed = [self._passed(cycle, one, closing.edges[one.id]) for one in changes if one.id in closing.edges]
        return Facts(cycle=cycle, changes=tuple(passed), cost_micros=closing.cost_micros)

    def _passed(self, cycle: Cycle, change: Change, last: int) -> Passed:
        edges = tuple(one for one in self._changes.edges(cycle.tenant, change.id) if one.seq <= last)
        report = None if change.finding is None else self._report(cycle.tenant, change.finding, cycle.id)
        return Passed(change=change, edges=edges, report=report, augmented=self._augmented(change))
