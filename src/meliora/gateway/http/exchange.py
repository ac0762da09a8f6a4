"""One request and its answer on a client's connection, as ASGI sees it: `receive` and `send`."""

from __future__ import annotations

import asyncio
import http
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from meliora.gateway.http.server import ServerProtocol

log = structlog.get_logger(__name__)

_STATUS_LINES: dict[int, bytes] = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in http.HTTPStatus
}

Message = MutableMapping[str, Any]
App = Callable[..., Awaitable[None]]

_FAILED = (
    b'{"error":{"message":"The gateway failed; this is a defect.","type":"server_error","param":null,"code":"defect"}}'
)
_BODILESS = frozenset((204, 304))


def status_line(status: int) -> bytes:
    """Give the first line of an answer."""
    return _STATUS_LINES.get(status) or f"HTTP/1.1 {status} Status\r\n".encode()


class Exchange:
    """Holds a request's body until it is taken, and writes the answer. One `receive` and one `send` at a time."""

    __slots__ = (
        "_body",
        "_chunked",
        "_ended",
        "_left",
        "_on_gone",
        "_promised",
        "_protocol",
        "_size",
        "_taken",
        "_waiter",
        "gone",
        "keep_alive",
        "scope",
        "started",
        "task",
        "whole",
    )

    def __init__(self, protocol: ServerProtocol, scope: dict[str, Any], *, keep_alive: bool) -> None:
        self._protocol = protocol
        self.scope = scope
        self.keep_alive = keep_alive
        self.whole = False
        """The request was read to its end."""
        self.gone = False
        """The client closed the connection."""
        self._body: list[bytes] = []
        self._size = 0
        self._taken = False
        """The body was given whole."""
        self._waiter: asyncio.Future[None] | None = None
        self._on_gone: Callable[[], None] | None = None
        scope["meliora.exchange"] = self
        self.started = False
        self._promised = False
        """The answer is ready, and leaves when what was promised is called."""
        self.task: asyncio.Task[None] | None = None
        """Serves this request."""
        self._ended = False
        self._chunked = False
        self._left = -1
        """Bytes of the declared `content-length` that are still to be sent; -1 where none was declared."""

    # -- what the protocol calls -------------------------------------------------------------------------------------

    def feed(self, data: bytes) -> None:
        """Take a part of the body."""
        if self._ended:
            return
        self._body.append(data)
        self._size += len(data)
        if self._size > 64 * 1024:
            self._protocol.pause_reading()
        self._wake()

    def feed_end(self) -> None:
        """The body is whole."""
        self.whole = True
        self._wake()

    def disconnect(self) -> None:
        """The client is gone."""
        self.gone = True
        self._wake()
        if self._on_gone is not None and not self._ended:
            self._on_gone()

    def when_gone(self, callback: Callable[[], None] | None) -> None:
        """Call this when the client closes its connection before it has its answer; at once if it did."""
        self._on_gone = callback
        if callback is not None and self.gone and not self._ended:
            callback()

    def void(self) -> None:
        """The request turned out to be none: whatever is being served for it has nobody to answer."""
        self.disconnect()
        self._ended = True

    async def run(self, app: App) -> None:
        """Serve this request. A defect of the app is logged, and answered with 500 if that is still possible."""
        try:
            await app(self.scope, self.receive, self.send)
        except asyncio.CancelledError:
            self.keep_alive = False
            self._protocol.transport.abort()
            raise
        except Exception:
            log.exception("a request failed by a defect", path=self.scope["path"])
            self.keep_alive = False
            if not self.started and not self.gone:
                headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(_FAILED))]
                await self.send({"type": "http.response.start", "status": 500, "headers": headers})
                await self.send({"type": "http.response.body", "body": _FAILED})
        finally:
            if not self._ended and not self._promised:
                # No answer, or half of one: the client must not take it for a whole one.
                self.keep_alive = False
                self._ended = True
                if self.started:
                    self._protocol.transport.abort()
                self._protocol.ended(self)
            if self.task is not None:
                self._protocol.state.tasks.discard(self.task)
                self.task = None

    # -- ASGI --------------------------------------------------------------------------------------------------------

    async def receive(self) -> Message:
        """Give the next part of the body; after its end, the news that the client is gone or has its answer."""
        if not self._taken:
            while not self._body and not self.whole:
                if self.gone or self._ended:
                    return {"type": "http.disconnect"}
                self._ask_for_body()
                await self._wait()
            if self.whole or not self.gone:
                parts, self._body = self._body, []
                self._size = 0
                self._taken = self.whole
                self._protocol.resume_reading()
                body = parts[0] if len(parts) == 1 else b"".join(parts)
                return {"type": "http.request", "body": body, "more_body": not self.whole}
        while not self.gone and not self._ended:
            await self._wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Write a part of the answer; waits while the client does not read, and does nothing once it is gone."""
        protocol = self._protocol
        if self.gone or self._ended:
            return
        if message["type"] == "http.response.start":
            self._start(message["status"], message["headers"])
            return
        data = message.get("body", b"")
        more = message.get("more_body", False)
        if self.scope["method"] == "HEAD":
            data = b""
        elif self._left >= 0:
            self._left -= len(data)
        if self._chunked:
            if data:
                data = b"%x\r\n%b\r\n" % (len(data), data)
            if not more:
                data += b"0\r\n\r\n"
        if data:
            protocol.transport.write(data)
        if not more:
            self._end()
        elif protocol.writable is not None:
            await protocol.drain()

    def push(self, data: bytes) -> bool:
        """Write a part of the answer's body at once, more to follow; tell whether the client does not read fast enough.

        What `send` does without a coroutine, for the chunks of streams. The head has been sent.
        """
        if self.gone or self._ended:
            return False
        protocol = self._protocol
        protocol.transport.write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)
        return protocol.writable is not None

    def reply(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        """Write a whole answer at once, its length counted here; does nothing once the client is gone.

        What two `send`s do without messages and coroutines, for the answers that are whole.
        """
        if self.gone or self._ended:
            return
        self.started = True
        parts = [status_line(status)]
        parts += [b"%b: %b\r\n" % header for header in (*self._protocol.state.default_headers, *headers)]
        if not self.keep_alive or not self.whole:
            self.keep_alive = False
            parts.append(b"connection: close\r\n")
        parts.append(b"content-length: %d\r\n\r\n" % len(body))
        if self.scope["method"] != "HEAD":
            parts.append(body)
        self._protocol.transport.write(b"".join(parts))
        self._end()

    def promise(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> Callable[[], None]:
        """Give what writes a whole answer, to be called once; until then the task may end without one."""
        self._promised = True
        return partial(self.reply, status, headers, body)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.started = True
        parts = [status_line(status)]
        framed = False
        for name, value in (*self._protocol.state.default_headers, *headers):
            if name == b"content-length":
                framed = True
                self._left = int(value)
            elif name == b"transfer-encoding" or name == b"connection":
                continue
            parts.append(name + b": " + value + b"\r\n")
        if not framed and status not in _BODILESS and self.scope["method"] != "HEAD":
            if self.scope["http_version"] == "1.0":
                self.keep_alive = False
            else:
                self._chunked = True
                parts.append(b"transfer-encoding: chunked\r\n")
        if not self.keep_alive or not self.whole:
            self.keep_alive = False
            parts.append(b"connection: close\r\n")
        parts.append(b"\r\n")
        self._protocol.transport.write(b"".join(parts))
        self.scope["headers"] = []  # a stream may stay open for long, and nobody asks for them any more

    def _end(self) -> None:
        self._ended = True
        if self._left > 0 and self.scope["method"] != "HEAD":
            self.keep_alive = False
            self._protocol.transport.abort()
        self._wake()
        self._protocol.ended(self)

    def _ask_for_body(self) -> None:
        """Send `100 Continue` where the client waits for it before it sends the body."""
        for name, value in self.scope["headers"]:
            if name == b"expect" and value.lower() == b"100-continue" and not self.started and not self._body:
                self._protocol.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                self.scope["headers"] = [pair for pair in self.scope["headers"] if pair[0] != b"expect"]
                return

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
