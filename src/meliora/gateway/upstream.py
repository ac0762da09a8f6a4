"""What the gateway asks of an upstream, whether it lies behind a socket or is simulated in this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

Headers = list[tuple[bytes, bytes]]
"""Lower-case names, in the order received."""


class UpstreamRequest(msgspec.Struct, frozen=True):
    """One HTTP request. `path` is what follows the provider's base URL, query included."""

    method: str
    path: str
    headers: Headers
    body: bytes


class UpstreamAnswer(Protocol):
    """An answer whose head has arrived; its body is pulled chunk by chunk."""

    status: int
    headers: Headers

    async def chunk(self) -> bytes:
        """Give the next bytes of the body, `b""` at its proper end.

        Raises `UpstreamTimeout` after the stall limit, `UpstreamBroken` where the body ends before it should.
        """
        ...

    async def read(self, limit: int) -> bytes:
        """Give the whole rest of the body. Raises `UpstreamBroken` past `limit` bytes, and as `chunk` does."""
        ...

    def abort(self) -> None:
        """Drop the rest: the upstream sees the connection close. Safe to call at any time, any number of times."""
        ...


class Upstream(Protocol):
    """A provider that can be sent requests."""

    async def send(self, request: UpstreamRequest) -> UpstreamAnswer:
        """Send, and return when the answer's head is there.

        Raises `UpstreamUnreachable` (nothing was sent), `UpstreamTimeout` or `UpstreamBroken`.
        """
        ...

    def check(self, now: float) -> None:
        """Time out what is too slow; `now` is the loop's time. Called ten times a second."""
        ...

    @property
    def busy(self) -> bool:
        """Whether any connection is open."""
        ...

    def retire(self) -> None:
        """Close what is idle, and everything else as soon as its call has ended."""
        ...

    async def close(self) -> None:
        """Close idle connections and abort the others."""
        ...


async def pump(answer: UpstreamAnswer, take: Callable[[bytes], bool]) -> bool:
    """Give an answer's chunks to `take` as they come, until it says no (True) or the proper end (False). Raises as `chunk` does.

    An answer that can do so without a task in between has a method of this name.
    """
    own = getattr(answer, "pump", None)
    if own is not None:
        return await own(take)
    while data := await answer.chunk():
        if not take(data):
            return True
    return False
