"""The server's protocol with limits on a request's head: its size, and how long it may take to arrive.

uvicorn has neither for its httptools protocol; without them one client can hold memory and sockets for as long as it likes.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS = 30.0
"""Longest time a client may take over a request's head."""


class GuardedProtocol(HttpToolsProtocol):
    """Refuse heads that are too large with 431, and close connections whose head does not come."""

    head_limit: ClassVar[int] = 32 * 1024

    def connection_made(self, transport: Any) -> None:
        self._head_left = self.head_limit
        self._head_timer: asyncio.TimerHandle | None = None
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        if self._head_left >= 0:
            self._head_left -= len(data)
            if self._head_left < 0 and b"\r\n\r\n" not in data[: self.head_limit]:
                self._refuse()
                return
        super().data_received(data)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._head_timer is None:
            self._await_head()

    def on_headers_complete(self) -> None:
        self._head_left = -1
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._head_left = self.head_limit

    def connection_lost(self, exc: Exception | None) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        super().connection_lost(exc)

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._close_silently)

    def _close_silently(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()

    def _refuse(self) -> None:
        body = b'{"error":{"message":"The request head is too large.","type":"invalid_request_error","code":"header_too_large"}}'
        head = (
            b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/json\r\nconnection: close\r\n"
        )
        self.transport.write(head + b"content-length: %d\r\n\r\n" % len(body) + body)
        self.transport.close()
