"""The kill switch as every state and every edge reads it: two rows that `store.loop.control` writes."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa

from meliora.store.tables import loop_control


class Halting(msgspec.Struct, frozen=True):
    """How the kill switch stands."""

    halted: bool = False
    epoch: int = 0
    """How often it was turned."""


def halting(connection: sa.Connection) -> Halting:
    """Read it; never turned, it is off."""
    names = ("halted", "kill_epoch")
    query = sa.select(loop_control.c.name, loop_control.c.value).where(loop_control.c.name.in_(names))
    values = {row.name: row.value for row in connection.execute(query)}
    return Halting(values.get("halted") == "1", int(values.get("kill_epoch", "0")))
