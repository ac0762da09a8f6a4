"""Which models never leave the house: every endpoint of theirs is on this machine or in its own network."""

from __future__ import annotations

from meliora.gateway.prices import is_private
from meliora.settings.models import Provider, Settings


def local_models(settings: Settings) -> frozenset[str]:
    """Give the models of which no call goes to a public address."""
    served: dict[str, list[Provider]] = {}
    for provider in settings.providers.values():
        for name in provider.models:
            served.setdefault(name, []).append(provider)
    for name, model in settings.models.items():
        found = [settings.providers[ref.provider] for ref in model.endpoints if ref.provider in settings.providers]
        served.setdefault(name, []).extend(found)
    return frozenset(name for name, providers in served.items() if providers and all(map(_is_local, providers)))


def _is_local(provider: Provider) -> bool:
    return provider.kind == "simulated" or is_private(provider.base_url)
