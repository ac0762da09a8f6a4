"""The loop from the command line: how it stands, do it now, start and stop, the kill switch, what it did."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from meliora.cli.shared import Json, Tenant, moment, now_us, paint, say, settings, show, store, table, when

if TYPE_CHECKING:
    from meliora.loop.control import Acks
    from meliora.loop.front import Loop
    from meliora.loop.policy.request import Actor
    from meliora.loop.shown import Action

app = typer.Typer(no_args_is_help=True, help="The loop: gates, cycles, changes; start, stop, kill.")

Why = Annotated[str, typer.Option("--why", help="Kept with it, for whoever asks later.")]


def cli_actor(tenant: str) -> Actor:
    """Give whoever sits at this machine, as the policies know them."""
    from meliora.loop.policy.request import Actor

    return Actor(kind="person", key="cli", role="admin", scopes=("admin",), tenant=tenant)


@contextmanager
def opened_loop() -> Iterator[Loop]:
    """Open the store and put the loop together over it. Raises `StoreError`, `SettingsError`."""
    from meliora.clock import SystemClock
    from meliora.runtime.loop import loop_of
    from meliora.runtime.shared import effective

    chosen = effective(settings())
    with store() as opened:
        yield loop_of(chosen, opened, SystemClock(), "cli")


@app.command()
def status(tenant: Tenant = "default", json: Json = False) -> None:
    """Say how the loop stands: running, gates, what is under way, what waits for you."""
    with opened_loop() as loop:
        found, acks = loop.desk.status(tenant), loop.desk.switch.acks()
    if json:
        show(found)
        return
    running = "halted by the kill switch" if found.halted else "running" if found.is_running else "stopped"
    say(f"The loop is {paint(running, 'ok' if found.is_running else 'error')} in {found.environment}.")
    obeyed(acks)
    gates = {"passing": "ok", "failing": "error"}.get(found.quality_gates_status, "yellow")
    say(f"Gates: {paint(found.quality_gates_status.replace('_', ' '), gates)}.")
    if found.next_cycle_in_minutes is not None:
        say(f"They are looked at next in {found.next_cycle_in_minutes:g} minutes.")
    counts = ", ".join(f"{count} {kind}" for kind, count in found.actions_by_type.items()) or "none"
    say(f"Changes in the last 24 hours: {counts}.")
    if found.waiting_for_people:
        say(f"{found.waiting_for_people} wait for a person: `meliora changes list --waiting`.")
    if found.in_progress:
        say()
        actions(found.in_progress)


def obeyed(acks: Acks) -> None:
    """Say which processes obey the last turn of the kill switch, and after how long."""
    if not acks.epoch:
        return
    alive = [one for one in acks.processes if one.alive]
    missing = [one for one in alive if one.seconds is None]
    say(
        f"The kill switch was turned {acks.epoch} times; {len(alive) - len(missing)} of {len(alive)} processes obey its last turn."
    )
    for one in alive:
        said = "no word yet" if one.seconds is None else f"after {one.seconds:.2f} s"
        say(f"  {one.kind:<8} {one.id}: {paint(said, 'error' if one.seconds is None else 'ok')}")


@app.command()
def trigger(
    force: Annotated[bool, typer.Option("--force", help="Begin a cycle also where every gate holds.")] = False,
    target: Annotated[str, typer.Option(help="all, models or infrastructure.")] = "all",
    tenant: Tenant = "default",
    json: Json = False,
) -> None:
    """Look at the gates now, and begin a cycle where one fails."""
    with opened_loop() as loop:
        made = loop.desk.trigger(tenant, cli_actor(tenant), force=force, target=target)  # type: ignore[arg-type]
    if json:
        show(made)
    elif made.cycle_id is None:
        say("Every gate holds, or none has data: no cycle was begun. `--force` begins one all the same.")
    else:
        say(f"Cycle {made.cycle_id} began with {', '.join(made.actions_taken) or 'nothing yet'}.")


@app.command()
def start(tenant: Tenant = "default") -> None:
    """Let the loop begin things again."""
    with opened_loop() as loop:
        changed = loop.desk.start(cli_actor(tenant))
    say("The loop runs." if changed else "The loop runs already.")


@app.command()
def stop(tenant: Tenant = "default") -> None:
    """Let it begin nothing new; what is under way goes on. It stays so over restarts."""
    with opened_loop() as loop:
        changed = loop.desk.stop(cli_actor(tenant))
    say("The loop begins nothing new." if changed else "The loop was stopped already.")


@app.command()
def kill(
    why: Why = "",
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for all processes to acknowledge.")] = 5.0,
    tenant: Tenant = "default",
    json: Json = False,
) -> None:
    """All traffic to the baselines, nothing learned or explored, every edge stopped but rollback: in every process, at once."""
    with opened_loop() as loop:
        desk = loop.desk
        epoch = desk.kill(cli_actor(tenant), why)
        until = time.monotonic() + wait
        acks = desk.switch.acks(epoch)
        while not acks.complete and time.monotonic() < until:
            time.sleep(0.05)
            acks = desk.switch.acks(epoch)
    alive = [one for one in acks.processes if one.alive]
    missing = [one.id for one in alive if one.seconds is None]
    if json:
        show(acks)
    else:
        seconds = "" if acks.seconds is None else f" within {acks.seconds:.2f} s"
        say(f"Killed. {len(alive) - len(missing)} of {len(alive)} processes acknowledged{seconds}.")
        if missing:
            say(paint(f"No word from {', '.join(missing)}.", "error"))
    if missing:
        raise typer.Exit(1)


@app.command()
def resume(why: Why = "", tenant: Tenant = "default") -> None:
    """Take the kill switch back."""
    with opened_loop() as loop:
        loop.desk.resume(cli_actor(tenant), why)
    say("The kill switch is off.")


@app.command()
def history(
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many.")] = 20,
    tenant: Tenant = "default",
    json: Json = False,
) -> None:
    """List what the loop did, the newest first."""
    with opened_loop() as loop:
        found = loop.desk.history(tenant, limit=limit)
    if json:
        for one in found.items:
            show(one)
        return
    actions(found.items)


@app.command()
def artifacts(
    cycle: Annotated[str, typer.Argument(help="Cycle, e.g. si_2026_11_26_001.")],
    verify: Annotated[bool, typer.Option("--verify", help="Fail where a file is not as it was written.")] = False,
    tenant: Tenant = "default",
    json: Json = False,
) -> None:
    """List the files that a closed cycle left, and what it left out with the reason; make them where they are missing."""
    from meliora.errors import NotFound

    with opened_loop() as loop:
        archive = loop.archive
        try:
            found = archive.check(tenant, cycle)
        except NotFound:
            if verify:
                raise
            archive.make(loop.desk.cycle(tenant, cycle).cycle)
            found = archive.check(tenant, cycle)
    if json:
        show({"folder": str(archive.root / cycle), "sha256": found.sha256, "problems": found.problems})
    else:
        say(f"{archive.root / cycle}")
        table([[name, one.sha256, str(one.bytes)] for name, one in found.manifest.files.items()], _FILES)
        for name, reason in found.manifest.absent.items():
            say(f"No {name}: {reason}.")
        for problem in found.problems:
            say(paint(f"{problem}.", "error"))
    if verify and found.problems:
        raise typer.Exit(1)


@app.command()
def report(
    since: Annotated[str, typer.Option(help="From when on: `7d` ago, or a date.")] = "7d",
    until: Annotated[str | None, typer.Option(help="Until when: a date, or so long ago. Default: now.")] = None,
    format: Annotated[str, typer.Option("--format", help="md or json.")] = "md",
    tenant: Tenant = "default",
) -> None:
    """Report on a time: cycles, times, cost, improvements as they were measured, what comes next."""
    from meliora.errors import InvalidRequest
    from meliora.loop.report_page import markdown

    if format not in ("md", "json"):
        raise InvalidRequest(f"There is no format {format!r}.", hint="Write md or json.", field="format")
    now = now_us()
    begin, end = moment(since, now) or 0, moment(until, now) or now
    with opened_loop() as loop:
        found = loop.reports.of(tenant, begin, end)
    if format == "json":
        show(found)
    else:
        say(markdown(found).rstrip())


_FILES = ("file", "sha256", "bytes")


def actions(items: tuple[Action, ...]) -> None:
    """Print changes as a table."""
    rows = [
        [
            one.id,
            one.type,
            one.target,
            paint(str(one.status), _STYLES.get(one.status, "")),
            when(one.updated_us),
            one.reason or one.summary,
        ]
        for one in items
    ]
    table(rows, ("change", "kind", "target", "state", "since", "why"))


_STYLES = {"kept": "ok", "rejected": "yellow", "rolled_back": "yellow", "rollback_failed": "error", "paused": "yellow"}
