"""What no single setting can tell: names that must exist, patterns that must compile, keys that must be references.

Looks at finished settings and gives complaints; decides nothing and changes nothing.
"""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path as File
from typing import Literal, get_args
from urllib.parse import urlsplit

import re2

from meliora.settings.loop import RECORDED_METRICS
from meliora.settings.models import Provider, Settings, Tier
from meliora.settings.secret import carries_secret, doubt, is_reference, looks_secret
from meliora.settings.shapes import Path

SIMULATED = "simulated"
"""The provider there is when none is configured; its models begin with this name."""

DEFAULT_URLS = {"openai": "https://api.openai.com/v1", "anthropic": "https://api.anthropic.com/v1"}
MAX_PATTERN_MEMORY = 8 << 20
MAX_ALIASES = 4
"""Aliases of aliases; the gateway follows no more."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """What is wrong with the setting at a path, and what to write."""

    path: Path
    what: str
    write: str = ""
    severity: Literal["error", "warning"] = "error"


def complaints(settings: Settings, environ: Mapping[str, str]) -> Iterator[Complaint]:
    """Give everything that does not hold together."""
    yield from _server(settings)
    for name, provider in settings.providers.items():
        yield from _provider(name, provider, environ)
    yield from _secrets(("otlp", "headers"), settings.otlp.headers, environ)
    yield from _audit_key(settings, environ)
    yield from _names(settings)
    yield from _fallbacks(settings)
    yield from _rules(settings)
    yield from _scorers(settings, environ)
    yield from _reference_model(settings)
    yield from _embeddings(settings, environ)
    yield from _loop(settings, environ)
    yield from _knowledge(settings, environ)


def _server(settings: Settings) -> Iterator[Complaint]:
    url = settings.store.url
    if url and not url.startswith(("sqlite://", "sqlite+pysqlite://", "postgresql+psycopg://")):
        scheme = url.partition("://")[0]
        plain = scheme in ("postgres", "postgresql", "postgresql+psycopg2", "postgresql+asyncpg")
        write = "Write postgresql+psycopg://USER@HOST/DATABASE." if plain else "Leave it empty for SQLite."
        yield Complaint(("store", "url"), "is neither SQLite nor PostgreSQL with psycopg.", write)
    if settings.gateway.anonymous and not _loopback(settings.server.host):
        what = f"serves calls without a key to whoever reaches {settings.server.host}."
        yield Complaint(("gateway", "anonymous"), what, "Write anonymous = false, or host = '127.0.0.1'.", "warning")


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _provider(name: str, provider: Provider, environ: Mapping[str, str]) -> Iterator[Complaint]:
    path: Path = ("providers", name)
    if provider.kind != "simulated":
        yield from _base_url((*path, "base_url"), provider)
    if provider.api_key:
        suggestion = "".join(c if c.isalnum() else "_" for c in name.upper()) + "_API_KEY"
        yield from _reference((*path, "api_key"), provider.api_key, f'api_key = "env:{suggestion}"', environ)
    yield from _secrets((*path, "headers"), provider.headers, environ)
    yield from _secrets((*path, "query"), provider.query, environ)
    if provider.ca_file and not File(provider.ca_file).expanduser().is_file():
        yield Complaint((*path, "ca_file"), f"names {provider.ca_file}, which is not a file.", "Name a PEM file.")
    if provider.proxy and urlsplit(provider.proxy).scheme != "http":
        yield Complaint(
            (*path, "proxy"), "is not the address of an HTTP proxy.", 'Write e.g. proxy = "http://proxy:3128".'
        )


_CALLS = ("/chat/completions", "/completions", "/responses", "/embeddings", "/messages", "/models")
"""What people copy along with a base URL."""


def _base_url(path: Path, provider: Provider) -> Iterator[Complaint]:
    example = f'base_url = "{DEFAULT_URLS[provider.kind]}"'
    if not provider.base_url:
        yield Complaint(path, "is missing.", f"Write e.g. {example}.")
        return
    try:
        url = urlsplit(provider.base_url)
        whole = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        whole = False
    else:
        if url.username or url.password:
            yield Complaint(path, "holds a login.", "Use api_key or headers for it.")
        if url.query or url.fragment:
            yield Complaint(path, "holds a query.", "Write the parameters under `query`.")
        call = next((call for call in _CALLS if url.path.rstrip("/").endswith(call)), None)
        if call is not None:
            yield Complaint(path, f"ends with {call}, the path of one call.", "Leave that part out.")
        if url.hostname in ("api.openai.com", "api.anthropic.com") and url.path in ("", "/"):
            yield Complaint(path, "ends before the version.", f"Write {example}.", "warning")
    if not whole:
        yield Complaint(path, "is not an http or https address.", f"Write e.g. {example}.")


def _reference(path: Path, value: str, write: str, environ: Mapping[str, str]) -> Iterator[Complaint]:
    """Refuse a literal without showing it; doubt a reference that leads nowhere today."""
    if not is_reference(value):
        what = "holds a literal value where a reference belongs (it is not shown here)."
        yield Complaint(path, what, f"Keep the secret in a variable or a file, and write {write}.")
        return
    found = doubt(value, environ)
    if found:
        yield Complaint(path, *found, "warning")


def _secrets(path: Path, table: Mapping[str, str], environ: Mapping[str, str]) -> Iterator[Complaint]:
    for name, value in table.items():
        if is_reference(value) or (value and (carries_secret(name) or looks_secret(value))):
            yield from _reference((*path, name), value, f'{name} = "env:NAME"', environ)


def _audit_key(settings: Settings, environ: Mapping[str, str]) -> Iterator[Complaint]:
    if settings.loop.audit_key:
        yield from _reference(("loop", "audit_key"), settings.loop.audit_key, 'audit_key = "env:NAME"', environ)
    if settings.loop.replace_policies and settings.loop.policies is None:
        yield Complaint(("loop", "replace_policies"), "is set without `loop.policies`.", "Name the directory.")


def _names(settings: Settings) -> Iterator[Complaint]:
    known = _known(settings)
    for kind in ("models", "aliases"):
        for name in getattr(settings, kind):
            yield from _reserved((kind, name), name)
    for provider, account in settings.providers.items():
        for name in account.models:
            yield from _reserved(("providers", provider, "models"), name)
    for name, model in settings.models.items():
        for number, ref in enumerate(model.endpoints):
            if ref.provider not in settings.providers and (settings.providers or ref.provider != SIMULATED):
                write = _guess(ref.provider, settings.providers) or f"Add a [providers.{ref.provider}] section."
                path = ("models", name, "endpoints", number, "provider")
                yield Complaint(path, f"names the provider {ref.provider!r}, which there is not.", write)
        if not model.endpoints and not _served(name, settings):
            yield Complaint(
                ("models", name),
                "is served by no provider.",
                'Write endpoints = [{ provider = "NAME" }], or list it in the `models` of a provider.',
            )
    for alias, target in settings.aliases.items():
        if alias in known:
            yield Complaint(("aliases", alias), "is also the name of a model.", "Choose another name for the alias.")
        end = _end(target, settings.aliases)
        if end is None:
            yield Complaint(("aliases", alias), f"leads in a circle by way of {target!r}.", "Name the model itself.")
        elif end == target and not _auto(target) and not _exists(target, settings, known):
            yield Complaint(
                ("aliases", alias), f"leads to {target!r}, which no provider serves.", _guess(target, known)
            )


def _end(name: str, aliases: Mapping[str, str]) -> str | None:
    """Follow aliases to the last name; None where they go round, or on for more than the gateway follows."""
    for _ in range(MAX_ALIASES):
        if name not in aliases:
            return name
        name = aliases[name]
    return None


def _auto(name: str) -> bool:
    return name in ("auto", *(f"auto:{tier}" for tier in get_args(Tier)))


def _reserved(path: Path, name: str) -> Iterator[Complaint]:
    if name == "auto" or name.startswith("auto:"):
        yield Complaint(path, f"uses {name!r}, which leaves the choice of a model to Meliora.", "Choose another name.")
    if not name.isprintable() or any(c.isspace() for c in name):
        yield Complaint(path, f"has a space or control character in the name {name!r}.", "Choose another name.")


def _known(settings: Settings) -> set[str]:
    served = {name for provider in settings.providers.values() for name in provider.models}
    return served | set(settings.models)


def _served(name: str, settings: Settings) -> bool:
    if not settings.providers and name.startswith(SIMULATED):
        return True
    provider, slash, model = name.partition("/")
    account = settings.providers.get(provider)
    passed = bool(slash and model and account and account.passthrough)
    return passed or any(name in p.models for p in settings.providers.values())


def _exists(name: str, settings: Settings, known: set[str]) -> bool:
    simulated = any(p.kind == "simulated" for p in settings.providers.values()) and name.startswith(SIMULATED)
    return name in known or simulated or _served(name, settings)


def _guess(name: str, names: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(names), 1, 0.6)
    return f"Did you mean {close[0]!r}?" if close else ""


def _fallbacks(settings: Settings) -> Iterator[Complaint]:
    known = _known(settings)
    for name, model in settings.models.items():
        for number, target in enumerate(model.fallbacks):
            path = ("models", name, "fallbacks", number)
            if target == name:
                yield Complaint(path, f"falls back from {name!r} to itself.", "Remove it.")
            elif target not in settings.aliases and not _exists(target, settings, known):
                yield Complaint(path, f"names {target!r}, which no provider serves.", _guess(target, known))
    seen: set[str] = set()
    for name in settings.models:
        circle = _circle(name, settings)
        if circle and not seen & set(circle):
            seen |= set(circle)
            what = f"go round in a circle: {' -> '.join([*circle, circle[0]])}; each is tried once."
            yield Complaint(("models", name, "fallbacks"), what, "Leave one out if that is not meant.", "warning")


def _circle(start: str, settings: Settings) -> list[str]:
    """Give a way of at least two models by which a model falls back to itself; empty where there is none."""
    ways, seen = [[start]], {start}
    while ways:
        way = ways.pop()
        model = settings.models.get(way[-1])
        for target in model.fallbacks if model else ():
            if target == start and len(way) > 1:
                return way
            if target not in seen:
                seen.add(target)
                ways.append([*way, target])
    return []


def _pattern(path: Path, pattern: str) -> Iterator[Complaint]:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = MAX_PATTERN_MEMORY
    try:
        re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else str(error)
        write = "RE2 has no lookaround and no backreferences; write the pattern without them."
        yield Complaint(path, f"is refused by RE2: {reason}.", write)


def _scorers(settings: Settings, environ: Mapping[str, str]) -> Iterator[Complaint]:
    known = _known(settings)
    names: set[str] = set()
    for number, scorer in enumerate(settings.routing.scorers):
        path: Path = ("routing", "scorers", number)
        if scorer.name in names or scorer.name == "expected":
            yield Complaint((*path, "name"), f"{scorer.name!r} is taken.", "Give each scorer its own name.")
        names.add(scorer.name)
        if scorer.kind == "regex":
            yield from _pattern((*path, "pattern"), scorer.pattern)
        if scorer.kind == "judge":
            yield from _reference((*path, "key"), scorer.key, 'key = "env:JUDGE_KEY"', environ)
            if scorer.model not in settings.aliases and not _exists(scorer.model, settings, known):
                what = f"{scorer.model!r} is served by no provider."
                yield Complaint((*path, "model"), what, _guess(scorer.model, known))


def _reference_model(settings: Settings) -> Iterator[Complaint]:
    name, known = settings.routing.dial.reference, _known(settings)
    if name and name not in settings.aliases and not _exists(name, settings, known):
        path = ("routing", "dial", "reference")
        yield Complaint(path, f"names {name!r}, which no provider serves.", _guess(name, known))


def _embeddings(settings: Settings, environ: Mapping[str, str]) -> Iterator[Complaint]:
    chosen, path = settings.routing.embedding, ("routing", "embedding")
    if chosen.table and not File(chosen.table).expanduser().is_file():
        what = f"names {chosen.table}, which is not a file here."
        yield Complaint((*path, "table"), what, "A calibration will need it.", "warning")
    if chosen.model:
        yield from _embeds((*path, "model"), chosen.model, settings)
        yield from _reference((*path, "key"), chosen.key, 'key = "env:EMBEDDING_KEY"', environ)
    cascade = settings.routing.cascade
    if cascade.agreement == "embedding":
        yield from _embeds(("routing", "cascade", "embedding_model"), cascade.embedding_model, settings)


def _embeds(path: Path, name: str, settings: Settings) -> Iterator[Complaint]:
    """Refuse a model that there is not, or that says that it gives no embeddings."""
    known = _known(settings)
    model = settings.models.get(name)
    if not _exists(name, settings, known):
        yield Complaint(path, f"{name!r} is served by no provider.", _guess(name, known))
    elif model is not None and model.capabilities is not None and "embeddings" not in model.capabilities:
        write = f'Write capabilities = ["embeddings"] under [models.{name}], or name another model.'
        yield Complaint(path, f"{name!r} does not declare embeddings.", write)


def _rules(settings: Settings) -> Iterator[Complaint]:
    known = _known(settings)
    ids: set[str] = set()
    for number, rule in enumerate(settings.rules):
        path: Path = ("rules", number)
        yield from _pattern((*path, "pattern"), rule.pattern)
        if rule.id and rule.id in ids:
            yield Complaint((*path, "id"), f"{rule.id!r} is used by an earlier rule.", "Give each rule its own id.")
        ids.add(rule.id)
        target = rule.preferred_model
        if target and target not in settings.aliases and not _exists(target, settings, known):
            yield Complaint((*path, "preferred_model"), f"{target!r} is served by no provider.", _guess(target, known))


def _loop(settings: Settings, environ: Mapping[str, str]) -> Iterator[Complaint]:
    loop = settings.loop
    for number, gate in enumerate(loop.gates):
        path = ("loop", "gates", number)
        if gate.source in (None, "telemetry") and gate.metric.lower() not in RECORDED_METRICS:
            write = _guess(gate.metric.lower(), RECORDED_METRICS) or f"There are: {', '.join(RECORDED_METRICS)}."
            yield Complaint((*path, "metric"), f"{gate.metric!r} is no metric that is recorded.", write)
        if gate.source == "prometheus" and not loop.prometheus.url:
            yield Complaint((*path, "source"), "is Prometheus, which is not set up.", "Write loop.prometheus.url.")
    if loop.prometheus.url:
        url = urlsplit(loop.prometheus.url)
        if url.scheme not in ("http", "https") or not url.hostname or url.username or url.password:
            write = 'Write e.g. url = "http://prometheus:9090", and a login as token.'
            yield Complaint(("loop", "prometheus", "url"), "is not an http or https address without a login.", write)
    for path, value in (
        (("loop", "prometheus", "token"), loop.prometheus.token),
        (("loop", "alerts", "slack_webhook"), loop.alerts.slack_webhook),
        (("loop", "alerts", "alertmanager_token"), loop.alerts.alertmanager_token),
    ):
        if value:
            yield from _reference(path, value, f'{path[-1]} = "env:NAME"', environ)
    for number, address in enumerate(loop.alerts.apprise):
        yield from _reference(("loop", "alerts", "apprise", number), address, 'apprise = ["env:NAME"]', environ)
    if loop.alerts.alertmanager:
        url = urlsplit(loop.alerts.alertmanager)
        if url.scheme not in ("http", "https") or not url.hostname or url.username or url.password:
            write = 'Write e.g. alertmanager = "http://alertmanager:9093", and a login as alertmanager_token.'
            yield Complaint(
                ("loop", "alerts", "alertmanager"), "is not an http or https address without a login.", write
            )


def _knowledge(settings: Settings, environ: Mapping[str, str]) -> Iterator[Complaint]:
    chosen = settings.knowledge
    if chosen.backend == "postgres" and not settings.store.url.startswith("postgresql"):
        write = 'Write store.url = "postgresql+psycopg://USER@HOST/DATABASE", or backend = "embedded".'
        yield Complaint(("knowledge", "backend"), "is PostgreSQL, which `store.url` does not name.", write)
    if chosen.embeddings.model:
        path: Path = ("knowledge", "embeddings")
        yield from _embeds((*path, "model"), chosen.embeddings.model, settings)
        yield from _reference((*path, "key"), chosen.embeddings.key, 'key = "env:EMBEDDING_KEY"', environ)
    if chosen.cross_encoder and not File(chosen.cross_encoder).expanduser().is_dir():
        what = f"names {chosen.cross_encoder}, which is no directory here."
        yield Complaint(("knowledge", "cross_encoder"), what, "Searches go on without it.", "warning")
