"""A cycle: one pass of the loop that found a breach (or was asked for), the changes it brought up, and what came of it."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from meliora.loop.change import Environment, Origin

CycleOutcome = Literal["improved", "unchanged", "rolled_back", "stopped"]


class Cycle(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `cycles`. Its id names its artifacts: `si_2026_11_26_001`."""

    id: str
    tenant: str
    environment: Environment
    origin: Origin
    subject: str
    """What it is about: the gate that failed, or the target that was asked for. One cycle a subject is open at a time."""
    kinds: tuple[str, ...]
    """Kinds of change to try, in order, until one is kept."""
    breach: dict[str, Any] | None = None
    """What was measured when it opened."""
    finding: str | None = None
    outcome: CycleOutcome | None = None
    """None while it is open."""
    notes: dict[str, Any] = {}
    opened_us: int = 0
    closed_us: int | None = None
