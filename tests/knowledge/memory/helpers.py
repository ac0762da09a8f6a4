"""A memory over a shelf in memory, under a clock that stands still."""

from __future__ import annotations

from typing import Any

from meliora.knowledge.memory.memory import Memory
from meliora.knowledge.memory.records import Said
from meliora.knowledge.memory.wanted import Recalled
from meliora.testing import FrozenClock
from meliora.testing.turns import TurnsInMemory

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US


def new_memory(**more: Any) -> tuple[Memory, TurnsInMemory, FrozenClock]:
    shelf, clock = TurnsInMemory(), FrozenClock()
    return Memory(shelf, clock, **more), shelf, clock


def said(speaker: str, text: str, **more: Any) -> Said:
    return Said(speaker=speaker, text=text, **{"user": "u1", **more})


def texts(found: Recalled) -> list[str]:
    return [hit.turn.text for hit in found.turns]
