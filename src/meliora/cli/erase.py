"""Erasure of what a person left."""

from __future__ import annotations

from typing import Annotated

import typer

from meliora.cli.shared import Json, Tenant, now_us, plain, say, settings, show, store, table, when


def erase(
    user: Annotated[str, typer.Option("--user", help="The user, as the application names them.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    look: Annotated[bool, typer.Option("--look", help="Erase nothing: tell how the last erasure stands.")] = False,
    tenant: Tenant = "default",
    json: Json = False,
) -> None:
    """Erase a user's content, name and comments and what was learned from them, also from what is on its way; say what is still held."""
    if look:
        _look(tenant, user, json)
        return
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


def _look(tenant: str, user: str, json: bool) -> None:
    from meliora.telemetry.clearing import standing
    from meliora.telemetry.processes import workers

    with store() as opened:
        found = standing(opened.housekeeping.erased_us(tenant, user), workers(opened.deployment, now_us()))
    if json:
        show(found)
        return
    if found.erased_us is None:
        say("Nobody of this name was erased.")
        return
    say(f"Erased {when(found.erased_us)}.")
    rows = [
        [plain(one.host), plain(one.state_dir), "gone" if one.done else "not yet", when(one.seen_us)]
        for one in found.spools
    ]
    table(rows, ("machine", "state", "from its spool", "heard of"))
