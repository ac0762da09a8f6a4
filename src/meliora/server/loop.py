"""The loop as the routers reach it, and a caller as the policies know one."""

from __future__ import annotations

from meliora.errors import Forbidden, NotFound
from meliora.loop.audit.entry import AuditNote
from meliora.loop.front import Loop
from meliora.loop.policy.request import Actor
from meliora.server.auth import OPERATOR, Caller
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
        kind="agent" if caller.key is not None and caller.key.agent else "person",
        key=caller.key_id,
        role="admin" if "admin" in caller.scopes else "member",
        scopes=tuple(caller.scopes),
        tenant=caller.tenant,
    )


def for_operators(control: Control, caller: Caller, act: str) -> None:
    """See to it that one tenant does not stop the loop of all. Raises `Forbidden`, and tells the audit."""
    if caller.tenant == OPERATOR:
        return
    note = AuditNote(
        tenant=caller.tenant, actor=caller.key_id, action="loop.refused", subject="loop", body={"code": Forbidden.code}
    )
    control.store.audit.record(note)
    raise Forbidden(
        f"A key of tenant {caller.tenant!r} cannot {act} the loop, which is the whole deployment's.",
        hint=f"Use a key of tenant {OPERATOR!r}.",
    )
