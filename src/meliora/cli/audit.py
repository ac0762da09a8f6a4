"""The audit: whether it is whole, out as JSON lines, decisions taken again."""

from __future__ import annotations

from typing import Annotated

import typer

from meliora.cli.shared import Json, Tenant, moment, now_us, paint, say, show, store, when
from meliora.errors import InvalidRequest, NotFound

app = typer.Typer(no_args_is_help=True, help="The audit of the loop: an append-only chain.")


@app.command()
def verify(json: Json = False) -> None:
    """Walk the chain and say exactly what is wrong; fail if anything is."""
    with store() as opened:
        found = opened.audit.verify()
    if json:
        show(found)
    else:
        for note in found.notes:
            say(note)
        for problem in found.problems:
            say(f"{paint('wrong', 'red')}  {problem.sentence}")
        if found.found > len(found.problems):
            say(f"... and {found.found - len(found.problems)} more.")
        last = f", the last is {found.last.hash[:12]}" if found.last else ""
        state = "The chain is whole" if found.whole else f"{found.found} things are wrong"
        say(f"{state}: {found.entries} entries{last}.")
    if not found.whole:
        raise typer.Exit(1)


@app.command()
def export(
    jsonl: Annotated[bool, typer.Option("--jsonl", help="One JSON value a line; there is no other form.")] = True,
    since: Annotated[str | None, typer.Option(help="Entries from then on: 7d, or 2026-11-21.")] = None,
    tenant: Tenant = "default",
    everybody: Annotated[bool, typer.Option("--all-tenants", help="Entries of all tenants.")] = False,
) -> None:
    """Write entries as they are chained, the oldest first."""
    if not jsonl:
        raise InvalidRequest("There is no other form than --jsonl.")
    with store() as opened:
        for entry in opened.audit.export(None if everybody else tenant, since_us=moment(since, now_us()) or 0):
            show(entry)


@app.command()
def replay(
    change: Annotated[str, typer.Argument(help="Id of the change.")], tenant: Tenant = "default", json: Json = False
) -> None:
    """Take each decision on a change again from what was recorded; fail unless all come to the same."""
    from meliora.loop.audit.edges import Retold, has_edges, retold
    from meliora.runtime.governance import replays

    with store() as opened:
        entries = opened.audit.of(tenant, change)
        if not entries:
            raise NotFound(f"The audit knows nothing of {change!r}.")
        told = retold(opened.changes.edges(tenant, change), entries) if has_edges(entries) else Retold((), ())
        done = replays(opened).replay((*entries, *told.entries))
    for one in done:
        if json:
            show(one)
            continue
        colour = "green" if one.result == "same" else "red"
        why = f"  {one.why}" if one.why else ""
        say(f"{one.seq:>6}  {when(one.at_us)}  {one.action}  {one.decision}  {paint(one.result, colour)}{why}")
    same = sum(one.result == "same" for one in done)
    if not json:
        say(f"{len(entries)} entries, {len(done)} decisions, {same} came to the same.")
        for edge in told.altered:
            say(paint(f"The evidence of edge {edge} is not what the audit has the hash of.", "red"))
    if same < len(done) or told.altered:
        raise typer.Exit(1)


@app.command()
def sign(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Sign the head anew, after the key was changed or the head's file was lost; the chain will say so."""
    from meliora.loop.audit.entry import AuditNote
    from meliora.loop.audit.heads import Head

    if not yes:
        typer.confirm("Sign the head as it is now? What was cut off before will not show any more.", abort=True)
    with store() as opened:
        entry = opened.audit.record(AuditNote(tenant="default", actor="cli", action="audit.signed", subject="audit"))
        assert opened.audit.heads is not None
        opened.audit.heads.begin_again(Head(entry.seq, entry.hash, entry.at_us))
    say(f"Entry {entry.seq} is signed as the head.")
