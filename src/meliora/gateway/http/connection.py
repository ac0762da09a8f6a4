"""One HTTP/1.1 connection to an upstream: one request and one answer at a time, with back-pressure.

Refuses to guess: an answer that ends before its declared end, or that does not parse, is an error and never a short answer.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import httptools

from meliora.errors import MelioraError, UpstreamBroken, UpstreamTimeout
from meliora.gateway.upstream import Headers

Take = Callable[[bytes], bool]
"""Takes a chunk, and says whether it wants more."""
HIGH_WATER = 256 * 1024
"""Bytes buffered from an upstream before it is told to wait for a slow client."""
HEAD_LIMIT = 64 * 1024
"""Most bytes of an answer's head."""


class Patience(NamedTuple):
    """Seconds to wait, 0 for ever: the settings' timeouts in a form that is quick to read."""

    connect: float
    first_byte: float
    stall: float
    total: float


class StaleConnection(Exception):
    """A kept connection was closed by the upstream before it answered anything: the request may be sent again."""


class Connection(asyncio.Protocol):
    """Send one request, then pull its answer; `reusable` tells whether another may follow."""

    __slots__ = (
        "_active",
        "_body_left",
        "_chunks",
        "_collecting",
        "_complete",
        "_eof_ends",
        "_error",
        "_head_bytes",
        "_headers_done",
        "_keep_alive",
        "_loop",
        "_on_close",
        "_parser",
        "_paused",
        "_seen_bytes",
        "_sink",
        "_stopped",
        "_waiter",
        "buffered",
        "closed",
        "deadline",
        "headers",
        "idle_since",
        "requests",
        "stall",
        "status",
        "total",
        "transport",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, on_close: Any) -> None:
        self._loop = loop
        self._on_close = on_close
        self.transport: asyncio.Transport | None = None
        self._parser: Any = None
        self._chunks: deque[bytes] = deque()
        self.buffered = 0
        self._waiter: asyncio.Future[None] | None = None
        self._error: BaseException | None = None
        self._paused = False
        self._collecting = False
        self._sink: Take | None = None
        self._stopped = False
        self._active = False
        """Bytes have come since the last look at the deadline."""
        self.closed = False
        self.requests = 0
        self.deadline = 0.0
        """Loop time at which silence becomes a timeout; 0 while nothing is awaited."""
        self.stall = 0.0
        self.total = 0.0
        """Loop time at which the whole exchange times out, whatever arrives; 0 for never."""
        self.idle_since = 0.0
        self._reset()

    def _reset(self) -> None:
        self.status = 0
        self.headers: Headers = []
        self._headers_done = False
        self._complete = False
        self._eof_ends = False
        self._keep_alive = False
        self._seen_bytes = False
        self._head_bytes = 0
        self._error = None

    # -- what the pool and the answer call ---------------------------------------------------------------------------

    async def exchange(self, head: bytes, body: bytes, timeouts: Patience) -> None:
        """Send a request and wait for the answer's head. Raises `StaleConnection`, `UpstreamTimeout` or `UpstreamBroken`."""
        self._reset()
        self.requests += 1
        self._parser = httptools.HttpResponseParser(self)
        transport = self.transport
        if transport is None or self.closed:
            raise StaleConnection
        now = self._loop.time()
        self.stall = timeouts.stall
        self.deadline = now + timeouts.first_byte if timeouts.first_byte else 0.0
        self.total = now + timeouts.total if timeouts.total else 0.0
        if len(body) < 65536:
            transport.write(head + body)
        else:
            transport.writelines((head, body))
        while not self._headers_done:
            if self._error is not None:
                raise self._error
            await self._next()

    async def chunk(self) -> bytes:
        """Give what has arrived, waiting for at least one byte; `b""` at the proper end."""
        while True:
            if self._chunks:
                return self._drain()
            if self._complete:
                return b""
            if self._error is not None:
                raise self._error
            await self._next()

    async def pump(self, take: Take) -> bool:
        """Give chunks to `take` as they come, without a task in between, until it says no (True) or the proper end (False)."""
        self._stopped = False
        while True:
            if self._chunks:
                if not take(self._drain()):
                    return True
                continue
            if self._complete:
                return False
            if self._error is not None:
                raise self._error
            self._sink = take
            try:
                await self._next()
            finally:
                self._sink = None
            if self._stopped:
                return True

    async def read(self, limit: int) -> bytes:
        """Give the whole body. Raises `UpstreamBroken` past `limit` bytes."""
        self._collecting = True
        try:
            while not self._complete:
                if self._error is not None:
                    raise self._error
                if self.buffered > limit:
                    raise UpstreamBroken(f"The upstream's answer is longer than {limit} bytes.")
                await self._next()
        finally:
            self._collecting = False
        if self.buffered > limit:
            raise UpstreamBroken(f"The upstream's answer is longer than {limit} bytes.")
        return self._drain() if self._chunks else b""

    def now(self) -> float:
        """Give the loop's time."""
        return self._loop.time()

    @property
    def reusable(self) -> bool:
        """Whether the answer ended cleanly and the upstream keeps the connection open."""
        return self._complete and self._keep_alive and not self.closed and self._error is None and not self._chunks

    @property
    def stale(self) -> bool:
        """Whether nothing at all came back on a connection that had served before."""
        return self.requests > 1 and not self._seen_bytes

    def fail(self, error: MelioraError) -> None:
        """End the exchange with an error and close."""
        if self._error is None and not self._complete:
            self._error = error
        self.abort()
        self._wake()

    def abort(self) -> None:
        """Close at once, dropping what is buffered to be sent."""
        self.deadline = 0.0
        if self.transport is not None and not self.closed:
            self.transport.abort()

    def check(self, now: float) -> None:
        """Time out if the deadline has passed."""
        if self._active:
            self._active = False
            if self.deadline:
                self.deadline = now + self.stall if self.stall else 0.0
        if self.deadline and now >= self.deadline:
            what = "go on with" if self._headers_done else "begin"
            self.fail(UpstreamTimeout(f"The upstream was too slow to {what} its answer."))
        elif self.total and now >= self.total and not self._complete:
            self.fail(UpstreamTimeout("The upstream took longer over its answer than a call may."))

    # -- asyncio.Protocol --------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._seen_bytes = True
        if not self._headers_done:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_LIMIT and b"\r\n\r\n" not in data:
                self.fail(UpstreamBroken(f"The upstream's head is longer than {HEAD_LIMIT} bytes."))
                return
        parser = self._parser
        if parser is None or self._complete:
            # Bytes that nobody asked for: what follows on this connection cannot be trusted.
            self._keep_alive = False
            self.abort()
            return
        try:
            parser.feed_data(data)
            if self._sink is not None and self._chunks:
                self._pour(self._sink)
        except httptools.HttpParserUpgrade:
            self.fail(UpstreamBroken("The upstream changed to another protocol, which was not asked for."))
        except httptools.HttpParserError as error:
            if self._complete:
                self._keep_alive = False
                self.abort()
            else:
                self.fail(UpstreamBroken(f"The upstream's answer is not well-formed HTTP: {error}."))

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self.deadline = 0.0
        if self._headers_done and self._eof_ends and not self._complete and exc is None:
            self._complete = True
        if not self._complete and self._error is None and self._parser is not None:
            if self.stale:
                self._error = StaleConnection()
            else:
                where = "in the middle of its answer" if self._headers_done else "before it answered"
                self._error = UpstreamBroken(f"The upstream closed the connection {where}.")
        self._wake()
        self._on_close(self)

    # -- httptools callbacks -----------------------------------------------------------------------------------------

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if 100 <= status < 200:
            self.headers = []
            return
        self.status = status
        self._headers_done = True
        self._keep_alive = self._parser.should_keep_alive()
        length = chunked = False
        for name, value in self.headers:
            if name == b"content-length":
                length = True
            elif name == b"transfer-encoding":
                chunked = b"chunked" in value.lower()
        self._eof_ends = not length and not chunked
        self._touch()
        if not self._collecting:
            self._wake()

    def on_body(self, data: bytes) -> None:
        self._chunks.append(data)
        self.buffered += len(data)
        self._active = True
        if self._sink is not None:
            return
        if self.buffered > HIGH_WATER and not self._collecting and not self._paused and self.transport is not None:
            self._paused = True
            self.deadline = 0.0  # now it is the client that is waited for
            self.transport.pause_reading()
        if not self._collecting or self.buffered > HIGH_WATER:
            self._wake()

    def on_message_complete(self) -> None:
        if not self._headers_done:
            return
        self._complete = True
        self.deadline = 0.0
        self._wake()

    # -- inside ------------------------------------------------------------------------------------------------------

    def _pour(self, sink: Take) -> None:
        """Hand what has come to the sink; wake the task when it wants no more, or failed."""
        try:
            if sink(self._drain()):
                return
            self._stopped = True
        except Exception as error:  # noqa: BLE001 - raised again in the task that waits
            self._error = self._error or error
            self.abort()
        self._sink = None
        self._wake()

    def _touch(self) -> None:
        self.deadline = self._loop.time() + self.stall if self.stall else 0.0

    def _drain(self) -> bytes:
        chunks = self._chunks
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self.buffered = 0
        if self._paused:
            self._paused = False
            if self.transport is not None and not self.closed:
                self._touch()
                self.transport.resume_reading()
        return data

    def _next(self) -> asyncio.Future[None]:
        """Give what is done when something has come, or the connection has failed."""
        if self._paused and self._collecting and self.transport is not None:
            self._paused = False
            self.transport.resume_reading()
        self._waiter = waiter = self._loop.create_future()
        return waiter

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
