"""Connections to one origin: kept while idle, retried when found stale, closed when too old."""

from __future__ import annotations

import asyncio
from collections import deque

from meliora.errors import Overloaded, UpstreamBroken
from meliora.gateway.http.connection import Connection, Patience, StaleConnection
from meliora.gateway.http.dial import Origin, dial
from meliora.settings.models import Timeouts

IDLE_SECONDS = 30.0
"""Idle connections are closed after this; most upstreams do it themselves after 60 s and more."""


class Pool:
    """Hand out connections, newest first, at most `size` at a time."""

    def __init__(self, origin: Origin, size: int, timeouts: Timeouts) -> None:
        self.origin = origin
        self.timeouts = Patience(timeouts.connect, timeouts.first_byte, timeouts.stall, timeouts.total)
        self._size = size
        self._idle: deque[Connection] = deque()
        self._all: set[Connection] = set()
        self._opening = 0
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._closed = False

    @property
    def open(self) -> int:
        """Connections that exist now."""
        return len(self._all)

    async def exchange(self, head: bytes, body: bytes) -> Connection:
        """Send a request on some connection and wait for the answer's head; give the connection back with `release`.

        A kept connection that the upstream closed in the meantime, without a byte of answer, is replaced once by a new one.
        """
        while True:
            connection = self._pop_idle() or await self._open()
            fresh = connection.requests == 0
            try:
                await connection.exchange(head, body, self.timeouts)
            except StaleConnection as error:
                connection.abort()
                if fresh:
                    raise UpstreamBroken("The upstream closed a new connection before it answered.") from error
            except BaseException:
                connection.abort()
                raise
            else:
                return connection

    def release(self, connection: Connection) -> None:
        """Take a connection back: kept if its answer ended cleanly, closed otherwise."""
        if connection.reusable and not self._closed:
            connection.idle_since = connection.now()
            self._idle.append(connection)
            self._wake_one()
        else:
            connection.abort()

    def check(self, now: float) -> None:
        """Time out what is too slow and close what idles too long."""
        for connection in tuple(self._all):
            if connection.deadline or connection.total:
                connection.check(now)
        while self._idle and now - self._idle[0].idle_since > IDLE_SECONDS:
            self._idle.popleft().abort()

    def close(self) -> None:
        """Close every connection; those in use see their answer broken."""
        self._closed = True
        for connection in tuple(self._all):
            connection.abort()

    def retire(self) -> None:
        """Close idle connections now and the others as they come back."""
        self._closed = True
        while self._idle:
            self._idle.pop().abort()

    def _pop_idle(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed:
                return connection
        return None

    async def _open(self) -> Connection:
        while len(self._all) + self._opening >= self._size:
            await self._room()
            connection = self._pop_idle()
            if connection is not None:
                return connection
        self._opening += 1
        try:
            connection = await dial(self.origin, self._on_close, self.timeouts.connect)
        except BaseException:
            self._wake_one()
            raise
        finally:
            self._opening -= 1
        if not connection.closed:  # else nobody would take it out again
            self._all.add(connection)
        return connection

    async def _room(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(self.timeouts.connect or None):
                await waiter
        except asyncio.CancelledError:
            self._pass_on(waiter)
            raise
        except TimeoutError as error:
            self._pass_on(waiter)
            raise Overloaded(
                f"All {self._size} connections to {self.origin.host} are in use.",
                hint="Raise the provider's max_connections, or lower the load.",
                retry_after=1,
            ) from error
        finally:
            if not waiter.done():
                waiter.cancel()

    def _pass_on(self, waiter: asyncio.Future[None]) -> None:
        """Wake another in the place of one that was woken and goes away."""
        if waiter.done() and not waiter.cancelled():
            self._wake_one()

    def _wake_one(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _on_close(self, connection: Connection) -> None:
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._wake_one()
