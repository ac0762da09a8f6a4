"""What tokens cost at each endpoint: the settings over genai-prices.

Refuses to guess: an unknown price is None, never zero. genai-prices is only ever imported by the child process that this module
is when it is run (`python -m meliora.gateway.prices`): it would cost the gateway a second and its memory.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import ipaddress
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from meliora.gateway.rates import Rates, cost_micros
from meliora.settings import models

if TYPE_CHECKING:
    from genai_prices import types as listed
    from genai_prices.data_snapshot import DataSnapshot

__all__ = ["Found", "Prices", "Query", "Rates", "Resolved", "answer", "cost_micros", "in_child", "lookup", "resolve"]

_LOOK_UP_SECONDS = 60.0
_BATCH = {"processing": "batch"}


class Resolved(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of a model at a provider."""

    rates: Rates = Rates()
    context_window: int | None = None
    source: str = "unknown"
    """`settings`, `genai-prices VERSION`, both, or `unknown`; with notes where the price list says more than rates can hold."""


class Prices(msgspec.Struct, frozen=True):
    """All of them by (provider as named in the settings, model as the provider knows it)."""

    models: dict[tuple[str, str], Resolved]
    problem: str = ""
    """What went wrong with the price list, where something did; the settings' prices hold all the same."""


class Query(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the child process is asked about one provider of the settings."""

    provider: str
    kind: str
    base_url: str
    prices_from: str
    models: tuple[str, ...]
    all_models: bool = False
    """Also give every model of the list, for a provider that passes any name on."""


class Found(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the child process answers about one model."""

    provider: str
    model: str
    rates: Rates
    context_window: int | None = None
    note: str = ""


Ask = Callable[[list[Query], date], list[Found]]


def resolve(settings: models.Settings, today: date, ask: Ask | None = None) -> Prices:
    """Find the rates of every endpoint in the settings.

    Prices in `[models.NAME.price]` override the list field by field. The list is asked in a child process, once for each
    version of genai-prices, each set of endpoints and each day; the answer is kept in `state_dir/cache/prices.json`.
    """
    queries = _queries(settings)
    version = _version()
    found: list[Found] = []
    problem = ""
    if queries:
        path = settings.server.state_dir / "cache" / "prices.json"
        found, problem = _remembered(path, queries, version, today, ask or in_child)
    resolved = {
        (one.provider, one.model): Resolved(one.rates, one.context_window, f"genai-prices {version}{one.note}")
        for one in found
    }
    for name, model in settings.models.items():
        if model.price is None:
            continue
        for provider, upstream in _endpoints(settings, name, model):
            before = resolved.get((provider, upstream))
            resolved[provider, upstream] = Resolved(
                Rates.of(model.price, before.rates if before else None),
                before.context_window if before else None,
                f"settings, {before.source}" if before else "settings",
            )
    return Prices(resolved, problem)


def in_child(queries: list[Query], today: date) -> list[Found]:
    """Ask genai-prices in a process of its own. Raises `OSError`, `SubprocessError` or `MsgspecError`."""
    done = subprocess.run(
        [sys.executable, "-m", "meliora.gateway.prices", today.isoformat()],
        input=msgspec.json.encode(queries),
        capture_output=True,
        timeout=_LOOK_UP_SECONDS,
        check=False,
    )
    if done.returncode:
        last = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise subprocess.SubprocessError(f"it ended with {done.returncode}: {last}")
    return msgspec.json.decode(done.stdout, type=list[Found])


def _queries(settings: models.Settings) -> list[Query]:
    wanted: dict[str, set[str]] = {name: set(provider.models) for name, provider in settings.providers.items()}
    for name, model in settings.models.items():
        for provider, upstream in _endpoints(settings, name, model):
            wanted.setdefault(provider, set()).add(upstream)
    return [
        Query(
            name,
            provider.kind,
            provider.base_url,
            provider.prices_from,
            tuple(sorted(wanted[name])),
            provider.passthrough,
        )
        for name, provider in sorted(settings.providers.items())
        if provider.kind != "simulated" and (wanted[name] or provider.passthrough)
    ]


def _endpoints(settings: models.Settings, name: str, model: models.Model) -> set[tuple[str, str]]:
    named = {(ref.provider, ref.model or name) for ref in model.endpoints}
    return named | {(p, name) for p, provider in settings.providers.items() if name in provider.models}


def _version() -> str:
    try:
        return importlib.metadata.version("genai-prices")
    except importlib.metadata.PackageNotFoundError:
        return "missing"


class _Kept(msgspec.Struct, frozen=True):
    key: str
    found: list[Found]


def _remembered(path: Path, queries: list[Query], version: str, today: date, ask: Ask) -> tuple[list[Found], str]:
    """Give the kept answer, or a new one; where none can be had, the last one whatever it was for, and the problem."""
    key = hashlib.sha256(msgspec.json.encode((version, today.isoformat(), queries))).hexdigest()
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=_Kept)
    except (OSError, msgspec.MsgspecError):
        kept = None
    if kept is not None and kept.key == key:
        return kept.found, ""
    try:
        found = ask(queries, today)
    except (OSError, subprocess.SubprocessError, msgspec.MsgspecError) as error:
        return kept.found if kept is not None else [], f"The price list could not be asked: {error}"
    half = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        half.write_bytes(msgspec.json.encode(_Kept(key, found)))
        half.replace(path)
    except OSError as error:
        return found, f"Prices are known but could not be kept for the next start: {error}"
    return found, ""


