"""Tiers by task and by how long the queue is, filled with the models that are configured. Knows no model by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import msgspec

from meliora.errors import MelioraError
from meliora.routing.classify import Task
from meliora.routing.decide import Decision
from meliora.settings.escalation import TaskTiers
from meliora.settings.section import Tier

Level = Literal["low", "high"]

TASKS: tuple[Task, ...] = get_args(Task)


class MatrixCell(msgspec.Struct, frozen=True, kw_only=True):
    """What is called for a task at one length of the queue."""

    tier: Tier
    call_with: str
    """What to write as `model` for it."""
    models: tuple[str, ...]
    """The first is called; the others follow when it fails. Empty where none can be."""
    why: str | None = None
    """Why there is none."""


class MatrixRow(msgspec.Struct, frozen=True):
    """A task."""

    task: Task
    low: MatrixCell
    high: MatrixCell


def level_of(in_flight: int | None, threshold: int) -> Level | None:
    """Say how long the queue is: `high` from `threshold` calls in flight on; None where nobody knows how many there are."""
    if in_flight is None:
        return None
    return "high" if in_flight >= threshold else "low"


def tier_for(task: Task, level: Level | None, tiers: TaskTiers) -> Tier:
    """Give the tier of a task. A queue of unknown length is no reason for a weaker one."""
    short, long = getattr(tiers, task)
    return long if level == "high" else short


def matrix(tiers: TaskTiers, choose: Callable[[str], Decision]) -> tuple[MatrixRow, ...]:
    """Fill a row for each task. `choose` decides on a `model` that a call could ask for."""
    cells: dict[Tier, MatrixCell] = {}

    def cell(task: Task, level: Level) -> MatrixCell:
        tier = tier_for(task, level, tiers)
        if tier not in cells:
            cells[tier] = _cell(tier, choose)
        return cells[tier]

    return tuple(MatrixRow(task, cell(task, "low"), cell(task, "high")) for task in TASKS)


def _cell(tier: Tier, choose: Callable[[str], Decision]) -> MatrixCell:
    ask = f"auto:{tier}"
    try:
        decision = choose(ask)
    except MelioraError as error:
        return MatrixCell(tier=tier, call_with=ask, models=(), why=error.message)
    return MatrixCell(tier=tier, call_with=ask, models=(decision.model, *decision.chain))
