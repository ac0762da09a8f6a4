"""Changes from the command line: look, approve, reject, roll back, pause, resume."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import typer

from meliora.cli.loop import Why, actions, cli_actor, opened_loop
from meliora.cli.shared import Json, Tenant, paint, say, show, when

app = typer.Typer(no_args_is_help=True, help="Changes: what the loop changed or would, and why.")

Id = Annotated[str, typer.Argument(help="Id of the change.", metavar="CHANGE")]


@app.command("list")
def list_(
    state: Annotated[str, typer.Option(help="Only in these states, with commas between.")] = "",
    kind: Annotated[str, typer.Option(help="Only of this kind.")] = "",
    waiting: Annotated[bool, typer.Option("--waiting", help="Only what waits for a person.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many.")] = 20,
    tenant: Tenant = "default",
    json: Json = False,
) -> None:
    """List changes, the newest first."""
    from meliora.errors import InvalidRequest
    from meliora.loop.shown import action
    from meliora.loop.states import State

    wanted = [one.strip() for one in state.split(",") if one.strip()]
    for one in wanted:
        if one not in list(State):
            raise InvalidRequest(f"There is no state {one!r}.", hint=f"There are: {', '.join(State)}.", field="state")
    with opened_loop() as loop:
        page = loop.desk.changes.list(tenant, state=[State(one) for one in wanted], kind=kind or None, limit=limit)
        asked = {one.change for one in loop.desk.waiting(tenant)}
    items = tuple(one for one in page.items if not waiting or one.id in asked or one.state is State.PAUSED)
    if json:
        for one in items:
            show(one)
        return
    if not items:
        say("There are none.")
        return
    actions(tuple(action(one) for one in items))


@app.command("show")
def show_(change: Id, tenant: Tenant = "default", json: Json = False) -> None:
    """Show a change: what it is, each edge that it took, who let it pass, and what was measured."""
    with opened_loop() as loop:
        found = loop.desk.change(tenant, change)
    if json:
        show(found)
        return
    one = found.change
    say(f"{one.id}  {one.kind} of {one.target} in {one.environment}: {paint(str(one.state), 'bold')}")
    for line in (one.summary, one.reason):
        if line:
            say(f"  {line}")
    say(
        f"  asked for by {one.origin.kind} {one.origin.name}; from {one.baseline or 'nothing'} to {one.candidate or '-'}"
    )
    for edge in found.edges:
        policy = f"  [{edge.policy}]" if edge.policy else ""
        say(f"  {when(edge.at_us)}  {edge.source} -> {edge.target}  by {edge.actor}{policy}")
        for line in _told(edge.evidence):
            say(f"      {line}")
    for gain in found.gains:
        if gain["effect"] is not None:
            share = "%" if gain["relative"] else ""
            factor = 100 if gain["relative"] else 1
            ends = "" if gain["low"] is None else f" ({gain['low'] * factor:+.3g} to {gain['high'] * factor:+.3g})"
            say(f"  {gain['metric']}: {gain['effect'] * factor:+.3g}{share}{ends}")


@app.command()
def approve(change: Id, why: Why = "", tenant: Tenant = "default") -> None:
    """Approve what a change waits for. Who proposed it does not approve it."""
    with opened_loop() as loop:
        decided = loop.desk.decide(tenant, change, cli_actor(tenant), "approved", why)
    say(f"Approved: {decided.edge} of {change}. It goes on at once.")


@app.command()
def reject(change: Id, why: Why = "", tenant: Tenant = "default") -> None:
    """End a change: a trial is stopped, what was delivered is rolled back."""
    with opened_loop() as loop:
        _said(loop.desk.reject(tenant, change, cli_actor(tenant), why))


@app.command()
def rollback(change: Id, why: Why = "", tenant: Tenant = "default") -> None:
    """Restore what was there before a delivered change."""
    with opened_loop() as loop:
        _said(loop.desk.roll_back(tenant, change, cli_actor(tenant), why))


@app.command()
def pause(change: Id, why: Why = "", tenant: Tenant = "default") -> None:
    """Hold a change where it stands; nobody is in its trial meanwhile."""
    with opened_loop() as loop:
        _said(loop.desk.pause(tenant, change, cli_actor(tenant), why))


@app.command()
def resume(change: Id, why: Why = "", tenant: Tenant = "default") -> None:
    """Let a paused change go on."""
    with opened_loop() as loop:
        _said(loop.desk.go_on(tenant, change, cli_actor(tenant), why))


def _said(change: Any) -> None:
    say(f"{change.id} is {change.state}.")


def _told(evidence: dict[str, Any]) -> list[str]:
    """Give the sentences in an edge's evidence."""
    found = [evidence[name] for name in ("why", "sentence", "watch", "resumed") if isinstance(evidence.get(name), str)]
    for name in ("trial", "proof", "check"):
        inner = evidence.get(name)
        if isinstance(inner, dict) and isinstance(inner.get("sentence"), str):
            found.append(f"{name}: {inner['sentence']}")
    proposal = evidence.get("proposal")
    if isinstance(proposal, dict) and proposal.get("expected"):
        found.append(f"expected: {msgspec.json.encode(proposal['expected']).decode()}")
    return found
