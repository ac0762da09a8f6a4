"""The kill switch as it is kept: one row that every state is made of. Written by whoever turns it, in a transaction of theirs."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa

from meliora.store.rows import insert_into
from meliora.store.tables import loop_control

_NAME = "kill"


class Halting(msgspec.Struct, frozen=True):
    """How the kill switch stands."""

    halted: bool = False
    epoch: int = 0
    """How often it was turned."""
    at_us: int | None = None
    """When it was turned last; None: never."""


def halting(connection: sa.Connection, *, lock: bool = False) -> Halting:
    """Read it."""
    query = sa.select(loop_control.c.value, loop_control.c.at_us).where(loop_control.c.name == _NAME)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        return Halting()
    epoch, _, word = row.value.partition(":")
    return Halting(word == "halted", int(epoch), row.at_us)


def turn_in(connection: sa.Connection, halted: bool, now_us: int) -> Halting:
    """Turn it, and give how it stands then; where it stands so already nothing changes."""
    insert = insert_into(connection, loop_control).values(name=_NAME, value="0:", at_us=now_us)
    connection.execute(insert.on_conflict_do_nothing())
    before = halting(connection, lock=True)
    if before.halted == halted:
        return before
    after = Halting(halted, before.epoch + 1, now_us)
    value = f"{after.epoch}:{'halted' if halted else ''}"
    own = sa.update(loop_control).where(loop_control.c.name == _NAME)
    connection.execute(own.values(value=value, at_us=now_us))
    return after
