"""The reference of all commands, written from the commands themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_HEAD = """# Command line

<!-- Written by `meliora config document --write`; change src/meliora/cli/ instead. -->

`meliora COMMAND --help` says the same. `--config FILE` may stand anywhere; without it `MELIORA_CONFIG` or `meliora.toml` counts.
Commands work on the local store, whether the server runs or not. With `--json` they print one JSON value a line.
They end with 0; with 2 where the command or the settings are wrong; with 1 for any other failure, and one sentence that says what to do.
"""


def reference() -> str:
    """Give docs/cli.md."""
    from meliora.cli.app import build

    parts = [_HEAD]
    for path, command in commands(build()):
        parts += [f"## `{' '.join(['meliora', *path])}`", "", " ".join((command.help or "").split()), ""]
        rows = [_row(parameter) for parameter in command.params if parameter.name != "help"]
        if rows:
            parts += ["| argument or option | meaning |", "|---|---|", *rows, ""]
    return "\n".join(parts)


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Give every command that can be run, with the words that name it; hidden ones are left out."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path, command
        return
    for name, one in inner.items():
        if not one.hidden:
            yield from commands(one, (*path, name))


def _row(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        name = (
            parameter.make_metavar()
            if hasattr(parameter, "make_metavar") and parameter.metavar
            else parameter.name.upper()
        )
        return f"| `{name}` | {_cell(getattr(parameter, 'help', None))} |"
    names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
    return f"| {names} | {_cell(parameter.help)}{_default(parameter)} |"


def _cell(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


def _default(parameter: Any) -> str:
    default = parameter.default
    if default in (None, "", False, (), []) or callable(default) or parameter.is_flag:
        return ""
    return f" Default: `{default}`."
