"""An answer and a fault as what goes over the wire, step by step. Opens no socket: `server` carries the steps out."""

from __future__ import annotations

import http
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from meliora.gateway.simulated.answers import Answer
from meliora.gateway.upstream import Headers
from meliora.testing import faults as f
from meliora.testing.spoiling import headers_of, spoil_content


@dataclass(frozen=True)
class Write:
    """Send these bytes. `event`: they are an event of a stream, so the server's pace applies."""

    data: bytes
    event: bool = False


@dataclass(frozen=True)
class Wait:
    """Be silent."""

    seconds: float


@dataclass(frozen=True)
class Close:
    """Close the connection: in order, or with a reset."""

    reset: bool = False


Step = Write | Wait | Close


def steps(answer: Answer, fault: f.Fault | None, seed: int = 0) -> Iterator[Step]:
    """Give what the server does, from the head to the body's end. A connection that is not closed stays usable."""
    match fault:
        case f.Reset(after_events=None):
            yield Close(reset=True)
            return
        case f.Garbage(size):
            yield Write(b"\x00" + random.Random(seed).randbytes(max(size - 1, 0)))
            yield Close()
            return
        case f.SlowHeaders(seconds):
            yield Wait(seconds)
    made, pieces = spoil_content(answer, fault)
    headers = [*made.headers, *headers_of(fault)]
    if isinstance(fault, f.WrongContentLength):
        yield from _wrong_length(made.status, headers, b"".join(pieces), fault.off_by)
    elif made.stream or isinstance(fault, (f.MalformedChunk, f.Fragmented)):
        yield Write(_head(made.status, [*headers, (b"transfer-encoding", b"chunked")]))
        yield from _chunked(_sized(pieces, fault), fault)
    else:
        body = b"".join(pieces)
        yield Write(_head(made.status, [*headers, _length(len(body))]))
        yield from _whole(body, fault)


def _chunked(pieces: Sequence[bytes], fault: f.Fault | None) -> Iterator[Step]:
    sent = 0
    for index, piece in enumerate(pieces):
        yield from _before(index, fault)
        if isinstance(fault, f.Cut) and fault.after_bytes is not None:
            room = fault.after_bytes - sent
            if room < len(piece):
                yield Write(b"%x\r\n" % len(piece) + piece[:room])
                yield Close()
                return
        sent += len(piece)
        yield Write(_chunk(piece), event=True)
    yield from _before(len(pieces), fault)
    yield Write(b"0\r\n\r\n")


def _before(index: int, fault: f.Fault | None) -> Iterator[Step]:
    """What happens between two events. Steps after a `Close` are never carried out."""
    match fault:
        case f.Reset(after_events=count) if count == index:
            yield Close(reset=True)
        case f.Cut(after_bytes=None, after_events=count) if count == index:
            yield Close()
        case f.Stall(count, seconds) if count == index:
            yield Wait(seconds)
        case f.MalformedChunk(count) if count == index:
            yield Write(b"zz\r\nno length\r\n")
            yield Close()


def _whole(body: bytes, fault: f.Fault | None) -> Iterator[Step]:
    """A body that is no stream counts as one event: what comes after the first, comes in its middle."""
    middle = len(body) // 2
    match fault:
        case f.Cut(after_bytes=size, after_events=count):
            kept = size if size is not None else (middle if count else 0)
            yield Write(body[:kept])
            if kept < len(body):
                yield Close()
        case f.Reset(after_events=count):
            yield Write(body[: middle if count else 0])
            yield Close(reset=True)
        case f.Stall(_, seconds):
            yield Write(body[:middle])
            yield Wait(seconds)
            yield Write(body[middle:])
        case _:
            yield Write(body)


def _wrong_length(status: int, headers: Headers, body: bytes, off_by: int) -> Iterator[Step]:
    """After a length that is too short the surplus lies in the connection, where the next answer is looked for."""
    yield Write(_head(status, [*headers, _length(max(len(body) + off_by, 0))]))
    yield Write(body)
    if off_by > 0:
        yield Close()


def _sized(pieces: Sequence[bytes], fault: f.Fault | None) -> Sequence[bytes]:
    if not isinstance(fault, f.Fragmented):
        return pieces
    body = b"".join(pieces)
    return [body[at : at + fault.size] for at in range(0, len(body), fault.size)]


def _head(status: int, headers: Headers) -> bytes:
    phrase = http.HTTPStatus(status).phrase if status in set(http.HTTPStatus) else "Overloaded"
    lines = [b"HTTP/1.1 %d %s" % (status, phrase.encode()), *(name + b": " + value for name, value in headers)]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _length(size: int) -> tuple[bytes, bytes]:
    return b"content-length", b"%d" % size


def _chunk(piece: bytes) -> bytes:
    return b"%x\r\n" % len(piece) + piece + b"\r\n"
