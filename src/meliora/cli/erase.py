"""Erasure of what a person left."""

from __future__ import annotations

from typing import Annotated

import typer

from meliora.cli.shared import Json, Tenant


def erase(
    user: Annotated[str, typer.Option("--user", help="The user, as the application names them.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    tenant: Tenant = "default",
    json: Json = False,
) -> None:
    """Erase a user's content, name and comments from the store and from what is still on its way there."""
    if not yes:
        typer.confirm(f"Erase everything of user {user!r} of tenant {tenant!r}? This cannot be undone.", abort=True)
    raise NotImplementedError
