"""An answer on its way to the client: whole, or as a stream with keep-alives, and never its last bytes before its record.

The client sees whole events only. What it does not take in time stops the upstream (back-pressure), and in the end the call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from meliora.errors import MelioraError, UpstreamBroken
from meliora.gateway.attempt import Opened
from meliora.gateway.closing import completed, terminal
from meliora.gateway.dialects.errors import render_stream_error
from meliora.gateway.dialects.events import drop_usage_only
from meliora.gateway.dialects.sse import KEEPALIVE
from meliora.gateway.inbound import Send
from meliora.gateway.upstream import Headers, pump
from meliora.telemetry.records import Dialect

KEPT = 1024 * 1024
"""Bytes of a stream kept for its record; of a longer one, the beginning and the end."""
KEPT_TAIL = 64 * 1024
DRAIN_SECONDS = 1.0
"""How long the rest of an upstream's answer is awaited after its last event, to keep the connection."""

STREAM_HEADERS: Headers = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


class Stream:
    """The client's side of a stream. `sent` tells whether its head has left, and with it every chance of another status."""

    __slots__ = (
        "_dialect",
        "_pending",
        "_push",
        "_send",
        "active",
        "bytes",
        "chunks",
        "copy",
        "last",
        "sending",
        "sent",
    )

    def __init__(self, dialect: Dialect, send: Send, push: Callable[[bytes], bool] | None, now: float) -> None:
        self._dialect: Dialect = dialect
        self._send = send
        self._push = push
        self._pending: list[bytes] = []
        """Given and not sent, where the server can only be sent to by `send`."""
        self.active = False
        """Something was given since the last look at `last`."""
        self.sent = False
        self.sending = False
        """A send is waiting for the client."""
        self.last = now
        """Loop time of the last byte to the client."""
        self.bytes = 0
        self.chunks = 0
        self.copy: list[bytes] | None = None
        """What the client got, but for keep-alives, where its answer is to be kept."""

    async def open(self, headers: Headers) -> None:
        """Send the head, once."""
        if not self.sent:
            self.sent = True
            await self._send({"type": "http.response.start", "status": 200, "headers": STREAM_HEADERS + headers})

    def give(self, data: bytes) -> bool:
        """Write whole events at once; tell whether the client has to be waited for (`drain`)."""
        self.bytes += len(data)
        self.chunks += 1
        self.active = True
        if self.copy is not None:
            self._keep(data)
        if self._push is not None:
            return self._push(data)
        self._pending.append(data)
        return True

    async def drain(self) -> None:
        """Wait while the client does not read."""
        data, self._pending = b"".join(self._pending), []
        self.sending = True
        await self._send({"type": "http.response.body", "body": data, "more_body": True})
        self.sending = False

    async def keep_alive(self, headers: Headers) -> None:
        """Tell the client that the call is alive; before the first content this is what commits the head."""
        await self.open(headers)
        await self._send({"type": "http.response.body", "body": KEEPALIVE[self._dialect], "more_body": True})

    def _keep(self, data: bytes) -> None:
        if self.bytes > KEPT:
            self.copy = None
        elif self.copy is not None:
            self.copy.append(data)

    async def end(self, data: bytes) -> None:
        """Send the last bytes."""
        self.bytes += len(data)
        await self._send({"type": "http.response.body", "body": data})

    async def fail(self, error: MelioraError, before: bytes = b"") -> None:
        """End with an error in the dialect's own form, behind what was held back."""
        await self.end(before + render_stream_error(self._dialect, error))


class Kept:
    """What is kept of a stream's bytes: all of it, or its beginning and its end."""

    __slots__ = ("_parts", "_size", "_tail")

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._tail: list[bytes] = []

    def add(self, data: bytes) -> None:
        """Keep more bytes."""
        self._size += len(data)
        if self._size <= KEPT:
            self._parts.append(data)
            return
        self._tail.append(data)
        if len(self._tail) > 64:
            joined = b"".join(self._tail)
            cut = joined.find(b"\n\n", max(0, len(joined) - KEPT_TAIL))
            self._tail = [joined[cut + 2 :] if cut >= 0 else joined]

    @property
    def whole(self) -> bool:
        """Whether nothing was left out."""
        return self._size <= KEPT

    def raw(self) -> bytes:
        """Give the kept bytes."""
        return b"".join(self._parts) + b"".join(self._tail)


class Lane:
    """The way of a stream's chunks from the upstream to the client, without a task in between."""

    __slots__ = ("_dialect", "_framer", "_hide", "_kept", "_on_first", "_stream", "_translation", "last")

    def __init__(self, opened: Opened, stream: Stream, kept: Kept, on_first: Callable[[], None]) -> None:
        self._dialect: Dialect = opened.dialect
        self._framer = opened.framer
        self._hide = opened.hide_usage
        self._translation = opened.translation
        self._stream = stream
        self._kept = kept
        self._on_first: Callable[[], None] | None = on_first
        self.last: bytes | None = None
        """The last event, not yet sent; None until it has come."""

    def take(self, data: bytes) -> bool:
        """Take a chunk; False when the client has to be waited for, or the last event has come."""
        events = self._framer.feed(data)
        return self.give(events) if events else True

    def give(self, events: bytes) -> bool:
        """Take whole events."""
        self._kept.add(events)
        last = terminal(self._dialect, events)
        if self._hide:
            events = drop_usage_only(events)
        translation = self._translation
        if translation is not None:
            events = translation.feed(events)
        if last:
            self.last = events + (translation.finish() if translation is not None else b"")
            return False
        if not events:
            return True
        if self._on_first is not None:
            self._on_first()
            self._on_first = None
        return not self._stream.give(events)


async def relay(opened: Opened, stream: Stream, kept: Kept, on_first: Callable[[], None]) -> bytes:
    """Give a stream on until its last event, which is returned and not yet sent. Raises what the upstream's reading raises."""
    lane = Lane(opened, stream, kept, on_first)
    stopped = not lane.give(opened.events)
    while lane.last is None:
        if stopped:
            await stream.drain()
        if opened.ended:
            break
        stopped = await pump(opened.answer, lane.take)
        if not stopped:
            break
    return lane.last if lane.last is not None else _end(opened, kept)


def _end(opened: Opened, kept: Kept) -> bytes:
    """Give what is left of a stream that ended without its closing event. Raises `UpstreamBroken` where an event was cut."""
    dialect, translation = opened.dialect, opened.translation
    tail = opened.framer.tail()
    if tail.strip():
        closing = completed(dialect, tail)
        if not closing:
            raise UpstreamBroken("The upstream's stream ended within an event.")
        kept.add(closing)
        return closing if translation is None else translation.feed(closing) + translation.finish()
    return translation.finish() if translation is not None else b""


MUST_TERMINATE = frozenset(("messages", "responses"))
"""Dialects whose streams have a closing event; a chat stream may end after its finish reason, as some servers do."""


async def drain(opened: Opened) -> None:
    """Read the end of an answer, which carries nothing more, so that its connection can be used again."""
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            while await opened.answer.chunk():
                pass
    except (MelioraError, TimeoutError):
        opened.answer.abort()
