"""Erasure of what a person left."""

from __future__ import annotations

from typing import Annotated

import typer

from meliora.cli.shared import Json, Tenant, say, settings, show, store, when


def erase(
    user: Annotated[str, typer.Option("--user", help="The user, as the application names them.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    tenant: Tenant = "default",
    json: Json = False,
) -> None:
    """Erase a user's content, name and comments and what was learned from them, also from what is on its way; say what is still held."""
    if not yes:
        typer.confirm(f"Erase everything of user {user!r} of tenant {tenant!r}? This cannot be undone.", abort=True)
    from meliora.clock import SystemClock
    from meliora.runtime.knowledge.erasing import Erasing
    from meliora.runtime.knowledge.plane import plane_of
    from meliora.runtime.loop import loop_of
    from meliora.runtime.shared import effective

    chosen = effective(settings())
    with store() as opened:
        clock = SystemClock()
        plane = plane_of(chosen, opened, clock) if chosen.knowledge.enabled else None
        archive = loop_of(chosen, opened, clock, "cli").archive
        done = Erasing(chosen, opened, plane, archive)(tenant, user)
    if json:
        show(done)
        return
    say(f"{'subject':<13} {done.subject}")
    say(f"{'at':<13} {when(done.at_us)}")
    for name, number in done.counts().items():
        say(f"{name:<13} {number}")
    say("Still held:")
    for one in done.held:
        say(f"  {one}")
