"""Server-sent events: cut a byte stream at event ends, read events, write them.

Never changes a byte of what it frames; knows nothing of JSON or of dialects' meaning.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from meliora.errors import UpstreamBroken
from meliora.telemetry.records import Dialect

KEEPALIVE: dict[Dialect, bytes] = {
    "chat": b": keep-alive\n\n",
    "responses": b": keep-alive\n\n",
    "messages": b'event: ping\ndata: {"type": "ping"}\n\n',
    "embeddings": b": keep-alive\n\n",
}
"""What keeps a silent stream open, in each dialect's own form."""

_BOM = b"\xef\xbb\xbf"


class Event(msgspec.Struct, frozen=True, gc=False):
    """One dispatched event. `event` is None where no type was given; `data` has its lines joined by LF."""

    event: str | None
    data: bytes


class Framer:
    """Cuts chunks into whole events: what `feed` and `tail` give back, joined, is what was fed, byte for byte.

    An event ends at a blank line, whatever mixture of LF, CRLF and CR ends the lines.
    """

    __slots__ = ("_held", "_held_bytes", "_last", "_limit")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._last = 0

    def feed(self, chunk: bytes) -> bytes:
        """Give every event that is complete by now, and keep the rest.

        Raises `UpstreamBroken` when a single event is longer than the limit.
        """
        if not self._held and chunk[-2:] == b"\n\n" and len(chunk) <= self._limit:
            return chunk
        return self._feed(chunk)

    def tail(self) -> bytes:
        """Give what came after the last complete event, and forget it."""
        tail = b"".join(self._held)
        self._held.clear()
        self._held_bytes = 0
        return tail

    def _feed(self, chunk: bytes) -> bytes:
        if not chunk:
            return b""
        joined = self._held[-1][-1:] + chunk if self._held else chunk
        offset = len(joined) - len(chunk)
        after_cr = not self._held and self._last == 13 and chunk[0] == 10
        end = _last_end(joined) - offset
        if end <= 0 and after_cr:
            end = 1  # the LF of a CRLF that was cut in two belongs to the event already given
        if end <= 0:
            self._hold(chunk)
            return b""
        if self._held_bytes + len(chunk) > self._limit:
            self._check(chunk, _first_end(joined) - offset)
        self._held.append(chunk[:end])
        out = b"".join(self._held)
        self._held.clear()
        self._held_bytes = 0
        self._last = out[-1]
        if end < len(chunk):
            self._hold(chunk[end:])
        return out

    def _hold(self, rest: bytes) -> None:
        self._held.append(rest)
        self._held_bytes += len(rest)
        if self._held_bytes > self._limit:
            raise UpstreamBroken(f"The upstream sent an event of more than {self._limit} bytes.")

    def _check(self, chunk: bytes, first: int) -> None:
        longest = self._held_bytes + first
        if len(chunk) > self._limit:
            longest = max(longest, max(map(len, split_events(chunk[first:])), default=0))
        if longest > self._limit:
            raise UpstreamBroken(f"The upstream sent an event of {longest} bytes; the limit is {self._limit}.")


def _last_end(data: bytes) -> int:
    """Position after the last blank line, 0 where there is none.

    Two line ends in a row always show one of three pairs: LF LF, LF CR, CR CR (CR LF is one end).
    """
    end = data.rfind(b"\n\n") + 2
    if 13 in data:
        for pair in (b"\n\r", b"\r\r"):
            end = max(end, _past_lf(data, data.rfind(pair) + 2))
    return end if end > 1 else 0


def _first_end(data: bytes) -> int:
    ends = [data.find(b"\n\n") + 2]
    if 13 in data:
        ends += [_past_lf(data, data.find(pair) + 2) for pair in (b"\n\r", b"\r\r")]
    return min((end for end in ends if end > 1), default=len(data))


def _past_lf(data: bytes, end: int) -> int:
    return end + 1 if end > 1 and data[end : end + 1] == b"\n" else end


def split_events(data: bytes) -> list[bytes]:
    """Cut whole events apart, byte-exact. What follows the last blank line comes as a last piece."""
    if 13 not in data:
        pieces = data.split(b"\n\n")
        last = pieces.pop()
        events = [piece + b"\n\n" for piece in pieces]
        return [*events, last] if last else events
    events: list[bytes] = []
    start = 0
    for end in _ends(data):
        events.append(data[start:end])
        start = end
    if start < len(data):
        events.append(data[start:])
    return events


def _ends(data: bytes) -> Iterator[int]:
    found = {pair: data.find(pair) for pair in (b"\n\n", b"\n\r", b"\r\r")}
    position = 0
    while True:
        for pair, at in found.items():
            if 0 <= at < position:
                found[pair] = data.find(pair, position)
        ahead = [at for at in found.values() if at >= 0]
        if not ahead:
            return
        at = min(ahead)
        position = at + 2
        if data[at + 1] == 13:
            position = _past_lf(data, position)
        yield position


def iter_events(data: bytes) -> Iterator[Event]:
    """Read the events of a stream per the WHATWG specification, section 9.2.6.

    Comments, `id` and `retry` are passed over, an event without data is not dispatched, and neither is one that the
    end of the stream cuts off.
    """
    if data[:3] == _BOM:
        data = data[3:]
    if 13 in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    blocks = data.split(b"\n\n")
    blocks.pop()
    for block in blocks:
        if block[:6] == b"data: " and b"\n" not in block:
            yield Event(None, block[6:])
        elif (event := _read(block)) is not None:
            yield event


def _read(block: bytes) -> Event | None:
    kind = b""
    data: list[bytes] = []
    for line in block.split(b"\n"):
        name, _, value = line.partition(b":")
        if value[:1] == b" ":
            value = value[1:]
        if name == b"data":
            data.append(value)
        elif name == b"event":
            kind = value
    if not data:
        return None
    return Event(kind.decode("utf-8", "replace") if kind else None, b"\n".join(data))


def encode_event(data: bytes, event: str | None = None) -> bytes:
    """Write one event; data of several lines becomes several `data` fields."""
    if b"\n" in data or b"\r" in data:
        lines = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        data = b"\ndata: ".join(lines)
    if event is None:
        return b"data: " + data + b"\n\n"
    return b"event: " + event.encode() + b"\ndata: " + data + b"\n\n"
