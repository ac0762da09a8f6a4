"""The commands, put together. Holds no logic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from meliora.cli import (
    audit,
    calls,
    changes,
    config,
    db,
    erase,
    feedback,
    gates,
    keys,
    knowledge_train,
    loop,
    memory,
    models,
    policy,
    process,
    route,
    routing,
    rules,
)


def build() -> Callable[..., Any]:
    """Give the whole command line."""
    app = typer.Typer(
        name="meliora",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_top)
    for command in (process.up, process.down, process.status, process.logs, process.reload, process.work, route.route):
        app.command()(command)
    app.command("prepare", hidden=True)(process.prepare)
    app.command("erase")(erase.erase)
    for name, group in (
        ("serve", process.serve),
        ("keys", keys.app),
        ("calls", calls.app),
        ("feedback", feedback.app),
        ("rules", rules.app),
        ("routing", routing.app),
        ("knowledge", knowledge_train.app),
        ("memory", memory.app),
        ("loop", loop.app),
        ("changes", changes.app),
        ("gates", gates.app),
        ("policy", policy.app),
        ("audit", audit.app),
        ("config", config.app),
        ("db", db.app),
    ):
        app.add_typer(group, name=name)
    app.command("models")(models.models)
    return typer.main.get_command(app)


def _top(
    config: Annotated[
        str,
        typer.Option("--config", metavar="FILE", help="Settings file; it may stand anywhere. Default: meliora.toml."),
    ] = "",
) -> None:
    """A gateway for LLM calls: every call served, recorded and priced."""
