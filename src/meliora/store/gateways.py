"""The gateways that report: who is alive, with which version, breakers and counters."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa

ALIVE_US = 60_000_000
"""A gateway that was silent for longer counts as dead."""


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


class GatewaySeen(Heartbeat, frozen=True, kw_only=True):
    """The last heartbeat, and whether it is recent."""

    seen_us: int
    alive: bool


class Gateways:
    """Note heartbeats, and show them. Gateways belong to the deployment, not to a tenant."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def beat(self, heartbeat: Heartbeat, now_us: int) -> None:
        """Note that a gateway is alive. One silent for a day is forgotten."""
        raise NotImplementedError

    def list(self, now_us: int) -> tuple[GatewaySeen, ...]:
        """Give all that reported within a day, by id."""
        raise NotImplementedError
