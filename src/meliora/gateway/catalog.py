"""The immutable picture of what can be called: providers, their endpoints, models, aliases and prices.

Built from the settings as a whole and swapped as a whole; a broken provider is an error when it is built, not when it is called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from meliora.errors import SettingsError
from meliora.gateway.breaker import Breaker
from meliora.gateway.http.dial import origin_of
from meliora.gateway.http.upstream import HttpUpstream
from meliora.gateway.prices import Rates, Resolved
from meliora.gateway.upstream import Headers, Upstream
from meliora.settings.models import EndpointRef, Model, Provider, Settings

ANTHROPIC_VERSION = b"2023-06-01"
"""Sent to Anthropic where the client names none."""

_SHORTEST_SECRET = 8
Secret = Callable[[str], str]
"""Resolve a reference (`env:NAME`, `file:PATH`) to its value; raises `SettingsError`."""


@dataclass(frozen=True, slots=True)
class Account:
    """A provider with its open connections."""

    name: str
    settings: Provider
    upstream: Upstream
    simulated: bool = False
    secrets: tuple[bytes, ...] = ()
    """What authenticates the gateway there."""

    def without_secrets(self, body: bytes) -> bytes:
        """Give an error's body without the provider's keys, should it repeat them."""
        for secret in self.secrets:
            body = body.replace(secret, b"[KEY]")
        return body


@dataclass(frozen=True, slots=True, eq=False)
class Endpoint:
    """One way to reach one model."""

    id: str
    """`PROVIDER/MODEL`, with the name that the provider knows the model by."""
    account: Account
    model: str
    weight: float
    rates: Rates
    breaker: Breaker

    @property
    def region(self) -> str:
        """Where it processes data; empty: not declared."""
        return self.account.settings.region


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A model that clients may ask for."""

    name: str
    endpoints: tuple[Endpoint, ...]
    tier: str | None = None
    context_window: int | None = None
    max_output: int | None = None
    capabilities: frozenset[str] | None = None
    """None: not declared, taken to do everything but embeddings."""
    fallbacks: tuple[str, ...] = ()
    priority: int = 0
    """Within its tier the higher is taken first."""


@dataclass(frozen=True, slots=True, eq=False)
class Catalog:
    """Everything that can be called, by name."""

    accounts: Mapping[str, Account]
    models: Mapping[str, Entry]
    aliases: Mapping[str, str]
    prices: Mapping[tuple[str, str], Resolved]
    made_us: int
    make_breaker: Callable[[], Breaker]
    breakers: dict[str, Breaker] = field(default_factory=dict)
    """By endpoint; a provider that passes any name on has one for all of these, `PROVIDER/*`."""

    def find(self, name: str) -> Entry | None:
        """Give the model of this name, or the endpoint `PROVIDER/MODEL` of a provider that passes any name on."""
        entry = self.models.get(name)
        if entry is not None:
            return entry
        provider, slash, model = name.partition("/")
        account = self.accounts.get(provider) if slash and model else None
        if account is None or not account.settings.passthrough:
            return None
        return Entry(name, (_endpoint(self, account, model, account.settings.weight, f"{provider}/*"),))

    async def close(self) -> None:
        """Close all connections."""
        for account in self.accounts.values():
            await account.upstream.close()


@dataclass(frozen=True, slots=True)
class Building:
    """What it takes to build a catalog besides the settings."""

    secret: Secret
    prices: Mapping[tuple[str, str], Resolved]
    simulated: Callable[[str, Provider], Upstream]
    make_breaker: Callable[[], Breaker]
    now_us: int


