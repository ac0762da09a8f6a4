"""The client's side of HTTP/1.1, for uvicorn to run: requests in, answers out, within limits.

Takes the place of uvicorn's own protocol, which costs as much as the rest of the gateway and has no limit on a request's head.
Refuses what two parsers could read in two ways; knows nothing of what is served.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar, cast
from urllib.parse import unquote_to_bytes

import httptools
import msgspec

from meliora.gateway.http.exchange import Exchange, status_line
from meliora.gateway.http.known import LONGEST_BODY, KnownHead, known_head

HEAD_SECONDS = 30.0
"""Longest time a client may take over a request's head."""
BODY_SECONDS = 60.0
"""Longest silence within a request's body."""
IDLE_SECONDS = 75.0
"""Idle connections are closed after this, later than the 60 s of most proxies in front."""
LINGER_SECONDS = 5.0
"""Longest time that the rest of a refused request is taken and thrown away."""
FLUSH_SECONDS = 60.0
"""Longest time that a client may take nothing of the rest of its answer, once its connection is to be closed."""
SWEEP_SECONDS = 1.0
PIPELINED = 16
"""Requests that may wait on one connection before it is not read any more."""
_HEADS_LEARNT = 8
"""Heads of a connection that are learnt, one after the other."""
_VERSIONS = frozenset(("1.0", "1.1"))
HIGH_WATER = 64 * 1024
"""Bytes of a body that wait to be taken before the connection is not read any more."""


