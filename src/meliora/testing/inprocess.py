"""Faults where there is no wire: a call to an upstream's `send` is spoiled as a real client would have seen it.

Faults of content (a status, an error event, many chunks) need an answer of the simulated provider.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from meliora.errors import UpstreamBroken, UpstreamTimeout, UpstreamUnreachable
from meliora.gateway.simulated.upstream import Send, SimulatedAnswer, Sleep
from meliora.gateway.upstream import UpstreamAnswer, UpstreamRequest
from meliora.testing import faults as f
from meliora.testing.spoiling import headers_of, spoil_content


@dataclass(frozen=True)
class Patience:
    """How long the client that is played waits for a head or a chunk before it gives up, and by what it waits."""

    seconds: float = 60.0
    sleep: Sleep = asyncio.sleep

    async def wait(self, seconds: float, for_what: str) -> None:
        """Wait so long. Raises `UpstreamTimeout` where that is longer than the client's patience."""
        await self.sleep(min(seconds, self.seconds))
        if seconds > self.seconds:
            raise UpstreamTimeout(f"There was no {for_what} for {self.seconds:g} seconds.")


async def spoil(fault: f.Fault | None, request: UpstreamRequest, send: Send, patience: Patience) -> UpstreamAnswer:
    """Send the request, and spoil what comes back. Raises what `Upstream.send` raises."""
    match fault:
        case None:
            return await send(request)
        case f.Refuse():
            raise UpstreamUnreachable("The connection was refused.")
        case f.Reset(after_events=None) | f.Garbage() | f.HugeHeader():
            raise UpstreamBroken("There was no well-formed head of an answer.")
        case f.SlowHeaders(seconds):
            await patience.wait(seconds, "head of an answer")
            return await send(request)
        case _:
            return _Spoiled(await _content(fault, await send(request)), fault, patience)


async def _content(fault: f.Fault, answer: UpstreamAnswer) -> UpstreamAnswer:
    if not isinstance(answer, SimulatedAnswer):
        return answer
    made, pieces = spoil_content(answer.made, fault)
    spoiled = answer.instead(made, pieces)
    spoiled.headers = [*made.headers, *headers_of(fault)]
    return spoiled


class _Spoiled:
    """An answer whose transport fails on the way."""

    def __init__(self, answer: UpstreamAnswer, fault: f.Fault, patience: Patience) -> None:
        self.status = answer.status
        self.headers = answer.headers
        self._answer = answer
        self._patience = patience
        self._chunks = self._failing(fault)

    async def chunk(self) -> bytes:
        """Give the next chunk, or raise as the fault has it."""
        return await anext(self._chunks, b"")

    async def read(self, limit: int) -> bytes:
        """Give the rest of the body. Raises `UpstreamBroken` past `limit` bytes, and as `chunk` does."""
        whole = bytearray()
        while data := await self.chunk():
            whole += data
            if len(whole) > limit:
                self.abort()
                raise UpstreamBroken(f"The answer is longer than {limit} bytes.")
        return bytes(whole)

    def abort(self) -> None:
        """Drop the rest."""
        self._answer.abort()

    async def _failing(self, fault: f.Fault) -> AsyncIterator[bytes]:
        match fault:
            case f.Cut(after_bytes=int(size)):
                async for piece in self._until_bytes(size):
                    yield piece
                raise UpstreamBroken("The answer ended before its end.")
            case f.Cut(after_events=count) | f.MalformedChunk(count) | f.Reset(after_events=int(count)):
                async for piece in self._first(count):
                    yield piece
                raise UpstreamBroken("The answer ended before its end.")
            case f.Stall(count, seconds):
                async for piece in self._first(count):
                    yield piece
                await self._patience.wait(seconds, "chunk")
            case f.WrongContentLength(off) if off < 0:
                whole = b"".join([piece async for piece in self._first(None)])
                yield whole[:off]
            case f.Fragmented(size):
                async for piece in self._first(None):
                    for at in range(0, len(piece), size):
                        yield piece[at : at + size]
        async for piece in self._first(None):
            yield piece
        if isinstance(fault, f.WrongContentLength) and fault.off_by > 0:
            raise UpstreamBroken("The answer is shorter than its length says.")

    async def _first(self, count: int | None) -> AsyncIterator[bytes]:
        while count is None or count > 0:
            piece = await self._answer.chunk()
            if not piece:
                return
            yield piece
            count = None if count is None else count - 1

    async def _until_bytes(self, size: int) -> AsyncIterator[bytes]:
        async for piece in self._first(None):
            yield piece[:size]
            size -= len(piece)
            if size <= 0:
                return
