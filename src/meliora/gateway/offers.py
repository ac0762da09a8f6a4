"""The catalog as routing sees it: models with what they can do, what they cost and how they are; no endpoints."""

from __future__ import annotations

from collections.abc import Callable

from meliora.gateway.catalog import Catalog, Endpoint, Entry
from meliora.routing.pool import Candidate, Pool


def offers(catalog: Catalog, now: Callable[[], float], health_of: Callable[[Endpoint], float] | None = None) -> Pool:
    """Give the catalog's models to choose among; their health is asked when a choice is made.

    `health_of` gives an endpoint's health from elsewhere than its own breaker.
    """

    def passthrough(name: str) -> Candidate | None:
        entry = catalog.find(name)
        return candidate(entry) if entry is not None else None

    def by_breaker(endpoint: Endpoint) -> float:
        return endpoint.breaker.health(now())

    of = health_of or by_breaker

    def health(name: str) -> float:
        entry = catalog.find(name)
        if entry is None:
            return 0.0
        endpoints = entry.endpoints
        return of(endpoints[0]) if len(endpoints) == 1 else max(map(of, endpoints), default=0.0)

    return Pool(map(candidate, catalog.models.values()), catalog.aliases, health, passthrough)


def candidate(entry: Entry) -> Candidate:
    """Give a model as a candidate, at the price of its cheapest priced endpoint."""
    priced = [e.rates for e in entry.endpoints if e.rates.input is not None and e.rates.output is not None]
    cheapest = min(priced, key=lambda rates: (rates.input or 0) + (rates.output or 0), default=None)
    return Candidate(
        name=entry.name,
        tier=entry.tier,
        context_window=entry.context_window,
        capabilities=entry.capabilities,
        regions=frozenset(e.region for e in entry.endpoints if e.region),
        input_price=cheapest.input if cheapest else None,
        output_price=cheapest.output if cheapest else None,
        fallbacks=entry.fallbacks,
        priority=entry.priority,
    )
