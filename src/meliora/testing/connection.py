"""One client's connection to the fake provider: reads requests, carries out the steps of the answer. Speaks HTTP/1.1."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from meliora.testing.faults import Fault
from meliora.testing.wire import Close, Step, Wait, Write

HEAD_LIMIT = 1024 * 1024


@dataclass
class Seen:
    """A request as it came, and what became of it."""

    number: int
    method: str
    path: str
    headers: list[tuple[str, str]]
    """Lower-case names, in order."""
    body: bytes
    fault: Fault | None = None
    status: int | None = None
    """None where the answer had no head."""
    finished: bool = False
    """The whole answer was written, as the fault had it."""
    aborted: bool = False
    """The client left before that."""
    events: int = 0
    """How many events of a stream were written."""

    def json(self) -> Any:
        """Give the body as decoded JSON. Raises `msgspec.DecodeError` where it is none."""
        return msgspec.json.decode(self.body)

    def header(self, name: str) -> str | None:
        """Give the first header of that (lower-case) name."""
        return next((value for key, value in self.headers if key == name), None)


class _Gone(Exception):
    """The client closed the connection, or sent what is no request."""


@dataclass
class Exchange:
    """A request with the steps of its answer."""

    seen: Seen
    steps: Iterator[Step]
    event_delay: float = 0.0
    done: Callable[[], None] = field(default=lambda: None)


@dataclass
class Roster:
    """The connections of a server. Once closed, those that come nevertheless are dropped as soon as they are made."""

    opened: set[Connection] = field(default_factory=set)
    closed: bool = False


class Connection(asyncio.Protocol):
    """Reads one request after the other, and asks `serve` for the answer to each."""

    def __init__(self, serve: Callable[[Seen], Awaitable[Exchange]], roster: Roster) -> None:
        self._serve = serve
        self._roster = roster
        self._buffer = bytearray()
        self._news = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._gone = False
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to read."""
        assert isinstance(transport, asyncio.Transport)
        if self._roster.closed:
            transport.abort()
            return
        self._transport = transport
        self._roster.opened.add(self)
        self._task = asyncio.get_running_loop().create_task(self._run(transport))

    def data_received(self, data: bytes) -> None:
        """Keep what came."""
        self._buffer += data
        self._news.set()

    def eof_received(self) -> bool:
        """Take a half-closed connection as closed: a client that left."""
        return False

    def pause_writing(self) -> None:
        """Stop writing: the client reads slowly."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Go on writing."""
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """End what is under way."""
        self._gone = True
        self._roster.opened.discard(self)
        self._news.set()
        self._writable.set()
        if self._task is not None:
            self._task.cancel()

    async def drop(self) -> None:
        """Close at once, and wait until nothing is under way."""
        if self._transport is not None and self._task is not None:
            self._transport.abort()
            await asyncio.wait([self._task])

    async def _run(self, transport: asyncio.Transport) -> None:
        try:
            while not transport.is_closing():
                seen = await self._request()
                exchange = await self._serve(seen)
                try:
                    await self._answer(transport, exchange)
                finally:
                    seen.aborted = not seen.finished
                    exchange.done()
                if seen.header("connection") == "close":
                    transport.close()
        except _Gone:
            transport.close()

    async def _answer(self, transport: asyncio.Transport, exchange: Exchange) -> None:
        for step in exchange.steps:
            match step:
                case Write(data, event):
                    if event and exchange.event_delay:
                        await asyncio.sleep(exchange.event_delay)
                    transport.write(data)
                    if exchange.seen.status is None and data.startswith(b"HTTP/1.1 "):
                        exchange.seen.status = int(data[9:12])
                    exchange.seen.events += event
                    await self._room()
                case Wait(seconds):
                    await asyncio.sleep(seconds)
                case Close(reset):
                    exchange.seen.finished = True
                    _close(transport, reset=reset)
                    return
        exchange.seen.finished = True

    async def _room(self) -> None:
        """Wait until the client has read enough, and let the loop see whether it is still there."""
        await asyncio.sleep(0)
        await self._writable.wait()
        if self._gone:
            raise _Gone

    async def _request(self) -> Seen:
        head = await self._until(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        words = first.split(" ")
        if len(words) != 3:
            raise _Gone
        headers = [(name.strip().lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        known = dict(headers)
        if known.get("transfer-encoding", "").lower() == "chunked":
            body = await self._chunks()
        else:
            length = known.get("content-length", "0")
            body = await self._bytes(int(length) if length.isdigit() else 0)
        return Seen(0, words[0], words[1], headers, body)

    async def _chunks(self) -> bytes:
        whole = bytearray()
        while size := _hex(await self._until(b"\r\n")):
            whole += await self._bytes(size)
            await self._until(b"\r\n")
        await self._until(b"\r\n")
        return bytes(whole)

    async def _until(self, mark: bytes) -> bytes:
        while (end := self._buffer.find(mark)) < 0:
            if len(self._buffer) > HEAD_LIMIT:
                raise _Gone
            await self._more()
        found = bytes(self._buffer[:end])
        del self._buffer[: end + len(mark)]
        return found

    async def _bytes(self, size: int) -> bytes:
        while len(self._buffer) < size:
            await self._more()
        found = bytes(self._buffer[:size])
        del self._buffer[:size]
        return found

    async def _more(self) -> None:
        self._news.clear()
        await self._news.wait()
        if self._gone:
            raise _Gone


def _hex(line: bytes) -> int:
    try:
        return int(line.split(b";")[0], 16)
    except ValueError:
        raise _Gone from None


def _close(transport: asyncio.Transport, *, reset: bool) -> None:
    """Close in order; or with a reset, which a socket sends that may not linger."""
    if not reset:
        transport.close()
        return
    sock = transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
