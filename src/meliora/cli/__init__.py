"""The command line: reads what was typed, calls one function, prints the answer. One file a subject.

    app        the commands put together
    shared     the settings and the store of a command; tables, times and money as text
    process    up, down, status, logs, reload, serve, work
    keys, models, calls, feedback, route, rules, policy, audit, config, db, erase

Works on the local store, whether the server runs or not. Each command imports what it needs when it runs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

USAGE = 2
FAILED = 1


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and end the process with its exit code: 0, 1 for a failure, 2 for wrong usage or settings."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    code = _served(arguments)
    if code is None:
        code = _typed(arguments)
    if argv is None:
        sys.exit(code)
    return code


def _served(arguments: list[str]) -> int | None:
    """Run a process of the server without the rest of the command line, which it would only carry in memory."""
    rest, config = split_config(arguments)
    name = {("work",): "worker", ("serve", "gateway"): "gateway", ("serve", "control"): "control"}.get(tuple(rest))
    if name is None:
        return None
    from meliora.supervisor import child

    return child.main([name, *([config] if config else [])])


def split_config(arguments: Sequence[str]) -> tuple[list[str], str | None]:
    """Take `--config FILE` out, wherever it stands before a bare `--`."""
    rest: list[str] = []
    config = None
    waiting = iter(arguments)
    for argument in waiting:
        if argument == "--":
            return [*rest, argument, *waiting], config
        if argument == "--config":
            config = next(waiting, None)
            if config is None:
                rest.append(argument)
        elif argument.startswith("--config="):
            config = argument.partition("=")[2]
        else:
            rest.append(argument)
    return rest, config


def _typed(arguments: list[str]) -> int:
    import typer

    from meliora.cli.app import build
    from meliora.cli.shared import CONFIG
    from meliora.errors import InvalidRequest, MelioraError, MissingExtra, SettingsError

    rest, config = split_config(arguments)
    CONFIG.set(config)
    try:
        code = build()(args=rest, prog_name="meliora", standalone_mode=False)
        sys.stdout.flush()
    except typer.TyperException as error:
        sys.stderr.write(f"meliora: {error.format_message().rstrip()} See `meliora -h`.\n")
        return error.exit_code
    except (typer.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left; the rest is for nobody
        return 0
    except MelioraError as error:
        sys.stderr.write(f"meliora: {error}\n")
        return USAGE if isinstance(error, SettingsError | InvalidRequest | MissingExtra) else FAILED
    return code if isinstance(code, int) else 0
