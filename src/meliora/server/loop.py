"""The loop as the routers reach it, and a caller as the policies know one."""

from __future__ import annotations

from meliora.errors import NotFound
from meliora.loop.front import Loop
from meliora.loop.policy.request import Actor
from meliora.server.auth import Caller
from meliora.server.context import Control


def loop_of(control: Control) -> Loop:
    """Give the loop. Raises `NotFound` where this process has none."""
    loop = control.context.loop
    if loop is None:
        raise NotFound("This process has no loop.")
    return loop


def actor(caller: Caller) -> Actor:
    """Give a caller as the policies know one."""
    return Actor(
        kind="person",
        key=caller.key_id,
        role="admin" if "admin" in caller.scopes else "member",
        scopes=tuple(caller.scopes),
        tenant=caller.tenant,
    )