class ServerProtocol(asyncio.Protocol):
    """One connection of a client. Made by `uvicorn.Server`, which keeps the sets of connections and tasks."""

    __slots__ = (
        "_answering",
        "_app",
        "_between",
        "_closing",
        "_framing",
        "_head_bytes",
        "_headers",
        "_in_head",
        "_known",
        "_parser",
        "_paused",
        "_reading",
        "_refused",
        "_unknown",
        "_unsent",
        "_upgrade",
        "_url",
        "_waiting",
        "client",
        "deadline",
        "loop",
        "state",
        "transport",
        "writable",
    )
    head_limit: ClassVar[int] = 32 * 1024
    """Most bytes of a request's head; set before the server starts."""

    def __init__(self, config: Any, server_state: Any, app_state: Any, _loop: Any = None) -> None:
        if not config.loaded:
            config.load()
        self._app = config.loaded_app
        self.loop: asyncio.AbstractEventLoop = _loop or asyncio.get_event_loop()
        self.state = server_state
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)
        self.client: tuple[str, int] | None = None
        self._parser: Any = None
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0
        self._in_head = True
        self._framing = 0
        """Bytes since the last byte of a body: chunk heads, extensions, trailers."""
        self._upgrade = False
        self._refused = False
        self._reading: Exchange | None = None
        """The exchange whose request is being read."""
        self._answering: Exchange | None = None
        """The exchange that is being answered."""
        self._between = True
        """The parser stands between two messages."""
        self._known: KnownHead | None = None
        self._unknown = _HEADS_LEARNT
        """Times that a head may still be learnt: a client whose heads never repeat gains nothing."""
        self._waiting: list[Exchange] = []
        """Pipelined exchanges, to be answered in order."""
        self._paused = False
        self.writable: asyncio.Future[None] | None = None
        self._closing = False
        self._unsent = -1
        """Bytes that were still to be taken at the last look, while the connection closes."""
        self.deadline = 0.0
        """Loop time at which silence closes the connection; 0 while an exchange is under way."""

    # -- asyncio.Protocol --------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self.client = (str(peer[0]), int(peer[1])) if isinstance(peer, (tuple, list)) and len(peer) >= 2 else None
        self._parser = httptools.HttpRequestParser(self)
        self.deadline = self.loop.time() + HEAD_SECONDS
        connections = self.state.connections
        if not connections:
            self.loop.call_later(SWEEP_SECONDS, _sweep, self.loop, connections)
        connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.state.connections.discard(self)
        self._closing = True
        for exchange in (self._answering, self._reading, *self._waiting):
            if exchange is not None:
                exchange.disconnect()
        self._waiting.clear()
        self._wake_writer()
        self._parser = None

    def data_received(self, data: bytes) -> None:
        parser = self._parser
        if parser is None or self._refused or self._upgrade:
            return
        alone = self._between and self._answering is None
        if alone and (known := self._known) is not None and known.size <= self.head_limit:
            body = known.body_in(data)
            if body is not None:
                self._again(known, body)
                return
        if self._in_head:
            self._head_bytes += len(data)
        elif self._framing > self.head_limit:
            self.refuse(431, "header_too_large", "What frames the request's body is too large.")
            return
        self._framing += len(data)
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._upgrade = True  # not served; what follows on this connection is not HTTP any more
            if self._answering is not None:
                self._answering.keep_alive = False
        except httptools.HttpParserError as error:
            if not self._refused:
                self.refuse(400, "malformed_http", f"The request is not well-formed HTTP: {error}.")
        if self._in_head and self._head_bytes > self.head_limit and not self._refused:
            self._refuse_head()
        if alone and self._unknown and self._between and self._answering is not None and not self._waiting:
            self._remember(data, self._answering)

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        if self.writable is None:
            self.writable = self.loop.create_future()

    def resume_writing(self) -> None:
        self._wake_writer()

    # -- httptools callbacks -----------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._between = False
        self._url = b""
        self._headers = []
        self._in_head = True
        if self._answering is None:
            self.deadline = self.loop.time() + HEAD_SECONDS

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # a trailer is not a header, and counts for nothing
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._in_head = False
        bytes_read, self._head_bytes = self._head_bytes, 0
        self._framing = 0
        if self._refused:
            return
        if bytes_read > self.head_limit and self._head_size() > self.head_limit:
            self._refuse_head()
            return
        parser = self._parser
        method = parser.get_method().decode("ascii")
        try:
            path, query = _targets.get(self._url) or _target(self._url)
        except (httptools.HttpParserError, UnicodeDecodeError):
            self.refuse(400, "malformed_http", "The request's target is not a path.")
            return
        version = parser.get_http_version()
        if version not in _VERSIONS:
            self.refuse(400, "malformed_http", f"HTTP/{version} is not spoken here.")
            return
        keep_alive = version != "1.0" and parser.should_keep_alive() and not self._closing
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query,
            "headers": self._headers,
            "client": self.client,
            "http_version": version,
        }
        self._headers = []
        exchange = self._reading = Exchange(self, scope, keep_alive=keep_alive)
        if self._answering is None:
            self._begin(exchange)
        else:
            self._waiting.append(exchange)
            if len(self._waiting) >= PIPELINED:
                self.pause_reading()

    def on_body(self, body: bytes) -> None:
        self._framing = 0
        exchange = self._reading
        if exchange is not None:
            if self.deadline:
                self.deadline = self.loop.time() + BODY_SECONDS
            exchange.feed(body)

    def on_message_complete(self) -> None:
        exchange, self._reading = self._reading, None
        self._in_head = self._between = True
        if exchange is not None:
            if exchange is self._answering:
                self.deadline = 0.0
            exchange.feed_end()

    # -- what an exchange calls --------------------------------------------------------------------------------------

    async def drain(self) -> None:
        """Wait while the client does not read."""
        writable = self.writable
        if writable is not None:
            await asyncio.shield(writable)

    def ended(self, exchange: Exchange) -> None:
        """Go on after an answer: with the next request in line, or by closing."""
        if exchange is not self._answering:
            return
        self._answering = None
        if not exchange.keep_alive or not exchange.whole or self._closing or self._refused:
            # A request that was not read to its end leaves the connection at no known place.
            if exchange.whole and not self._refused:
                self.transport.close()
            else:
                self._linger()
            return
        self.deadline = self.loop.time() + IDLE_SECONDS
        if self._waiting:
            self._begin(self._waiting.pop(0))
        if len(self._waiting) < PIPELINED:
            self.resume_reading()

    def pause_reading(self) -> None:
        """Take no more from the client for now."""
        if not self._paused and not self.transport.is_closing():
            self._paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Take more from the client."""
        if self._paused and not self.transport.is_closing():
            self._paused = False
            self.transport.resume_reading()

    # -- what uvicorn calls ------------------------------------------------------------------------------------------

    def shutdown(self) -> None:
        """Close as soon as nothing is under way."""
        self._closing = True
        if self._answering is None:
            self.transport.close()
        else:
            self._answering.keep_alive = False

    def too_slow(self) -> None:
        """End a connection that was silent for too long: with 408 where half a request has come."""
        if self._reading is not None:
            self.refuse(408, "request_timeout", f"The request's body stalled for {BODY_SECONDS:g} s.")
        self.transport.close()

    def flushing(self, now: float) -> None:
        """Give up on a client that takes nothing more: what it left would be held for as long as it likes."""
        unsent = self.transport.get_write_buffer_size()
        if unsent != self._unsent:
            self._unsent = unsent
            self.deadline = now + FLUSH_SECONDS
        elif now >= self.deadline:
            self.transport.abort()

    # -- inside ------------------------------------------------------------------------------------------------------

    def _again(self, known: KnownHead, body: bytes) -> None:
        """Take a whole request whose head is known, past the parser, which stands between two messages."""
        exchange = Exchange(self, known.scope(len(body), self.client), keep_alive=not self._closing)
        exchange.feed(body)
        exchange.feed_end()
        self._begin(exchange)

    def _remember(self, data: bytes, exchange: Exchange) -> None:
        """Know the head of this request again, if it came alone, whole, and in one piece."""
        self._unknown -= 1
        if exchange.keep_alive and exchange.whole and len(data) <= LONGEST_BODY:
            self._known = known_head(data, exchange.scope)

    def _begin(self, exchange: Exchange) -> None:
        self._answering = exchange
        self.deadline = 0.0 if exchange.whole else self.loop.time() + BODY_SECONDS
        exchange.task = self.loop.create_task(exchange.run(self._app))
        self.state.tasks.add(exchange.task)

    def refuse(self, status: int, code: str, message: str) -> None:
        """Answer what is no request, and close; nothing is answered out of turn."""
        self._refused = True
        if self._answering is not None:
            self._answering.keep_alive = False
            if self._reading is not self._answering:
                return  # the answer under way is for a good request; this one goes with the connection
            if self._answering.started:
                self.transport.abort()  # half of an answer has left; nothing may follow it
                return
            self._answering.void()
            self._answering = None
        error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
        body = msgspec.json.encode({"type": "error", "error": error})  # both families of SDKs find their part
        head = b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
        self.transport.write(status_line(status) + head + body)
        self._linger()

    def _linger(self) -> None:
        """Close, but take what is still being sent for a moment: unread bytes would make the client's system drop the answer."""
        self._refused = True
        self._reading = None
        if self._closing or self.transport.is_closing() or not self.transport.can_write_eof():
            self.transport.close()
            return
        self.deadline = self.loop.time() + LINGER_SECONDS
        self.resume_reading()
        self.transport.write_eof()

    def _head_size(self) -> int:
        """Measure the head itself, where it came together with what follows it."""
        return len(self._url) + sum(len(name) + len(value) + 4 for name, value in self._headers)

    def _refuse_head(self) -> None:
        self.refuse(431, "header_too_large", f"The request's head is longer than {self.head_limit} bytes.")

    def _wake_writer(self) -> None:
        writable, self.writable = self.writable, None
        if writable is not None and not writable.done():
            writable.set_result(None)


_targets: dict[bytes, tuple[str, bytes]] = {}
"""Targets of requests that were read before."""
_KEPT_TARGETS = 64
_LONGEST_KEPT = 64


def _target(url: bytes) -> tuple[str, bytes]:
    """Give the decoded path and the query of a request's target; the short ones of the first clients are remembered."""
    parsed = httptools.parse_url(url)
    path = parsed.path.decode("ascii") if parsed.path else "/"
    if "%" in path:
        path = unquote_to_bytes(path).decode("utf-8", "replace")
    found = (path, parsed.query or b"")
    if len(_targets) < _KEPT_TARGETS and len(url) <= _LONGEST_KEPT:
        _targets[url] = found
    return found


def _sweep(loop: asyncio.AbstractEventLoop, connections: set[ServerProtocol]) -> None:
    """Close the connections that have been silent for too long; one timer for all of them."""
    now = loop.time()
    for connection in tuple(connections):
        if connection.transport.is_closing():
            connection.flushing(now)
        elif connection.deadline and now >= connection.deadline:
            connection.too_slow()
    if connections:
        loop.call_later(SWEEP_SECONDS, _sweep, loop, connections)
