"""What a call is decided by, as one immutable value: settings, catalog, keys, rules and learned policies. Swapped whole, never changed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from meliora.errors import Forbidden, Overloaded, Unauthorized
from meliora.gateway.catalog import Catalog
from meliora.gateway.offers import offers
from meliora.gateway.state import KeyState, RuleState, Scope, State
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


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """One version of everything."""

    settings: Settings
    catalog: Catalog
    state: State
    keys: Mapping[str, tuple[KeyState, int | None]]
    """By SHA-256 of the secret: the key, and until when this secret opens it."""
    rules: RuleSet
    offers: Pool
    learned: Mapping[str, Learned]
    """By tenant: the policy that chooses for `auto`."""
    likings: Mapping[str, OffsetTable]
    """By tenant: what its users like, which moves the policy's choice a little."""

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
    policies: Mapping[str, Policy],
    likings: Mapping[str, OffsetTable],
) -> Snapshot:
    """Put a snapshot together; rules that do not compile are left out and stand in `rules.refused`."""
    keys = {kept.sha256: (key, kept.until_us) for key in state.keys for kept in key.hashes}
    rules = RuleSet((*rules_of(settings), *state.rules), strict=False)
    pool = offers(catalog, now)
    learned = _learned(settings, pool, policies)
    return Snapshot(settings, catalog, state, keys, rules, pool, learned, likings)


def with_policies(before: Snapshot, policies: Mapping[str, Policy]) -> Snapshot:
    """Give the same snapshot with other learned policies."""
    return replace(before, learned=_learned(before.settings, before.offers, policies))


def with_likings(before: Snapshot, likings: Mapping[str, OffsetTable]) -> Snapshot:
    """Give the same snapshot with other tables of what users like."""
    return replace(before, likings=likings)


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
