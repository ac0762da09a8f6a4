"""Conversations that are remembered, from the command line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from meliora.cli.knowledge import opened_plane
from meliora.cli.shared import Json, Tenant, plain, say, show
from meliora.errors import InvalidRequest

if TYPE_CHECKING:
    from meliora.knowledge.memory.memory import Memory

app = typer.Typer(no_args_is_help=True, help="Conversations: append, recall, cut to a budget, export, erase.")

User = Annotated[str, typer.Option("--user", help="The user, as the application names them.")]


@contextmanager
def opened_memory() -> Iterator[Memory]:
    """Open the memory of these settings. Raises `InvalidRequest` where it is switched off."""
    with opened_plane() as plane:
        if plane.memory is None:
            raise InvalidRequest("This deployment keeps no conversations.", hint="Set knowledge.memory.enabled = true.")
        yield plane.memory


@app.command()
def append(
    conversation: Annotated[str, typer.Argument(help="Id of the conversation; a new one is made.")],
    text: Annotated[list[str], typer.Argument(help="What was said.")],
    speaker: Annotated[str, typer.Option(help="Who said it.")] = "user",
    user: User = "",
    tenant: Tenant = "default",
) -> None:
    """Keep a turn at the end of a conversation."""
    from meliora.knowledge.memory.records import Said

    with opened_memory() as memory:
        done = memory.append(tenant, conversation, [Said(speaker=speaker, text=" ".join(text), user=user)])
    say(f"Turn {done.numbers[0]} of {plain(conversation)}.")


@app.command()
def recall(
    query: Annotated[list[str], typer.Argument(help="What is to be recalled.")],
    user: User = "",
    conversation: Annotated[str, typer.Option(help="Only this one.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=200, help="Turns.")] = 5,
    tenant: Tenant = "default",
    json: Json = False,
) -> None:
    """Recall the turns that answer a query."""
    with opened_memory() as memory:
        found = memory.recall(
            tenant, " ".join(query), user=user or None, conversation=conversation or None, limit=limit
        )
    if json:
        show(found)
        return
    for one in found.turns:
        turn = one.turn
        say(f"{plain(turn.conversation)} {turn.number} {plain(turn.speaker)}: {plain(turn.text)}  {one.score:.2f}")
    if not found.turns:
        say("Nothing is recalled.")


@app.command()
def window(
    conversation: Annotated[str, typer.Argument(help="Id of the conversation.")],
    tokens: Annotated[int, typer.Option(min=1, max=1_000_000, help="Most tokens.")] = 4000,
    tenant: Tenant = "default",
    json: Json = False,
) -> None:
    """Show a conversation within a budget: a summary, and its last turns as they were said."""
    with opened_memory() as memory:
        found = memory.window(tenant, conversation, tokens)
    if json:
        show(found)
        return
    if found.summary is not None:
        say(f"[{found.summary.first} to {found.summary.last}] {plain(found.summary.text)}")
    for turn in found.recent:
        say(f"{turn.number} {plain(turn.speaker)}: {plain(turn.text)}")


@app.command()
def export(user: User, tenant: Tenant = "default") -> None:
    """Print every turn of a user's conversations, a JSON line each."""
    with opened_memory() as memory:
        for turn in memory.export(tenant, user):
            show(turn)


@app.command()
def erase(
    user: User,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    tenant: Tenant = "default",
) -> None:
    """Delete a user's conversations for good. `meliora erase` erases everything else of them too."""
    if not yes:
        typer.confirm(f"Erase the conversations of user {user!r} of tenant {tenant!r}?", abort=True)
    with opened_memory() as memory:
        done = memory.erase(tenant, user)
    say(", ".join(f"{number} {name}" for name, number in done.items()))
