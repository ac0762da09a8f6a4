"""Start, stop and look at the processes: up, down, status, logs, reload, serve, work."""

from __future__ import annotations

import os
import shutil
from typing import Annotated

import typer

from meliora.cli.shared import Json, config_file, paint, say, settings, show

serve = typer.Typer(no_args_is_help=True, help="Run one process of the server in the foreground.")


def up(
    detach: Annotated[
        bool, typer.Option("--detach", help="Return once everything answers, and leave it running.")
    ] = False,
    stdout: Annotated[
        bool, typer.Option("--stdout", help="Log to this terminal instead of files, as containers do.")
    ] = False,
) -> None:
    """Start gateway, control and worker, and keep them running. Does nothing where they run already."""
    from meliora.settings.load import as_error, read
    from meliora.supervisor import detach as outside

    loaded = read(config_file())
    chosen = loaded.settings
    if chosen is None:
        raise as_error(loaded)
    for problem in loaded.warnings:
        typer.echo(f"meliora: {problem}", err=True)
    there = outside.running(chosen)
    if there is not None:
        say(f"Meliora runs already at {there.url} (process {there.supervisor}).")
        return
    if detach:
        _greet(outside.start(chosen, config_file()))
        return
    code = outside.supervise(chosen, config_file(), to_stdout=stdout, announce=_greet)
    raise typer.Exit(code)


def _greet(url: str) -> None:
    from meliora.supervisor.layout import Layout

    chosen = settings()
    key = Layout.of(chosen).admin_key
    model = "auto" if not chosen.providers else next(iter([*chosen.aliases, *chosen.models, "auto"]))
    say(f"Meliora is at {url}")
    if not chosen.providers:
        say("No provider is configured, so the simulated one answers; every answer says so.")
    say("")
    say("  First call:")
    say(f"    curl {url}/v1/chat/completions \\")
    say(f'      -H "authorization: Bearer $(cat {key})" -H "content-type: application/json" \\')
    say(f"""      -d '{{"model": "{model}", "messages": [{{"role": "user", "content": "What is 12*7?"}}]}}'""")
    say("")
    say(f"  Admin key:  {key} (readable by you alone)")
    say(f"  API:        {url}/docs")
    say("  Watch:      meliora calls tail")


def prepare() -> None:
    """Make the state directory, the database and the first admin key."""
    from meliora.supervisor import prepare as first

    os.umask(0o077)
    first.prepare(settings())


def down() -> None:
    """Stop what `up` started, after the calls in flight."""
    from meliora.supervisor import detach as outside

    say("Meliora is stopped." if outside.stop(settings()) else "Meliora does not run.")


def reload() -> None:
    """Read the settings again without dropping a call."""
    from meliora.settings.load import as_error, read
    from meliora.supervisor import detach as outside

    loaded = read(config_file())
    if loaded.settings is None:
        raise as_error(loaded)
    if not outside.reload(loaded.settings):
        say("Meliora does not run.")
        raise typer.Exit(1)
    say("The settings are read again; `meliora logs` shows what came of it.")


def status(
    json: Json = False,
    url: Annotated[str, typer.Option(help="Look at this address instead of the local one.")] = "",
) -> None:
    """Say whether it runs and answers. Ends with 0 only if it is ready."""
    from meliora.supervisor import detach as outside
    from meliora.supervisor.layout import CHILDREN, address

    chosen = settings()
    there = outside.running(chosen)
    where = url or (there.url if there else address(chosen.server.host, chosen.server.port))
    ready = outside.ask(where, "/ready")[0] == 200
    _, health = outside.ask(where, "/health", timeout=5.0)
    pids = {name: there.alive(name) for name in CHILDREN} if there else {}
    if json:
        show({"url": where, "ready": ready, "processes": pids, "health": health})
    else:
        say(f"{where}  {paint('ready', 'green') if ready else paint('not ready', 'red')}")
        for name, pid in pids.items():
            say(f"  {name:<8} {f'process {pid}' if pid else paint('down', 'red')}")
        if isinstance(health, dict) and "status" in health:
            say(f"  health   {health['status']}")
    raise typer.Exit(0 if ready else 1)


def logs(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines are added.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="Lines of each process to begin with.")] = 20,
) -> None:
    """Show the logs of all processes."""
    from meliora.supervisor.layout import Layout

    directory = Layout.of(settings()).logs
    files = sorted(str(path) for path in directory.glob("*.log"))
    tail = shutil.which("tail")
    if not files or tail is None:
        say(f"There are no logs in {directory}." if not files else f"`tail` is missing; the logs lie in {directory}.")
        raise typer.Exit(1)
    os.execv(tail, ["tail", "-n", str(lines), *(["-F"] if follow else []), *files])


@serve.command("gateway")
def serve_gateway() -> None:
    """Serve model calls. Needs neither the store nor the other processes."""
    _run("gateway")


@serve.command("control")
def serve_control() -> None:
    """Serve the API over the store, on a Unix socket beside it."""
    _run("control")


def work() -> None:
    """Ingest what was recorded, roll it up, and keep house."""
    _run("worker")


def _run(name: str) -> None:
    from meliora.supervisor import child

    child.run(name, config_file())
