"""Policies: whether they hold together, which one decides and why, and what others would have decided."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from meliora.cli.shared import Json, Tenant, moment, now_us, paint, say, settings, show, store, table, when
from meliora.errors import InvalidRequest, NotFound

if TYPE_CHECKING:
    from meliora.loop.policy.decide import Policies

app = typer.Typer(no_args_is_help=True, help="Policies of the loop, in Cedar.")

Directory = Annotated[
    Path | None, typer.Argument(help="Directory of .cedar files; default: `loop.policies` of the settings.")
]
Replace = Annotated[
    bool | None, typer.Option("--replace/--besides", help="Let them replace Meliora's. Default: as the settings say.")
]


@app.command()
def check(directory: Directory = None, replace: Replace = None, json: Json = False) -> None:
    """Parse and validate all policies; name file and line of whatever is wrong, and fail."""
    found = _policies(directory, replace)
    for problem in found.problems:
        show(problem) if json else say(f"{paint(problem.severity, problem.severity)}  {problem}")
    if found.problems:
        raise typer.Exit(1)
    if json:
        show({"policies": [rule.id for rule in found.rules], "sha256": found.sha256})
        return
    say(f"{len(found.rules)} policies hold together ({found.sha256[:12]}).")


@app.command()
def explain(
    what: Annotated[str, typer.Argument(help="Id of a change, or a request: JSON, a `.json` file, or `-`.")],
    tenant: Tenant = "default",
    json: Json = False,
) -> None:
    """Say which policy decides and why: for a change each decision so far, for a request the one now."""
    if what == "-" or what.lstrip().startswith("{") or what.endswith(".json"):
        _explain_request(what, json)
        return
    with store() as opened:
        entries = [entry for entry in opened.audit.of(tenant, what) if entry.body.get("decision") == "policy"]
    if not entries:
        raise NotFound(f"The audit knows no policy decision on {what!r}.")
    for entry in entries:
        request, outcome = entry.body["evidence"]["request"], entry.body["outcome"]
        if json:
            show({"seq": entry.seq, "at_us": entry.at_us, "request": request, "outcome": outcome})
            continue
        word = "allowed" if outcome["allowed"] else "needs approval" if outcome["needs"] else "denied"
        by = ", ".join(outcome["policies"]) or "no policy permits it"
        say(f"{when(entry.at_us)}  {request['action']:<10} {request['actor']['key']}  {word}  {by}")


@app.command()
def simulate(
    directory: Directory = None,
    replace: Replace = None,
    since: Annotated[str | None, typer.Option(help="Decisions from then on: 7d, or 2026-11-21.")] = None,
    tenant: Tenant = "default",
    json: Json = False,
) -> None:
    """Take the recorded decisions again by these policies, and show which would differ."""
    from meliora.loop.policy.simulate import simulate as run

    found = _policies(directory, replace)
    with store() as opened:
        entries = opened.audit.export(tenant, since_us=moment(since, now_us()) or 0)
        done = run(entries, found)
    if json:
        for one in done.differences:
            show(one)
        return
    rows = [
        [
            str(one.seq),
            when(one.at_us),
            one.subject,
            one.action,
            _outcome(one.was["allowed"], one.was["needs"]),
            _outcome(one.now.allowed, one.now.needs),
            ", ".join(one.now.policies) or "-",
        ]
        for one in done.differences
    ]
    if rows:
        table(rows, ("entry", "when", "subject", "action", "was", "would be", "by"))
    turned = sum(one.turned for one in done.differences)
    say(f"{done.decisions} decisions: {turned} would come out otherwise, {len(rows) - turned} by other policies.")


def _policies(directory: Path | None, replace: bool | None) -> Policies:
    from meliora.runtime.governance import policies_of

    chosen = settings()
    if directory is not None and not directory.is_dir():
        raise InvalidRequest(f"{directory} is not a directory.")
    return policies_of(
        directory or chosen.loop.policies, replace=chosen.loop.replace_policies if replace is None else replace
    )


def _explain_request(what: str, json: bool) -> None:
    from meliora.loop.policy.request import Request

    try:
        text = what if what.lstrip().startswith("{") else _read(what)
        request = msgspec.json.decode(text, type=Request)
    except msgspec.MsgspecError as error:
        raise InvalidRequest(
            f"This is no request: {error}.",
            hint='Write {"actor": {"kind": "person", "key": "cli", "scopes": ["admin"]}, "action": "deliver", '
            '"target": {"id": "routing", "kind": "routing"}, "facts": {"environment": "staging", "proved": true}}.',
        ) from error
    decision = _policies(None, None).decide(request)
    show(decision) if json else say(decision.reason)


def _read(what: str) -> str:
    try:
        return sys.stdin.read() if what == "-" else Path(what).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"{what} cannot be read: {error}.") from error


def _outcome(allowed: bool, needs: str | None) -> str:
    return "allowed" if allowed else "needs approval" if needs else "denied"
