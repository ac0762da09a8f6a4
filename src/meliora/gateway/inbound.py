"""A request as it comes in: its whole body within the limit, and the few headers that the gateway reads."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

from meliora.errors import BodyTooLarge, UnsupportedMedia
from meliora.gateway.upstream import Headers

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class ClientGone(Exception):
    """The client closed the connection before its call was answered."""


class Line(Protocol):
    """The way back to the client without messages and coroutines: what this gateway's own server offers."""

    task: asyncio.Task[None] | None
    """Serves the request."""

    def when_gone(self, callback: Callable[[], object] | None) -> None:
        """Call this when the client closes its connection before it has its answer; None for nothing."""
        ...

    def push(self, data: bytes) -> bool:
        """Write a part of the answer at once; tells whether the client has to be waited for."""
        ...

    def reply(self, status: int, headers: Headers, body: bytes) -> None:
        """Write a whole answer at once."""
        ...

    def promise(self, status: int, headers: Headers, body: bytes) -> Callable[[], None]:
        """Give what will do so; the call may end before it is called."""
        ...


class Inbound:
    """Headers by name (the last one of a name counts, except where a repetition is refused) and the raw body."""

    __slots__ = ("body", "headers", "line", "method", "path", "query")

    def __init__(self, scope: Scope) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: bytes = scope["query_string"]
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.body = b""
        self.line: Line | None = scope.get("meliora.exchange")
        """What the server can do beside ASGI, where it can."""

    def on_gone(self, callback: Callable[[], object] | None) -> None:
        """Call this when the client closes its connection, where the server can tell; None for nothing."""
        if self.line is not None:
            self.line.when_gone(callback)

    def text(self, name: bytes) -> str | None:
        """Give a header as text, None where it is absent or empty."""
        value = self.headers.get(name)
        return value.decode("latin-1").strip() or None if value is not None else None

    def secret(self) -> str | None:
        """Give the key that the client sent, from `authorization: Bearer` or `x-api-key`."""
        value = self.headers.get(b"authorization")
        if value is not None and value[:7].lower() == b"bearer ":
            return value[7:].strip().decode("latin-1") or None
        return self.text(b"x-api-key") or self.text(b"api-key")

    async def read(self, receive: Receive, limit: int) -> None:
        """Read the whole body. Raises `BodyTooLarge`, `UnsupportedMedia`, or `ClientGone`."""
        encoding = self.headers.get(b"content-encoding")
        if encoding not in (None, b"", b"identity"):
            raise UnsupportedMedia(
                "Compressed request bodies are not served.", hint="Send it without content-encoding."
            )
        declared = self.headers.get(b"content-length")
        if declared is not None and declared.isdigit() and int(declared) > limit:
            raise BodyTooLarge(f"The request body is longer than {limit} bytes.")
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        body = message.get("body", b"")
        if message.get("more_body", False):
            body = await _rest(receive, body, limit)
        if len(body) > limit:
            raise BodyTooLarge(f"The request body is longer than {limit} bytes.")
        self.body = body


async def _rest(receive: Receive, first: bytes, limit: int) -> bytes:
    parts = [first]
    size = len(first)
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise BodyTooLarge(f"The request body is longer than {limit} bytes.")
        parts.append(part)
        more = message.get("more_body", False)
    return b"".join(parts)
