"""What a call is decided by, as one immutable value: settings, catalog, keys, rules and learned policies. Swapped whole, never changed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from meliora.errors import Forbidden, Overloaded, Unauthorized
from meliora.gateway.arms import (
    SAFE,
    Arm,
    Basis,
    Halves,
    Safety,
    choices_by_tenant,
    halves,
    overlaid_choices,
    overlaid_rules,
)
from meliora.gateway.call import Labels
from meliora.gateway.catalog import Catalog
from meliora.gateway.offers import offers
from meliora.gateway.state import GATEWAY, KeyState, PolicyRef, RuleState, Scope, State, TrialState
from meliora.routing.escalation import security_rule
from meliora.routing.pool import Pool
from meliora.routing.rules import RuleSet
from meliora.settings.models import Settings

if TYPE_CHECKING:
    from meliora.routing.choose import Learned
    from meliora.routing.learned.policy import Policy
    from meliora.routing.preferences.offsets import OffsetTable

SECRET_PREFIX = "mel_"
"""Begins the secret of every virtual key."""
ANONYMOUS = KeyState(id="anonymous", tenant="default", hashes=(), name="anonymous", scopes=("call", "feedback"))
"""The key of calls without one, where `gateway.anonymous` allows them."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the state names and was fetched beside it, by tenant."""

    policies: Mapping[str, Policy] = field(default_factory=dict)
    likings: Mapping[str, OffsetTable] = field(default_factory=dict)
    """What users like, which moves a policy's choice a little."""
    trialled: Mapping[str, Policy] = field(default_factory=dict)
    """The policies that overlays of trials name."""


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """One version of everything."""

    settings: Settings
    catalog: Catalog
    state: State
    keys: Mapping[str, tuple[KeyState, int | None]]
    """By SHA-256 of the secret: the key, and until when this secret opens it."""
    offers: Pool
    loaded: Loaded
    common: Basis
    """What decides for a tenant that has neither policy nor choices of its own."""
    own: Mapping[str, Basis]
    """By tenant: what decides where it has."""
    trials: Mapping[str, Halves]
    """By tenant: the trial that splits its calls."""
    overlays: Mapping[str, RuleSet]
    """By tenant: the rules of its trial's overlay."""
    safety: Safety = SAFE

    @property
    def rules(self) -> RuleSet:
        """The rules of all tenants, outside of trials."""
        return self.common.rules

    def basis_of(self, key: KeyState, labels: Labels) -> tuple[Basis, Arm | None]:
        """Give what a call is decided by, and the arm of a trial that it counts in, if any."""
        trial = self.trials.get(key.tenant)
        if trial is None:
            return self.own.get(key.tenant, self.common), None
        return trial.of(labels.user, labels.session, key.id)

    def authenticate(self, secret: str | None, now_us: int, scope: Scope) -> KeyState:
        """Give the key that a secret opens. Raises `Unauthorized` or `Forbidden`; never says which part was wrong.

        Raises `Overloaded` where no state has arrived since the first start.
        """
        if secret is None:
            if self.settings.gateway.anonymous:
                return ANONYMOUS
            raise Unauthorized(
                "No API key was sent.",
                hint="Send `authorization: Bearer KEY` or `x-api-key: KEY`; `meliora keys create` makes one.",
            )
        found = self.keys.get(hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest())
        if found is None and self.settings.gateway.anonymous and not secret.startswith(SECRET_PREFIX):
            return ANONYMOUS  # SDKs always send some key; one of ours that is not known was revoked, and stays refused
        if found is None and self.state.version == 0 and not self.keys:
            # Nobody's key can be told yet; a client that is told its key is wrong does not come again.
            raise Overloaded("No keys have arrived from the control process yet.", retry_after=1)
        if found is None:
            raise Unauthorized("The API key is not known here.", hint="`meliora keys list` shows the keys there are.")
        key, until = found
        if (until is not None and now_us >= until) or (key.expires_us is not None and now_us >= key.expires_us):
            raise Unauthorized("The API key has expired.", hint="`meliora keys rotate` makes a new secret.")
        if scope not in key.scopes and "admin" not in key.scopes:
            raise Forbidden(f"The API key lacks the scope {scope!r}.", hint="`meliora keys update` widens it.")
        return key