def lookup(prices: Mapping[tuple[str, str], Resolved], provider: str, model: str) -> Resolved:
    """Give what is known of a model at a provider; a `Resolved` without rates where nothing is."""
    return prices.get((provider, model)) or Resolved()


def answer(queries: list[Query], today: date) -> list[Found]:
    """Give what the list knows of the models; those it does not know are left out. Only for the child process.

    The base price is taken where a provider charges more for long prompts, and the standard one where it charges less at night;
    the note says so.
    """
    from genai_prices.data_snapshot import get_snapshot  # a second and 40 MB: only ever in the child process

    snapshot = get_snapshot()
    at = datetime.combine(today, time(12), tzinfo=UTC)
    found: list[Found] = []
    for query in queries:
        account = _account(snapshot, query)
        for name in query.models:
            model = _model(snapshot, account, query, name)
            if model is not None:
                found.append(_found(query.provider, name, model, at))
        if query.all_models and account is not None:
            known = set(query.models)
            found.extend(_found(query.provider, m.id, m, at) for m in account.models if m.id not in known)
    return found


def _account(snapshot: DataSnapshot, query: Query) -> listed.Provider | None:
    """Find the list's provider: by its id if set, else by the base URL; Anthropic's dialect at its own default address."""
    try:
        if query.prices_from:
            return snapshot.find_provider(None, query.prices_from, None)
        if query.base_url:
            return snapshot.find_provider(None, None, query.base_url)
    except LookupError:
        return None
    return snapshot.find_provider(None, "anthropic", None) if query.kind == "anthropic" else None


def _model(snapshot: DataSnapshot, account: listed.Provider | None, query: Query, name: str) -> listed.ModelInfo | None:
    """Find a model. By its name alone only where the address is public: what runs on one's own machine has its own price."""
    try:
        if account is not None:
            return snapshot.find_provider_model(name, account, None, None)[1]
        if query.prices_from or is_private(query.base_url):
            return None
        return snapshot.find_provider_model(name, None, None, None)[1]
    except LookupError:
        return None


def is_private(base_url: str) -> bool:
    """Say whether an address is that of this machine or its own network."""
    host = (urlsplit(base_url).hostname or "").rstrip(".")
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith((".local", ".internal", ".lan", ".localhost", ".home.arpa"))


def _found(provider: str, name: str, model: listed.ModelInfo, at: datetime) -> Found:
    notes: list[str] = []
    usual = _standard(model, at, notes)
    batch = _batch(model, at)
    rates = Rates(
        input=_rate(usual, "input_mtok", notes),
        output=_rate(usual, "output_mtok", notes),
        cached_input=_rate(usual, "cache_read_mtok", notes),
        cache_write=_rate(usual, "cache_write_mtok", notes),
        reasoning=_rate(usual, "output_reasoning_mtok", notes),
        batch_input=_rate(batch, "input_mtok", notes),
        batch_output=_rate(batch, "output_mtok", notes),
    )
    return Found(provider, name, rates, model.context_window, "".join(f", {note}" for note in dict.fromkeys(notes)))


def _standard(model: listed.ModelInfo, at: datetime, notes: list[str]) -> listed.ModelPrice:
    """Give the price of the day, without regard to the hour."""
    from genai_prices import types as listed

    prices = model.prices
    if isinstance(prices, listed.ModelPrice):
        return prices
    lasting = [p for p in prices if not isinstance(p.constraint, listed.TimeOfDateConstraint)]
    if len(lasting) < len(prices):
        notes.append("other hours other prices")
    for one in reversed(lasting):
        if one.constraint is None or one.constraint.active(at):
            return one.prices
    return prices[0].prices if prices else listed.ModelPrice()


def _batch(model: listed.ModelInfo, at: datetime) -> listed.ModelPrice | None:
    offered = any(
        variant.when == _BATCH and (variant.constraint is None or variant.constraint.active(at))
        for variant in model.price_variants or ()
    )
    return model.get_prices(at, _BATCH) if offered else None


def _rate(price: listed.ModelPrice | None, name: str, notes: list[str]) -> float | None:
    from genai_prices import types as listed

    value: Any = vars(price).get(name) if price is not None else None
    if isinstance(value, listed.TieredPrices):
        notes.append("tiered: base price")
        value = value.base
    return float(value) if isinstance(value, Decimal) else None


def main() -> None:
    """Answer the queries on standard input; the first argument is the day the prices shall hold for."""
    queries = msgspec.json.decode(sys.stdin.buffer.read(), type=list[Query])
    sys.stdout.buffer.write(msgspec.json.encode(answer(queries, date.fromisoformat(sys.argv[1]))))


if __name__ == "__main__":
    main()
