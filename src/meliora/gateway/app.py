"""The gateway as one ASGI callable: model calls are served here, everything else goes to the control process.

Decides in memory: no database, no lock held across an await.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from meliora.errors import InvalidRequest, MelioraError, NotFound
from meliora.gateway.astray import astray
from meliora.gateway.dialects.errors import render, status_for
from meliora.gateway.forward import Control, plain_error
from meliora.gateway.heads import retry_after
from meliora.gateway.inbound import ClientGone, Inbound, Receive, Scope, Send
from meliora.gateway.listing import counted_tokens, listed_model, listed_models
from meliora.gateway.serve import House, Serving
from meliora.gateway.snapshot import Snapshot
from meliora.gateway.upstream import Headers
from meliora.telemetry.records import Dialect

CALLS: dict[str, Dialect] = {
    "/v1/chat/completions": "chat",
    "/v1/responses": "responses",
    "/v1/embeddings": "embeddings",
    "/v1/messages": "messages",
}
"""Paths that are model calls, and the dialect spoken there."""

_JSON: Headers = [(b"content-type", b"application/json")]
_READING = frozenset(("GET", "HEAD"))


class Gateway:
    """Serve HTTP. `snapshot` may be swapped at any time; calls in flight keep the one they began with."""

    def __init__(self, house: House, control: Control, snapshot: Snapshot, lifespan: Lifespan) -> None:
        self.house = house
        self.control = control
        self.snapshot = snapshot
        self.lifespan = lifespan

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (or the server's lifespan)."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._live(receive, send)
            return
        inbound = Inbound(scope)
        path = inbound.path
        dialect = CALLS.get(path)
        try:
            if dialect is not None and inbound.method == "POST":
                await self._call(inbound, dialect, receive, send)
            elif (own := self._own(inbound)) is not None:
                await own(inbound, receive, send)
            else:
                await self.control.forward(inbound, scope, receive, send)
        except ClientGone:
            return
        except MelioraError as error:
            self.house.means.metrics.refused.labels(error.code).inc()
            await _refuse(error, dialect_of(path), send)

    async def _call(self, inbound: Inbound, dialect: Dialect, receive: Receive, send: Send) -> None:
        snapshot = self.snapshot
        await inbound.read(receive, snapshot.settings.gateway.limits.body_bytes)
        await Serving(self.house, snapshot, dialect, send).run(inbound)

    def _own(self, inbound: Inbound) -> Callable[[Inbound, Receive, Send], Awaitable[None]] | None:
        path, method = inbound.path, inbound.method
        if path == "/live":
            return self._alive
        if path == "/ready":
            return self._ready
        if path == "/metrics":
            return self._metrics
        if path == "/v1/models" and method in _READING:
            return self._models
        if path.startswith("/v1/models/") and path != "/v1/models/" and method in _READING:
            return self._model
        if path == "/v1/messages/count_tokens" and method == "POST":
            return self._count
        if path == "/internal" or path.startswith("/internal/"):
            return _hidden
        if path in CALLS:
            return _wrong_method
        if astray(path) is not None:
            return _astray
        return None

    async def _alive(self, inbound: Inbound, receive: Receive, send: Send) -> None:
        await answer(send, 200, _JSON, b'{"status":"alive"}')

    async def _ready(self, inbound: Inbound, receive: Receive, send: Send) -> None:
        if not self.snapshot.keys and not self.snapshot.settings.gateway.anonymous:
            await answer(
                send, 503, _JSON, b'{"status":"waiting","reason":"no keys have arrived from the control process yet"}'
            )
        elif self.snapshot.safety.baselines:
            why = "halted" if self.snapshot.safety.halted else "lapsed"
            await answer(send, 200, _JSON, b'{"status":"ready","baselines":"%s"}' % why.encode())
        else:
            await answer(send, 200, _JSON, b'{"status":"ready"}')

    async def _metrics(self, inbound: Inbound, receive: Receive, send: Send) -> None:
        self.lifespan.refresh(self)
        body = self.house.means.metrics.render()
        await answer(send, 200, [(b"content-type", b"text/plain; version=0.0.4; charset=utf-8")], body)

    async def _models(self, inbound: Inbound, receive: Receive, send: Send) -> None:
        key = self.snapshot.authenticate(inbound.secret(), self.house.means.clock.now_us(), "call")
        await answer(send, 200, _JSON, msgspec.json.encode(listed_models(self.snapshot, key, _is_anthropic(inbound))))

    async def _model(self, inbound: Inbound, receive: Receive, send: Send) -> None:
        key = self.snapshot.authenticate(inbound.secret(), self.house.means.clock.now_us(), "call")
        name = inbound.path.removeprefix("/v1/models/")
        await answer(
            send, 200, _JSON, msgspec.json.encode(listed_model(self.snapshot, key, name, _is_anthropic(inbound)))
        )

    async def _count(self, inbound: Inbound, receive: Receive, send: Send) -> None:
        """Count tokens: a request of its key's rate and a place in flight, but no call that is recorded or costs anything."""
        snapshot, house = self.snapshot, self.house
        key = snapshot.authenticate(inbound.secret(), house.means.clock.now_us(), "call")
        await inbound.read(receive, snapshot.settings.gateway.limits.body_bytes)
        limiter = house.admission.limiter
        place = limiter.admit(key, 0, house.means.clock.monotonic())
        try:
            status, headers, body = await counted_tokens(inbound, snapshot, key)
        finally:
            limiter.settle(place, 0)
        house.means.metrics.token_counts.labels(str(status)).inc()
        await answer(send, status, headers, body)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self.lifespan.start(self)
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self.lifespan.stop(self)
                await send({"type": "lifespan.shutdown.complete"})
                return


class Lifespan:
    """What runs beside the requests, as the runtime puts it together."""

    async def start(self, gateway: Gateway) -> None:
        """Begin before the first request."""

    async def stop(self, gateway: Gateway) -> None:
        """End after the last."""

    def refresh(self, gateway: Gateway) -> None:
        """Bring the gauges up to date before they are read."""


async def answer(send: Send, status: int, headers: Headers, body: bytes) -> None:
    """Send a whole answer."""
    head = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})


def dialect_of(path: str) -> Dialect | None:
    """Tell in which dialect a path's errors are given; None for Meliora's own."""
    if path.startswith("/v1/messages"):
        return "messages"
    return CALLS.get(path) or ("chat" if path.startswith("/v1/") else None)


async def _refuse(error: MelioraError, dialect: Dialect | None, send: Send) -> None:
    headers = [*_JSON, *retry_after(error)]
    if dialect is None:
        await answer(send, error.status, headers, plain_error(error))
    else:
        await answer(send, status_for(dialect, error), headers, render(dialect, error, ""))


async def _hidden(inbound: Inbound, receive: Receive, send: Send) -> None:
    raise NotFound("There is nothing here.")


async def _astray(inbound: Inbound, receive: Receive, send: Send) -> None:
    raise astray(inbound.path) or NotFound("There is nothing here.")


async def _wrong_method(inbound: Inbound, receive: Receive, send: Send) -> None:
    error = InvalidRequest(f"{inbound.path} takes POST, not {inbound.method}.")
    await answer(send, 405, [*_JSON, (b"allow", b"POST")], plain_error(error))


def _is_anthropic(inbound: Inbound) -> bool:
    return b"anthropic-version" in inbound.headers or (b"x-api-key" in inbound.headers)


def describe(gateway: Gateway) -> dict[str, Any]:
    """Give what a heartbeat says about a gateway's calls."""
    return {"calls_in_flight": gateway.house.admission.in_flight}
