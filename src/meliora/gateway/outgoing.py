"""A client's request as an endpoint wants it: the dialect, the path, the body and the headers that may leave the house.

Where both ends speak one dialect the body's bytes pass, but for the model's name and the wish for usage. The client's key, its
cookies and whatever else it sent stay here.
"""

from __future__ import annotations

from itertools import count
from typing import Any

import msgspec

from meliora.errors import NoEndpoint
from meliora.gateway.catalog import ANTHROPIC_VERSION, Endpoint
from meliora.gateway.dialects.inspect import ask_for_usage, splice_model
from meliora.gateway.dialects.translate import Options, Translation, thinking_style, translator
from meliora.gateway.inbound import Inbound
from meliora.gateway.tracing import Span
from meliora.gateway.upstream import Headers, UpstreamRequest
from meliora.telemetry.records import Dialect

PATHS: dict[Dialect, str] = {
    "chat": "/chat/completions",
    "responses": "/responses",
    "embeddings": "/embeddings",
    "messages": "/messages",
}
DEFAULT_MAX_TOKENS = 4096
"""Limit of an answer where neither the client nor the model's settings name one and the upstream wants one."""
_PASSED = (b"anthropic-beta", b"anthropic-version", b"openai-beta", b"tracestate")


class Outgoing(msgspec.Struct, frozen=True):
    """A request ready to be sent, and how its answer is to be read."""

    request: UpstreamRequest
    dialect: Dialect
    """What the upstream speaks."""
    translation: Translation | None = None
    hide_usage: bool = False
    """The stream's usage was asked for by the gateway alone and is kept from the client."""
    loss: tuple[str, ...] = ()


class Asked(msgspec.Struct, frozen=True):
    """What the client asked, as far as the outgoing request depends on it."""

    inbound: Inbound
    dialect: Dialect
    body: dict[str, Any]
    model: str
    stream: bool
    includes_usage: bool
    allow_loss: bool
    span: Span
    call_id: str
    started_us: int


def upstream_dialect(client: Dialect, endpoint: Endpoint) -> Dialect | None:
    """Tell which dialect a call in `client` takes at the endpoint; None where it cannot be served there."""
    kind = endpoint.account.settings.kind
    if kind == "simulated":
        return client
    if kind == "anthropic":
        return None if client == "embeddings" else "messages"
    if client == "messages" or (client == "responses" and not endpoint.account.settings.responses):
        return "chat"
    return client


def outgoing(asked: Asked, endpoint: Endpoint, max_output: int | None) -> Outgoing:
    """Build the request for an endpoint. Raises `UntranslatableField`, or `NoEndpoint` where the dialects have nothing in common."""
    dialect = upstream_dialect(asked.dialect, endpoint)
    if dialect is None:
        raise NoEndpoint(f"{endpoint.id} does not serve {asked.dialect}.")
    if dialect == asked.dialect:
        return _same(asked, endpoint)
    options = _options(asked, endpoint, max_output)
    translation = translator(asked.dialect, dialect, allow_loss=asked.allow_loss, options=options)
    body, loss = translation.request({**asked.body, "model": endpoint.model})
    raw = msgspec.json.encode(body)
    request = UpstreamRequest("POST", PATHS[dialect], _headers(asked, endpoint, same=False), raw)
    return Outgoing(request, dialect, translation, loss=tuple(loss))


def _same(asked: Asked, endpoint: Endpoint) -> Outgoing:
    raw = asked.inbound.body
    if endpoint.model != asked.body["model"]:
        raw = splice_model(raw, asked.body, endpoint.model)
    hide = False
    if asked.stream and asked.dialect == "chat" and not asked.includes_usage and endpoint.account.settings.stream_usage:
        raw = ask_for_usage(raw, asked.body)
        hide = True
    path = PATHS[asked.dialect]
    query = asked.inbound.query
    if query and query.isascii() and b" " not in query:
        path += "?" + query.decode("ascii")
    return Outgoing(UpstreamRequest("POST", path, _headers(asked, endpoint, same=True), raw), asked.dialect, None, hide)


def _options(asked: Asked, endpoint: Endpoint, max_output: int | None) -> Options:
    settings = endpoint.account.settings
    stem = asked.call_id.removeprefix("call_")
    numbers = count()
    return Options(
        created=asked.started_us // 1_000_000,
        new_id=lambda prefix: f"{prefix}{stem}{next(numbers) or ''}",
        max_tokens=max_output or DEFAULT_MAX_TOKENS,
        max_tokens_field=settings.max_tokens_field,
        stream_usage=settings.stream_usage,
        include_usage=asked.includes_usage,
        thinking=thinking_style(endpoint.model),
    )


def _headers(asked: Asked, endpoint: Endpoint, *, same: bool) -> Headers:
    headers: Headers = [
        (b"content-type", b"application/json"),
        (b"accept", b"text/event-stream" if asked.stream else b"application/json"),
        (b"traceparent", asked.span.traceparent),
    ]
    sent = asked.inbound.headers
    if same:
        headers.extend((name, sent[name]) for name in _PASSED if name in sent)
    if endpoint.account.settings.kind == "anthropic" and not (same and b"anthropic-version" in sent):
        headers.append((b"anthropic-version", ANTHROPIC_VERSION))
    return headers
