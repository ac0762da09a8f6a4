"""The gateways that report: who is alive, with which version, breakers and counters."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa

from meliora.store.engine import reading, writing
from meliora.store.rows import insert_into
from meliora.store.tables import gateways

ALIVE_US = 60_000_000
"""A gateway that was silent for longer counts as dead."""

_FORGET_US = 86_400_000_000


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """What a gateway says of itself every few seconds."""

    id: str
    version: str
    format: int
    """Record format it writes."""
    host: str
    pid: int
    started_us: int
    breakers: dict[str, Any] = {}
    counters: dict[str, Any] = {}
    kill_epoch: int = 0
    """The turn of the kill switch that it serves by."""


class GatewaySeen(Heartbeat, frozen=True, kw_only=True):
    """The last heartbeat, and whether it is recent."""

    seen_us: int
    alive: bool
    kill_us: int | None = None
    """When it first said that it serves by this turn, by the clock of who heard it."""


class Gateways:
    """Note heartbeats, and show them. Gateways belong to the deployment, not to a tenant."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def beat(self, heartbeat: Heartbeat, now_us: int) -> None:
        """Note that a gateway is alive. One silent for a day is forgotten."""
        row = msgspec.structs.asdict(heartbeat) | {"seen_us": now_us, "kill_us": now_us}
        same = gateways.c.kill_epoch == heartbeat.kill_epoch
        later = row | {"kill_us": sa.case((same, sa.func.coalesce(gateways.c.kill_us, now_us)), else_=now_us)}
        with writing(self._engine) as connection:
            insert = insert_into(connection, gateways).values(**row)
            connection.execute(insert.on_conflict_do_update(index_elements=["id"], set_=later))
            connection.execute(sa.delete(gateways).where(gateways.c.seen_us < now_us - _FORGET_US))

    def list(self, now_us: int) -> tuple[GatewaySeen, ...]:
        """Give all that reported within a day, by id."""
        query = sa.select(gateways).where(gateways.c.seen_us >= now_us - _FORGET_US).order_by(gateways.c.id)
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        return tuple(GatewaySeen(**row._mapping, alive=row.seen_us >= now_us - ALIVE_US) for row in rows)