def snapshot(
    settings: Settings,
    catalog: Catalog,
    state: State,
    now: Callable[[], float],
    loaded: Loaded,
    safety: Safety = SAFE,
) -> Snapshot:
    """Put a snapshot together; rules that do not compile are left out and stand in `refused` of their set."""
    keys = {kept.sha256: (key, kept.until_us) for key in state.keys for kept in key.hashes}
    written = (*rules_of(settings), *state.rules)
    common = Basis(RuleSet(written, strict=False))
    pool = offers(catalog, now)
    overlays = {
        trial.tenant: overlaid_rules(trial, written)
        if trial.overlay.rules or trial.overlay.without_rules
        else common.rules
        for trial in state.trials
        if trial.surface == GATEWAY
    }
    made = Snapshot(settings, catalog, state, keys, pool, loaded, common, {}, {}, overlays, safety)
    return with_loaded(made, loaded)


def with_loaded(before: Snapshot, loaded: Loaded) -> Snapshot:
    """Give the same snapshot with other policies and likings."""
    learned = _learned(before.settings, before.offers, loaded.policies)
    choices = choices_by_tenant(before.state)
    own = {
        tenant: Basis(before.common.rules, learned.get(tenant), choices.get(tenant))
        for tenant in learned.keys() | choices.keys()
    }
    trialled = _learned(before.settings, before.offers, loaded.trialled)
    trials = {}
    for tenant in before.overlays:
        trial = before.state.trial_of(tenant)
        if trial is not None:
            plain = own.get(tenant, before.common)
            overlaid = _overlaid(before, trial, plain, trialled.get(tenant))
            ready = _serves(before, plain.learned, before.state.policies.get(tenant))
            trials[tenant] = halves(trial, plain, overlaid, is_plain_ready=ready, safety=before.safety)
    return replace(before, loaded=loaded, own=own, trials=trials)


def with_safety(before: Snapshot, safety: Safety) -> Snapshot:
    """Give the same snapshot, the baselines serving or no longer."""
    trials = {tenant: replace(trial, safety=safety) for tenant, trial in before.trials.items()}
    return replace(before, trials=trials, safety=safety)


def _overlaid(made: Snapshot, trial: TrialState, plain: Basis, policy: Learned | None) -> Basis | None:
    """Give what decides with the overlay; None where a rule of it does not compile, or its policy is not loaded."""
    overlay, rules = trial.overlay, made.overlays[trial.tenant]
    added = {rule.id for rule in overlay.rules}
    if any(rule in added for rule, _ in rules.refused):
        return None
    learned = None if overlay.no_policy else plain.learned
    if overlay.policy is not None and not overlay.no_policy:
        if policy is None or not _serves(made, policy, overlay.policy):
            return None
        learned = policy
    return Basis(rules, learned, overlaid_choices(trial, made.state.choices))


def _serves(made: Snapshot, learned: Learned | None, ref: PolicyRef | None) -> bool:
    """Whether the policy that the state names is the one that serves here."""
    if ref is None or made.settings.routing.learned == "off":
        return learned is None
    return learned is not None and learned.policy.number == ref.number


def _learned(settings: Settings, pool: Pool, policies: Mapping[str, Policy]) -> dict[str, Learned]:
    """Give the policies at today's prices; without any, numpy stays out of the process."""
    if not policies or settings.routing.learned == "off":
        return {}
    from meliora.routing.choose import learned

    return {tenant: learned(policy, settings, pool.all()) for tenant, policy in policies.items()}


def rules_of(settings: Settings) -> tuple[RuleState, ...]:
    """Give the active rules of the settings, and the one that their security words make."""
    security = security_rule(settings.routing.escalation)
    written = tuple(
        RuleState(
            id=rule.id or f"toml-{number}",
            tenant=rule.tenant,
            pattern=rule.pattern,
            preferred_layer=rule.preferred_layer,
            preferred_model=rule.preferred_model,
            priority=rule.priority,
            applies_to=rule.applies_to,
        )
        for number, rule in enumerate(settings.rules, 1)
        if rule.active
    )
    return written if security is None else (*written, security)