def build(settings: Settings, building: Building, before: Catalog | None = None) -> Catalog:
    """Build a catalog; breakers of endpoints that stay keep their memory. Raises `SettingsError`."""
    accounts = {
        name: Account(
            name,
            provider,
            _upstream(name, provider, settings, building),
            provider.kind == "simulated",
            _secrets(provider, building.secret),
        )
        for name, provider in settings.providers.items()
    }
    breakers = {} if before is None else dict(before.breakers)
    models: dict[str, Entry] = {}
    catalog = Catalog(
        accounts, models, dict(settings.aliases), building.prices, building.now_us, building.make_breaker, breakers
    )
    for name, provider in settings.providers.items():
        for model in provider.models:
            if model not in settings.models:
                ref = EndpointRef(provider=name)
                already = models[model].endpoints if model in models else ()
                models[model] = _entry(catalog, model, Model(endpoints=[ref]), already)
    for name, model in settings.models.items():
        implied = [EndpointRef(provider=p) for p, provider in settings.providers.items() if name in provider.models]
        named = {ref.provider for ref in model.endpoints}
        refs = [*model.endpoints, *(ref for ref in implied if ref.provider not in named)]
        models[name] = _entry(catalog, name, model.model_copy(update={"endpoints": refs}))
    return catalog


def _entry(catalog: Catalog, name: str, model: Model, already: tuple[Endpoint, ...] = ()) -> Entry:
    endpoints = [*already]
    window = model.context_window
    for ref in model.endpoints:
        account = catalog.accounts.get(ref.provider)
        if account is None:
            raise SettingsError(
                f"models.{name}: there is no provider {ref.provider!r}.",
                hint=f"Add a [providers.{ref.provider}] section.",
            )
        upstream_name = ref.model or name
        endpoint = _endpoint(
            catalog,
            account,
            upstream_name,
            account.settings.weight if ref.weight is None else ref.weight,
        )
        endpoints.append(endpoint)
        found = catalog.prices.get((ref.provider, upstream_name))
        if window is None and found is not None:
            window = found.context_window
    capabilities = None if model.capabilities is None else frozenset(model.capabilities)
    return Entry(
        name,
        tuple(endpoints),
        model.tier,
        window,
        model.max_output,
        capabilities,
        tuple(model.fallbacks),
        model.priority,
    )


def _endpoint(catalog: Catalog, account: Account, model: str, weight: float, breaker_of: str = "") -> Endpoint:
    name = f"{account.name}/{model}"
    breaker = catalog.breakers.get(breaker_of or name)
    if breaker is None:
        breaker = catalog.breakers[breaker_of or name] = catalog.make_breaker()
    found = catalog.prices.get((account.name, model))
    return Endpoint(name, account, model, weight, found.rates if found is not None else Rates(), breaker)


def _upstream(name: str, provider: Provider, settings: Settings, building: Building) -> Upstream:
    if provider.kind == "simulated":
        return building.simulated(name, provider)
    if not provider.base_url:
        raise SettingsError(f"providers.{name}.base_url is missing.", hint="Write e.g. https://api.openai.com/v1.")
    headers: Headers = [(k.lower().encode(), building.secret(v).encode()) for k, v in provider.headers.items()]
    headers.extend(_auth(provider, building.secret))
    return HttpUpstream(
        origin_of(provider.base_url, ca_file=provider.ca_file, proxy=provider.proxy),
        size=provider.max_connections,
        timeouts=provider.timeouts or settings.gateway.timeouts,
        headers=headers,
        query=urlencode({name: building.secret(value) for name, value in provider.query.items()}),
    )


def _secrets(provider: Provider, secret: Secret) -> tuple[bytes, ...]:
    """Give what must not be repeated to a client; shorter than this it could be any word."""
    given = [
        secret(value) for value in (provider.api_key, *provider.headers.values(), *provider.query.values()) if value
    ]
    return tuple(value.encode() for value in given if len(value) >= _SHORTEST_SECRET)


def _auth(provider: Provider, secret: Secret) -> Headers:
    if not provider.api_key:
        return []
    key = secret(provider.api_key)
    name = provider.auth_header.lower() or ("x-api-key" if provider.kind == "anthropic" else "authorization")
    value = f"Bearer {key}" if name == "authorization" else key
    return [(name.encode(), value.encode())]
