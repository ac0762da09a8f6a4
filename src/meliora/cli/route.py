"""What would be chosen for a prompt, and why, without a call."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from meliora.cli.models import rows
from meliora.cli.shared import UNKNOWN, Json, Tenant, now_us, plain, say, settings, show, store, table
from meliora.errors import StoreError
from meliora.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meliora.gateway.arms import Arm, Basis
    from meliora.gateway.state import PolicyRef, RuleState
    from meliora.routing.choose import Learned
    from meliora.routing.pool import Pool
    from meliora.routing.wanted import Decision
    from meliora.store import Store


def route(
    prompt: Annotated[str, typer.Argument(help="The last user message.")],
    model: Annotated[str, typer.Option(help="What the client would ask for.")] = "auto",
    system: Annotated[str, typer.Option(help="The system prompt.")] = "",
    quality: Annotated[bool, typer.Option("--quality", help="Prefer quality.")] = False,
    speed: Annotated[bool, typer.Option("--speed", help="Prefer speed.")] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show what the learned policy foresees of each candidate.")
    ] = False,
    quality_floor: Annotated[
        float | None, typer.Option(help="Share of the reference model's quality to hold, e.g. 0.98.")
    ] = None,
    willingness_to_pay: Annotated[
        float | None, typer.Option(help="US dollars for an answer of quality 1 in place of one of quality 0.")
    ] = None,
    user: Annotated[
        str | None, typer.Option(help="Decide as for this user, should a trial split the tenant's calls by user.")
    ] = None,
    tenant: Tenant = "default",
    json: Json = False,
) -> None:
    """Say which model a prompt would go to, and why. Every endpoint is taken to be healthy, and nothing is explored."""
    from meliora.routing.decide import Wanted, decide
    from meliora.routing.dialled import checked
    from meliora.runtime.shared import effective

    chosen = effective(settings())
    named = quality_floor is not None or willingness_to_pay is not None
    now = now_us()
    wanted = Wanted(
        tenant=tenant,
        model=model,
        text=f"{system}\n{prompt}" if system else prompt,
        input_tokens=(len(system) + len(prompt)) // 4,
        prefer_quality=quality,
        prefer_speed=speed,
        dial=checked(quality_floor, willingness_to_pay) if named else None,
        hour=now % _DAY_US / _DAY_US * 24,
        explore=True,
        whole=True,
        explain=explain,
    )
    pool = _pool(chosen)
    basis, arm = _kept(chosen, tenant, pool, user)
    decision = decide(wanted, pool, basis.rules, chosen, basis.learned)
    if basis.choices is not None and chosen.gateway.mode != "observe":
        decision = basis.choices.applied(decision, wanted, pool)
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
    if arm is not None:
        say(f"  {arm.name} of the {arm.phase} of {arm.change}, stage {arm.stage}")
    if explain:
        _explain(decision)


def _explain(decision: Decision) -> None:
    """Show what decided, and what was foreseen of each candidate."""
    trace = decision.routing
    if trace is None:
        say(
            "No learned policy was asked: there is none for this tenant, it knows none of these models, or a rule decided."
        )
        return
    say(f"Routing snapshot {trace.snapshot}, dial {trace.dial}")
    if decision.relay is not None:
        relay = decision.relay
        then = relay.strong if relay.third is None else f"{relay.third}, then {relay.strong},"
        say(f"Cascade: {relay.first} and {relay.second} at once; {then} where they disagree")
    rows = [
        (
            f"{one.model} *" if one.model == trace.chosen else one.model,
            UNKNOWN if one.quality is None else f"{one.quality:.3f}",
            UNKNOWN if one.low is None or one.high is None else f"{one.low:.3f} to {one.high:.3f}",
            UNKNOWN if one.cost_usd is None else f"${one.cost_usd:.6f}",
            f"{one.propensity:.3f}",
        )
        for one in decision.foreseen
    ]
    table(rows, ("model", "quality", "95% interval", "cost", "chance"))


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


def _kept(chosen: Settings, tenant: str, pool: Pool, user: str | None) -> tuple[Basis, Arm | None]:
    """Give what decides the tenant's calls, as far as the store can be opened; a user's as the arm has it that they are in."""
    from meliora.gateway.arms import Basis
    from meliora.gateway.snapshot import rules_of
    from meliora.routing.rules import RuleSet

    rules = rules_of(chosen)
    try:
        with store() as opened:
            return _basis(opened, chosen, (tenant, user), rules, pool)
    except StoreError as error:
        typer.echo(f"meliora: the store's rules and policies are left out: {error.message}", err=True)
        return Basis(RuleSet(rules, strict=False)), None


def _basis(
    opened: Store, chosen: Settings, whose: tuple[str, str | None], settings_rules: Sequence[RuleState], pool: Pool
) -> tuple[Basis, Arm | None]:
    from meliora.gateway.arms import Basis, Safety, choices_by_tenant, halves, overlaid_choices, overlaid_rules
    from meliora.routing.rules import RuleSet

    tenant, user = whose
    state = opened.states.load((), now_us())
    rules = (*state.rules, *settings_rules)

    def policy(ref: PolicyRef | None) -> Learned | None:
        if ref is None or chosen.routing.learned == "off":
            return None
        from meliora.routing.choose import learned
        from meliora.routing.learned.snapshot import decode

        return learned(decode(opened.routing_snapshots.blob(tenant, ref.number)), chosen, pool.all())

    plain = Basis(
        RuleSet(rules, strict=False), policy(state.policies.get(tenant)), choices_by_tenant(state).get(tenant)
    )
    trial = state.trial_of(tenant)
    if trial is None or user is None:
        return plain, None
    overlay = trial.overlay
    other = None if overlay.no_policy else policy(overlay.policy) if overlay.policy is not None else plain.learned
    overlaid = Basis(overlaid_rules(trial, rules), other, overlaid_choices(trial, state.choices))
    split = halves(trial, plain, overlaid, is_plain_ready=True, safety=Safety(halted=state.halted))
    return split.of(user, None, "")


_DAY_US = 86_400_000_000
