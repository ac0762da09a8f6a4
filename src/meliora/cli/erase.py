"""Erasure of what a person left."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from meliora.cli.shared import Json, Tenant, say, settings, show, store, when


def erase(
    user: Annotated[str, typer.Option("--user", help="The user, as the application names them.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    tenant: Tenant = "default",
    json: Json = False,
) -> None:
    """Erase a user's content, name and comments from the store and from what is still on its way there."""
    if not yes:
        typer.confirm(f"Erase everything of user {user!r} of tenant {tenant!r}? This cannot be undone.", abort=True)
    from meliora.clock import SystemClock
    from meliora.runtime.knowledge.erasing import Erasing
    from meliora.runtime.knowledge.plane import plane_of

    chosen = settings()
    with store() as opened:
        plane = plane_of(chosen, opened, SystemClock()) if chosen.knowledge.enabled else None
        done = Erasing(opened, plane).erase(tenant, user)
    if json:
        show(done)
        return
    for name, number in msgspec.structs.asdict(done).items():
        say(f"{name.removesuffix('_us'):<13} {when(number) if name.endswith('_us') else number}")
    say("What is still in the spool is stripped as it is ingested. Backups are not rewritten.")
