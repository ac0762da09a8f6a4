"""The models that can be asked for, with tier, price, context and endpoints."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from meliora.cli.shared import UNKNOWN, Json, paint, say, settings, show, table
from meliora.settings import Settings

if TYPE_CHECKING:
    from meliora.gateway.prices import Prices, Rates


@dataclass(frozen=True, slots=True)
class Row:
    """A model as it is listed. Prices in US dollars a million tokens; None is unknown."""

    name: str
    tier: str | None
    input: float | None
    output: float | None
    context: int | None
    endpoints: tuple[str, ...]
    fallbacks: tuple[str, ...]
    source: str
    """Where the price comes from."""


def models(json: Json = False) -> None:
    """List the models: tier, price (US dollars a million tokens in and out), context, endpoints."""
    from meliora.gateway.prices import resolve
    from meliora.runtime.shared import effective

    chosen = effective(settings())
    prices = resolve(chosen, datetime.now(UTC).date())
    found = rows(chosen, prices)
    if json:
        for row in found:
            show(asdict(row))
        return
    lines = [
        [row.name, row.tier or "-", price(row.input), price(row.output), _tokens(row.context), " ".join(row.endpoints)]
        for row in found
    ]
    table(lines, ("model", "tier", "in", "out", "context", "endpoints"))
    for alias, target in chosen.aliases.items():
        say(f"{alias} -> {target}")
    if prices.problem:
        say(paint(f"The price list could not be read: {prices.problem}", "yellow"))


def rows(settings: Settings, prices: Prices) -> list[Row]:
    """Put together what is known of each model, by name. The price of the first endpoint that has one stands for all."""
    names = {*settings.models, *(name for provider in settings.providers.values() for name in provider.models)}
    return [_row(name, settings, prices) for name in sorted(names)]


def _row(name: str, settings: Settings, prices: Prices) -> Row:
    from meliora.gateway.prices import lookup

    model = settings.models.get(name)
    places = [(ref.provider, ref.model or name) for ref in model.endpoints] if model else []
    implied = [(p, name) for p, provider in settings.providers.items() if name in provider.models]
    named = {provider for provider, _ in places}
    places += [place for place in implied if place[0] not in named]
    found = [lookup(prices.models, *place) for place in places]
    rates: list[Rates] = [one.rates for one in found]
    windows = [one.context_window for one in found if one.context_window is not None]
    window = model.context_window if model and model.context_window else min(windows, default=None)
    return Row(
        name,
        model.tier if model else None,
        next((r.input for r in rates if r.input is not None), None),
        next((r.output for r in rates if r.output is not None), None),
        window,
        tuple(f"{provider}/{upstream}" for provider, upstream in places),
        tuple(model.fallbacks) if model else (),
        found[0].source if found else UNKNOWN,
    )


def price(usd_per_million: float | None) -> str:
    """Write a price; an unknown one is said to be unknown."""
    return UNKNOWN if usd_per_million is None else f"${usd_per_million:g}"


def _tokens(window: int | None) -> str:
    return UNKNOWN if window is None else f"{window:,}"
