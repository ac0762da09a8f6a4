"""The loop as one object for whoever talks to it: the desk, the gates, the triggers. Built by `runtime`."""

from __future__ import annotations

from dataclasses import dataclass

from meliora.loop.desk import Desk
from meliora.loop.engine import Engine
from meliora.loop.gates.board import GateBoard
from meliora.loop.pulse import Pulse
from meliora.loop.triggers import Triggers


@dataclass(frozen=True, slots=True)
class Loop:
    """All of it."""

    desk: Desk
    engine: Engine
    pulse: Pulse
    board: GateBoard
    triggers: Triggers
