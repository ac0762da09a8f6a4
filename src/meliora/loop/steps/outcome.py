"""What a step comes to: an edge to take, or a wait."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from meliora.loop.house import House
from meliora.loop.kind import Later
from meliora.loop.shelf import EdgeWish
from meliora.loop.states import State


@dataclass(frozen=True, slots=True)
class Go:
    """Take an edge, and write what belongs to it in the same transaction."""

    wish: EdgeWish
    also: Callable[[Any], None] | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """Stay, and look again in so many seconds; None: when somebody acts."""

    seconds: float | None
    reason: str | None = None
    progress: dict[str, Any] = field(default_factory=dict)


Outcome: TypeAlias = "Go | Wait"


def later(asked: Later) -> Wait:
    """Wait as a kind asks for, and keep its checkpoint."""
    return Wait(asked.seconds, asked.note, {"checkpoint": asked.checkpoint})


def reject(house: House, reason: str, evidence: dict[str, Any], policy: str | None = None) -> Go:
    """End it before anything was delivered."""
    return Go(
        EdgeWish(target=State.REJECTED, actor=house.owner, evidence=evidence, policy=policy, reason=reason, wait=None)
    )


def pause(house: House, reason: str, evidence: dict[str, Any], seconds: float | None, progress: dict[str, Any]) -> Go:
    """Hold it for so many seconds, or until a person acts (None)."""
    wish = EdgeWish(
        target=State.PAUSED, actor=house.owner, evidence=evidence, reason=reason, wait=seconds, progress=progress
    )
    return Go(wish)
