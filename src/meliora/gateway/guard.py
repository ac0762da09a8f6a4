"""The server's protocol with limits on a request: the size of its head and of what frames its body, and how long both may take.

uvicorn has none of them for its httptools protocol; without them one client can hold memory and sockets for as long as it likes.
What is refused here never reaches the gateway, and a refusal is never written into the answer of another request.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS = 30.0
"""Longest time a client may take over a request's head."""
BODY_SECONDS = 60.0
"""Longest time between a request's head and the first byte of its body."""

_HEAD, _HEADED, _BODY = range(3)
"""Where the request that arrives stands: its head comes, its head is there, its body comes."""
_LINES = {400: b"400 Bad Request", 408: b"408 Request Timeout", 431: b"431 Request Header Fields Too Large"}


class GuardedProtocol(HttpToolsProtocol):
    """Refuse large heads with 431, malformed requests with 400, bodies that do not come with 408; close what sends no head."""

    head_limit: ClassVar[int] = 32 * 1024

    def connection_made(self, transport: Any) -> None:
        self._phase = _HEAD
        self._size = 0
        """Bytes of the head, or since the last byte of the body: chunk heads, extensions, trailers."""
        self._timer: asyncio.TimerHandle | None = None
        self._serving: Any = None
        """The cycle whose answer is under way; uvicorn's own `cycle` is the newest, which may wait behind it."""
        super().connection_made(transport)
        self._limit(HEAD_SECONDS)

    def data_received(self, data: bytes) -> None:
        size = self._size = self._size + len(data)
        if size > self.head_limit and (
            self._size - len(data) > self.head_limit if self._phase else b"\r\n\r\n" not in data[: self.head_limit]
        ):
            self._refuse(431, "The request head is too large.", "header_too_large")
            return
        super().data_received(data)
        if self._phase == _HEADED and self._timer is None:
            self._limit(BODY_SECONDS)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._timer is None:
            self._limit(HEAD_SECONDS)

    def on_headers_complete(self) -> None:
        self._phase, self._size = _HEADED, 0
        self._unlimit()
        super().on_headers_complete()
        self.headers = []  # trailers end here: a proxy in front has not looked at them as it did at the head

    def on_body(self, body: bytes) -> None:
        self._size = 0
        if self._phase == _HEADED:
            self._phase = _BODY
            self._unlimit()
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._phase, self._size = _HEAD, 0
        self._unlimit()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unlimit()
        super().connection_lost(exc)
        serving = self._serving
        if serving is not None and serving is not self.cycle and not serving.response_complete:
            serving.disconnected = True
            serving.message_event.set()

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, msg, "invalid_request")

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self._serving = cycle
        super()._start_asgi_task(cycle, app)

    def _unsupported_upgrade_warning(self) -> None:
        # The parser takes nothing more on a connection that asked for an upgrade: it ends with this answer.
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()
        else:
            self.cycle.keep_alive = False

    def _limit(self, seconds: float) -> None:
        self._timer = self.loop.call_later(seconds, self._too_late)

    def _unlimit(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_late(self) -> None:
        self._timer = None
        if self.transport.is_closing():
            return
        if self._phase == _HEAD:
            self.transport.close()
        else:
            self._refuse(408, f"The request's body did not begin within {BODY_SECONDS:g} s.", "request_timeout")

    def _refuse(self, status: int, message: str, code: str) -> None:
        cycle = self.cycle
        if self._phase == _HEAD:
            free = cycle is None or cycle.response_complete
        else:
            free = cycle is self._serving and not cycle.response_started
        if free and not self.transport.is_closing():
            # Both families of SDKs find what they look for in it.
            error = {"type": "invalid_request_error", "message": message, "code": code, "param": None}
            body = msgspec.json.encode({"type": "error", "error": error})
            head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\nconnection: close\r\n" % _LINES[status]
            self.transport.write(head + b"content-length: %d\r\n\r\n" % len(body) + body)
        self.transport.close()
