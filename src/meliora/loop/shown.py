"""What the desk gives as an answer: the loop's standing, its history, a cycle, a change. Records only; `desk` fills them in."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from meliora.loop.change import Change, Edge, Environment, Origin
from meliora.loop.cycle import Cycle
from meliora.loop.states import State


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
    """Of the process that answers; None for a command."""
    backlog_seconds: float | None = None
    """How far what is recorded lies behind what happened, where the gates measure that."""


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
