"""What would be chosen for a prompt, and why, without a call."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from meliora.cli.models import rows
from meliora.cli.shared import Json, Tenant, now_us, plain, say, settings, show, store
from meliora.errors import StoreError
from meliora.settings import Settings

if TYPE_CHECKING:
    from meliora.gateway.state import RuleState
    from meliora.routing.pool import Pool


def route(
    prompt: Annotated[str, typer.Argument(help="The last user message.")],
    model: Annotated[str, typer.Option(help="What the client would ask for.")] = "auto",
    system: Annotated[str, typer.Option(help="The system prompt.")] = "",
    quality: Annotated[bool, typer.Option("--quality", help="Prefer quality.")] = False,
    speed: Annotated[bool, typer.Option("--speed", help="Prefer speed.")] = False,
    tenant: Tenant = "default",
    json: Json = False,
) -> None:
    """Say which model a prompt would go to, and why. Every endpoint is taken to be healthy."""
    from meliora.routing.decide import Wanted, decide
    from meliora.routing.rules import RuleSet
    from meliora.runtime.shared import effective

    chosen = effective(settings())
    wanted = Wanted(
        tenant=tenant,
        model=model,
        text=f"{system}\n{prompt}" if system else prompt,
        input_tokens=(len(system) + len(prompt)) // 4,
        prefer_quality=quality,
        prefer_speed=speed,
    )
    decision = decide(wanted, _pool(chosen), RuleSet(_rules(chosen), strict=False), chosen)
    if json:
        show(decision)
        return
    say(f"{plain(decision.model)}  {plain(decision.reason)}")
    say(
        f"  tier {decision.tier or '-'}, task {decision.task}, complexity {decision.complexity:.2f}, confidence {decision.confidence:.2f}"
    )
    if decision.chain:
        say(f"  then {', '.join(decision.chain)}")
    for name, why in decision.rejected:
        say(f"  not {name}: {why}")


def _pool(settings: Settings) -> Pool:
    from meliora.gateway.prices import resolve
    from meliora.routing.pool import Candidate, Pool

    prices = resolve(settings, datetime.now(UTC).date())
    candidates = []
    for row in rows(settings, prices):
        model = settings.models.get(row.name)
        regions = {
            settings.providers[e.partition("/")[0]].region
            for e in row.endpoints
            if e.partition("/")[0] in settings.providers
        }
        candidates.append(
            Candidate(
                row.name,
                row.tier,
                row.context,
                None if model is None or model.capabilities is None else frozenset(model.capabilities),
                frozenset(regions - {""}),
                row.input,
                row.output,
                row.fallbacks,
            )
        )

    def passed(name: str) -> Candidate | None:
        provider, slash, rest = name.partition("/")
        account = settings.providers.get(provider)
        return Candidate(name) if slash and rest and account and account.passthrough else None

    return Pool(candidates, settings.aliases, passthrough=passed)


def _rules(chosen: Settings) -> list[RuleState]:
    """Give the rules of the settings, and those of the store where it can be opened."""
    from meliora.gateway.snapshot import rules_of

    rules = list(rules_of(chosen))
    try:
        with store() as opened:
            return [*opened.states.load((), now_us()).rules, *rules]
    except StoreError as error:
        typer.echo(f"meliora: the store's rules are left out: {error.message}", err=True)
        return rules
