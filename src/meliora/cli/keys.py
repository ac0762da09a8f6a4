"""Virtual keys: create, list, show, update, rotate, revoke. A secret is printed once and never again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from meliora.cli.shared import Json, Tenant, micros, moment, now_us, paint, say, show, span, store, table, usd, when
from meliora.errors import InvalidRequest
from meliora.gateway.state import Scope

if TYPE_CHECKING:
    from meliora.store.keys import IssuedKey, Key

app = typer.Typer(no_args_is_help=True, help="Virtual keys: who may call what, how fast, for how much.")

Scopes = Annotated[list[str], typer.Option("--scope", help="call, feedback, read or admin; may be repeated.")]
Models = Annotated[list[str], typer.Option("--model", help="A model or glob the key may use; may be repeated.")]
Regions = Annotated[list[str], typer.Option("--region", help="A region it is confined to; may be repeated.")]
PerMinute = Annotated[int | None, typer.Option("--rpm", min=1, help="Requests a minute.")]
TokensPerMinute = Annotated[int | None, typer.Option("--tpm", min=1, help="Tokens a minute.")]
Concurrent = Annotated[int | None, typer.Option(min=1, help="Calls in flight at once.")]
Day = Annotated[float | None, typer.Option("--budget-day", help="US dollars a day (UTC).")]
Month = Annotated[float | None, typer.Option("--budget-month", help="US dollars a month (UTC).")]
Loss = Annotated[bool | None, typer.Option(help="Drop fields that do not cross dialects instead of refusing them.")]
Explore = Annotated[bool | None, typer.Option(help="Its calls may be used to explore.")]
Floor = Annotated[float | None, typer.Option("--quality-floor", help="Share of the reference model's quality to hold.")]
Pay = Annotated[
    float | None,
    typer.Option("--willingness-to-pay", help="US dollars for one more point of quality 1.0 in an answer."),
]
Expires = Annotated[str | None, typer.Option(help="When it ends: an ISO date, or 30d from now.")]
Feature = Annotated[str | None, typer.Option(help="Feature its calls belong to unless they say otherwise.")]

Agent = Annotated[
    bool | None, typer.Option(help="It is a program's that acts by itself: it may propose changes, and approves none.")
]


@app.command()
def create(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="What it is for.")],
    scope: Scopes = [],  # noqa: B006 -- typer copies it
    model: Models = [],  # noqa: B006
    region: Regions = [],  # noqa: B006
    rpm: PerMinute = None,
    tpm: TokensPerMinute = None,
    concurrent: Concurrent = None,
    budget_day: Day = None,
    budget_month: Month = None,
    allow_loss: Loss = None,
    explore: Explore = None,
    quality_floor: Floor = None,
    willingness_to_pay: Pay = None,
    expires: Expires = None,
    feature: Feature = None,
    agent: Agent = None,
    tenant: Tenant = "default",
    json: Json = False,
) -> None:
    """Make a key and print its secret, once."""
    from meliora.store.keys import KeyWish

    wish = _changes(ctx.params)
    with store() as opened:
        _secret(opened.keys.create(tenant, KeyWish(name=name, **wish)), json=json)


@app.command()
def update(
    ctx: typer.Context,
    key_id: str,
    name: Annotated[str | None, typer.Option(help="What it is for.")] = None,
    scope: Scopes = [],  # noqa: B006
    model: Models = [],  # noqa: B006
    region: Regions = [],  # noqa: B006
    rpm: PerMinute = None,
    tpm: TokensPerMinute = None,
    concurrent: Concurrent = None,
    budget_day: Day = None,
    budget_month: Month = None,
    allow_loss: Loss = None,
    explore: Explore = None,
    quality_floor: Floor = None,
    willingness_to_pay: Pay = None,
    expires: Expires = None,
    feature: Feature = None,
    agent: Agent = None,
    unlimit: Annotated[list[str], typer.Option(help="A limit to take away, e.g. rpm; may be repeated.")] = [],  # noqa: B006
    tenant: Tenant = "default",
    json: Json = False,
) -> None:
    """Change what is named and leave the rest."""
    changes = _changes(ctx.params)
    changes |= {"name": name} if name is not None else {}
    for limit in unlimit:
        changes[_limit(limit)] = None
    with store() as opened:
        _print(opened.keys.update(tenant, key_id, changes), json=json)


_LIMITS = {
    "model": "models",
    "region": "regions",
    "rpm": "requests_per_minute",
    "tpm": "tokens_per_minute",
    "concurrent": "concurrent",
    "budget-day": "budget_day_micros",
    "budget-month": "budget_month_micros",
    "quality-floor": "quality_floor",
    "willingness-to-pay": "willingness_to_pay",
    "expires": "expires_us",
    "feature": "feature",
}


def _limit(name: str) -> str:
    if name not in _LIMITS:
        raise InvalidRequest(f"{name!r} is no limit.", hint=f"There are: {', '.join(_LIMITS)}.")
    return _LIMITS[name]


def _changes(given: Mapping[str, Any]) -> dict[str, Any]:
    """Put the options that were given into the fields of `KeyWish`."""
    for one in given["scope"]:
        if one not in get_args(Scope):
            raise InvalidRequest(f"{one!r} is not a scope.", hint=f"There are: {', '.join(get_args(Scope))}.")
    fields = {
        "scopes": tuple(given["scope"]) or None,
        "models": tuple(given["model"]) or None,
        "regions": tuple(given["region"]) or None,
        "requests_per_minute": given["rpm"],
        "tokens_per_minute": given["tpm"],
        "concurrent": given["concurrent"],
        "budget_day_micros": micros(given["budget_day"]),
        "budget_month_micros": micros(given["budget_month"]),
        "allow_loss": given["allow_loss"],
        "explore": given["explore"],
        "quality_floor": given["quality_floor"],
        "willingness_to_pay": given["willingness_to_pay"],
        "expires_us": _end(given["expires"]),
        "feature": given["feature"],
        "agent": given["agent"],
    }
    return {field: value for field, value in fields.items() if value is not None}


def _end(text: str | None) -> int | None:
    if text is None:
        return None
    now = now_us()
    at = now + span(text) if text[-1:] in "smhdw" else moment(text, now)
    if at is not None and at <= now:
        raise InvalidRequest(f"{text} is past.", hint="Revoke the key instead: `meliora keys revoke`.")
    return at


@app.command("list")
def list_(tenant: Tenant = "default", revoked: bool = True, json: Json = False) -> None:
    """List the keys, oldest first."""
    with store() as opened:
        keys = opened.keys.list(tenant, revoked=revoked)
    if json:
        for key in keys:
            show(key)
        return
    head = ("id", "name", "begins", "scopes", "rpm", "tpm", "day", "month", "state")
    table([_row(key) for key in keys], head)


def _row(key: Key) -> list[str]:
    limits = [str(n) if n is not None else "-" for n in (key.requests_per_minute, key.tokens_per_minute)]
    budgets = [usd(m) if m is not None else "-" for m in (key.budget_day_micros, key.budget_month_micros)]
    state = f"revoked {when(key.revoked_us)}" if key.revoked_us else "active"
    if not key.revoked_us and key.expires_us:
        state = f"until {when(key.expires_us)}"
    name = f"{key.name} (agent)" if key.agent else key.name
    return [key.id, name, f"{key.prefix}...", ",".join(key.scopes), *limits, *budgets, state]


@app.command("show")
def show_(key_id: str, tenant: Tenant = "default", json: Json = False) -> None:
    """Show a key and what is left of its budgets."""
    with store() as opened:
        key = opened.keys.get(tenant, key_id)
        budgets = opened.budgets.status(tenant, key_id, now_us())
    if json:
        show({"key": key, "budgets": budgets})
        return
    _print(key, json=False)
    for budget in budgets:
        show(budget)


@app.command()
def rotate(
    key_id: str,
    overlap: Annotated[str, typer.Option(help="How long the old secret still opens it, e.g. 24h.")] = "0s",
    tenant: Tenant = "default",
    json: Json = False,
) -> None:
    """Give a key a new secret and print it, once."""
    with store() as opened:
        _secret(opened.keys.rotate(tenant, key_id, overlap_us=span(overlap)), json=json)


@app.command()
def revoke(key_id: str, tenant: Tenant = "default", json: Json = False) -> None:
    """End a key for good."""
    with store() as opened:
        _print(opened.keys.revoke(tenant, key_id), json=json)


def _secret(issued: IssuedKey, *, json: bool) -> None:
    if json:
        show({"key": issued.key, "secret": issued.secret})
        return
    say(f"{issued.key.id}  {issued.key.name}")
    say(paint(issued.secret, "green"))
    say("Keep it now: it is not kept here and will not be shown again.")


def _print(key: Key, *, json: bool) -> None:
    if json:
        show(key)
        return
    import msgspec

    for field, value in msgspec.structs.asdict(key).items():
        if field.endswith("_us"):
            value = when(value)
        elif field.endswith("_micros"):
            field, value = field.removesuffix("_micros"), usd(value) if value is not None else None
        elif isinstance(value, tuple):
            value = ", ".join(value)
        say(f"{field.removesuffix('_us'):<20} {'-' if value is None else value}")
