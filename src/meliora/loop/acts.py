"""What a person or an agent does to a change by hand: pause, resume, reject, roll back, try a rollback again.

What is under way there is superseded. Who may do it was asked before; that it is lawful is seen to here and in the store.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from meliora.errors import Conflict
from meliora.loop.change import Change
from meliora.loop.house import Trials
from meliora.loop.shelf import EdgeWish
from meliora.loop.states import State


class ActShelf(Protocol):
    """Changes as these acts need them."""

    def now_us(self) -> int:
        """Give the time."""
        ...

    def get(self, tenant: str, change: str) -> Change:
        """Give one change. Raises `NotFound`."""
        ...

    def last_of_target(self, tenant: str, change: str) -> Callable[[Any], None]:
        """Give what raises `Conflict`, in an edge's transaction, where another was delivered after it and still stands."""
        ...

    def act(
        self, tenant: str, change: str, expected: State, wish: EdgeWish, also: Callable[[Any], None] | None = None
    ) -> Change:
        """Take an edge by a person's word. Raises `Conflict` where it stands elsewhere by now."""
        ...


class Acts:
    """Act on changes by a person's word."""

    def __init__(self, shelf: ActShelf, trials: Trials) -> None:
        self._shelf = shelf
        self._trials = trials

    def pause(self, tenant: str, change: str, *, actor: str, why: str) -> Change:
        """Hold a change where it stands; the candidate's arm of a trial is empty meanwhile."""
        found = self._shelf.get(tenant, change)
        if found.state is State.PAUSED:
            raise Conflict(f"Change {change} is paused already.")
        also, progress = None, None
        if found.state is State.TRYING:
            epoch = found.progress.get("epoch", 0) + 1
            also, progress = self._trials.ramp(found, epoch, 0.0), found.progress | {"epoch": epoch}
        return self._act(found, State.PAUSED, actor, why, wait=None, also=also, progress=progress)

    def resume(self, tenant: str, change: str, *, actor: str, why: str) -> Change:
        """Let a paused change go on at once."""
        found = self._shelf.get(tenant, change)
        if found.state is not State.PAUSED or found.paused_from is None:
            raise Conflict(f"Change {change} is {found.state}, not paused.")
        # The pause ends by its own step, which knows what a trial needs to go on.
        return self._act(found, State.PAUSED, actor, why, wait=0.0)

    def reject(self, tenant: str, change: str, *, actor: str, why: str) -> Change:
        """End a change: before its trial at once, out of one by way of `stopping`, after a delivery by a rollback."""
        found = self._shelf.get(tenant, change)
        stands = found.paused_from if found.state is State.PAUSED and found.paused_from else found.state
        if stands is State.TRYING:
            return self._act(found, State.STOPPING, actor, why, also=self._trials.end(found))
        if stands in (State.DELIVERING, State.WATCHING):
            return self._act(found, State.ROLLING_BACK, actor, why)
        return self._act(found, State.REJECTED, actor, why, wait=None)

    def roll_back(self, tenant: str, change: str, *, actor: str, why: str) -> Change:
        """Restore what was there before a delivered change. Raises `Conflict` for what was never delivered, or is not the last."""
        found = self._shelf.get(tenant, change)
        stands = found.paused_from if found.state is State.PAUSED and found.paused_from else found.state
        if stands not in (State.DELIVERING, State.WATCHING, State.KEPT, State.ROLLBACK_FAILED):
            raise Conflict(
                f"Change {change} is {found.state}: it was never delivered, so there is nothing to roll back.",
                hint="`meliora changes reject` ends it.",
            )
        also = self._shelf.last_of_target(tenant, change) if stands is State.KEPT else None
        return self._act(found, State.ROLLING_BACK, actor, why, also=also)

    def _act(
        self,
        found: Change,
        target: State,
        actor: str,
        why: str,
        *,
        wait: float | None = 0.0,
        also: Callable[[Any], None] | None = None,
        progress: dict[str, Any] | None = None,
    ) -> Change:
        wish = EdgeWish(
            target=target, actor=actor, evidence={"why": why}, reason=why or None, wait=wait, progress=progress
        )
        return self._shelf.act(found.tenant, found.id, found.state, wish, also)
