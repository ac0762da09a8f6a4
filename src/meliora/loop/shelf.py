"""What the loop asks of the changes as they are kept, and the words it asks in. `store.loop.changes` implements it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec

from meliora.errors import Conflict
from meliora.loop.change import Change, Edge
from meliora.loop.states import State
from meliora.loop.work import Fence


class Held(Conflict):
    """Another change holds the surface: this one waits its turn."""

    code = "held"

    def __init__(self, surface: str, holder: str) -> None:
        super().__init__(
            f"Change {holder} is being tried or watched on {surface!r}.",
            hint="This one goes on when that one has ended.",
        )
        self.surface = surface
        self.holder = holder


class Due(msgspec.Struct, frozen=True):
    """A change that has something to do."""

    tenant: str
    change: str
    state: State


class Tally(msgspec.Struct, frozen=True):
    """What counts against the caps."""

    delivered: int
    last_us: int | None
    """When the last other change of the target ended; None: never."""


class EdgeWish(msgspec.Struct, frozen=True, kw_only=True):
    """An edge to take: where to, on what evidence, and when there is more to do there."""

    target: State
    actor: str
    evidence: dict[str, Any] = {}
    policy: str | None = None
    reason: str | None = None
    wait: float | None = 0.0
    """Seconds until the new state has something to do; None: it waits for a person."""
    progress: dict[str, Any] | None = None
    """In place of the change's; None: it stays."""
    values: dict[str, Any] = {}
    """Other fields of the change: payload, baseline, candidate, summary, finding, target."""


class Shelf(Protocol):
    """Changes as the engine needs them. All methods raise `StoreError`; `Also` is the store's own business."""

    def now_us(self) -> int:
        """Give the time that leases and dates run on."""
        ...

    def get(self, tenant: str, change: str) -> Change:
        """Give one change. Raises `NotFound`."""
        ...

    def edges(self, tenant: str, change: str) -> Sequence[Edge]:
        """Give the edges that a change took."""
        ...

    def due(self, limit: int = 20, *, restoring_only: bool = False) -> Sequence[Due]:
        """Give what is due."""
        ...

    def claim(self, due: Due, owner: str, lease_us: int) -> Change | None:
        """Take it up under the next attempt number."""
        ...

    def renew(self, fence: Fence, lease_us: int, progress: dict[str, Any] | None = None) -> None:
        """Extend the lease. Raises `Superseded`."""
        ...

    def put_off(
        self, fence: Fence, seconds: float | None, *, progress: dict[str, Any] | None = None, reason: str | None = None
    ) -> Change:
        """Leave it where it stands until later. Raises `Superseded`."""
        ...

    def take(self, fence: Fence, wish: EdgeWish, also: Callable[[Any], None] | None = None) -> Change:
        """Take an edge. Raises `Superseded`, `Held`."""
        ...

    def check(self, fence: Fence) -> Callable[[Any], None]:
        """Give what refuses, in another repository's transaction, the write of an old attempt."""
        ...
