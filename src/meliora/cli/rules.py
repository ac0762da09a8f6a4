"""Routing rules kept in the store; those of the settings file are shown beside them and changed there."""

from __future__ import annotations

from typing import Annotated

import typer

from meliora.cli.shared import Json, Tenant, paint, say, settings, show, store, table
from meliora.errors import InvalidRequest

app = typer.Typer(no_args_is_help=True, help="Routing rules: which prompts go to which model or tier.")


@app.command("list")
def list_(tenant: Tenant = "default", json: Json = False) -> None:
    """List the rules in the order they are tried, those of the settings file too."""
    chosen = settings()
    with store() as opened:
        kept = opened.rules.list(tenant)
    rows = [
        {
            "id": rule.id,
            "priority": rule.priority,
            "pattern": rule.pattern,
            "preferred_layer": rule.preferred_layer,
            "preferred_model": rule.preferred_model,
            "applies_to": rule.applies_to,
            "active": rule.active,
            "source": "store",
        }
        for rule in kept
    ]
    for number, rule in enumerate(chosen.rules, 1):
        if rule.tenant == tenant:
            fields = rule.model_dump(exclude={"tenant", "metadata"})
            rows.append({**fields, "id": rule.id or f"toml-{number}", "source": "settings"})
    rows.sort(key=lambda row: (-row["priority"], row["id"]))
    if json:
        for row in rows:
            show(row)
        return
    lines = [
        [
            str(row["id"]),
            str(row["priority"]),
            str(row["preferred_model"] or row["preferred_layer"]),
            str(row["applies_to"]),
            "yes" if row["active"] else "no",
            str(row["source"]),
            str(row["pattern"]),
        ]
        for row in rows
    ]
    table(lines, ("id", "priority", "to", "applies to", "active", "from", "pattern"))


@app.command()
def add(
    pattern: Annotated[
        str, typer.Argument(help="RE2 pattern, searched in the system prompt and the last user message.")
    ],
    tier: Annotated[str | None, typer.Option(help="Tier to use: fast, balanced, deep or code.")] = None,
    model: Annotated[str | None, typer.Option(help="Model to use; before the tier.")] = None,
    priority: Annotated[int, typer.Option(help="Higher is looked at first.")] = 0,
    all_calls: Annotated[bool, typer.Option("--all", help="Also for calls that name a model.")] = False,
    active: Annotated[bool, typer.Option(help="Whether it takes part.")] = True,
    tenant: Tenant = "default",
    json: Json = False,
) -> None:
    """Add a rule, or change the one of this pattern."""
    from meliora.routing.decide import TIERS
    from meliora.routing.rules import validate_pattern
    from meliora.store.routing.rules import RuleWish

    if tier is None and model is None:
        raise InvalidRequest("A rule needs a target.", hint="Add --tier or --model.")
    if tier is not None and tier not in TIERS:
        raise InvalidRequest(f"{tier!r} is not a tier.", hint=f"There are: {', '.join(TIERS)}.")
    validate_pattern(pattern)
    wish = RuleWish(
        pattern=pattern,
        preferred_layer=tier,
        preferred_model=model,
        priority=priority,
        active=active,
        applies_to="all" if all_calls else "auto",
    )
    if model is not None and not _callable(model):
        typer.echo(paint(f"Mind that no provider serves {model!r} now.", "yellow"), err=True)
    with store() as opened:
        rule = opened.rules.upsert(tenant, wish)
    show(rule) if json else say(f"{rule.id}  {rule.pattern} -> {rule.preferred_model or rule.preferred_layer}")


def _callable(model: str) -> bool:
    from meliora.runtime.shared import effective

    chosen = effective(settings())
    served = {*chosen.models, *chosen.aliases, *(name for p in chosen.providers.values() for name in p.models)}
    provider = chosen.providers.get(model.partition("/")[0])
    return model in served or bool(provider and provider.passthrough)


@app.command()
def remove(rule_id: str, tenant: Tenant = "default") -> None:
    """Remove a rule from the store."""
    with store() as opened:
        opened.rules.delete(tenant, rule_id)
    say(f"{rule_id} is removed.")
