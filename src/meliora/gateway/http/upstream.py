"""A provider behind a base URL: builds the request's head, and gives the answer as the gateway wants it."""

from __future__ import annotations

from meliora.errors import InvalidRequest
from meliora.gateway.http.connection import Connection, Take
from meliora.gateway.http.dial import Origin
from meliora.gateway.http.pool import Pool
from meliora.gateway.upstream import Headers, UpstreamRequest
from meliora.settings.models import Timeouts

_KEPT_BEGINS = 64


class HttpAnswer:
    """An answer on a pooled connection, which goes back to the pool at its end."""

    __slots__ = ("_connection", "_pool", "headers", "status")

    def __init__(self, connection: Connection, pool: Pool) -> None:
        self._connection: Connection | None = connection
        self._pool = pool
        self.status = connection.status
        self.headers = connection.headers

    async def chunk(self) -> bytes:
        """Give the next bytes, `b""` at the proper end."""
        connection = self._connection
        if connection is None:
            return b""
        try:
            data = await connection.chunk()
        except BaseException:
            self.abort()
            raise
        if not data:
            self._release()
        return data

    async def pump(self, take: Take) -> bool:
        """Give chunks to `take` as they come, until it says no (True) or the proper end (False)."""
        connection = self._connection
        if connection is None:
            return False
        try:
            if await connection.pump(take):
                return True
        except BaseException:
            self.abort()
            raise
        self._release()
        return False

    async def read(self, limit: int) -> bytes:
        """Give the whole rest of the body."""
        connection = self._connection
        if connection is None:
            return b""
        try:
            data = await connection.read(limit)
        except BaseException:
            self.abort()
            raise
        self._release()
        return data

    def abort(self) -> None:
        """Drop the rest by closing the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()

    def _release(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._pool.release(connection)


class HttpUpstream:
    """Send requests to one origin with the provider's own headers."""

    def __init__(self, origin: Origin, *, size: int, timeouts: Timeouts, headers: Headers, query: str = "") -> None:
        self.pool = Pool(origin, size, timeouts)
        self._query = query
        self._begins: dict[tuple[str, str], bytes] = {}
        prefix = origin.path_prefix
        if origin.proxy is not None and origin.tls is None:
            prefix = f"http://{origin.authority}{prefix}"
        self._prefix = prefix.encode()
        fixed: Headers = [(b"host", origin.authority.encode()), (b"accept-encoding", b"identity"), *headers]
        self._fixed = b"".join(_line(name, value) for name, value in fixed)
        if origin.proxy is not None and origin.tls is None and origin.proxy[2]:
            self._fixed += _line(b"proxy-authorization", origin.proxy[2])

    async def send(self, request: UpstreamRequest) -> HttpAnswer:
        """Send, and return when the answer's head is there."""
        connection = await self.pool.exchange(self._head(request), request.body)
        return HttpAnswer(connection, self.pool)

    def check(self, now: float) -> None:
        """Time out what is too slow."""
        self.pool.check(now)

    @property
    def busy(self) -> bool:
        """Whether any connection is open."""
        return self.pool.open > 0

    def retire(self) -> None:
        """Close what is idle, and the rest as it comes back."""
        self.pool.retire()

    async def close(self) -> None:
        """Close every connection."""
        self.pool.close()

    def _begin(self, method: str, path: str) -> bytes:
        """Give the request line and the headers that are always the same; kept for the few paths there are."""
        full = path
        if self._query:
            full += ("&" if "?" in path else "?") + self._query
        line = full.encode("ascii", "strict") if full.isascii() else _refuse_path()
        begin = b"".join((method.encode(), b" ", self._prefix, line, b" HTTP/1.1\r\n", self._fixed))
        if len(self._begins) < _KEPT_BEGINS:
            self._begins[method, path] = begin
        return begin

    def _head(self, request: UpstreamRequest) -> bytes:
        begin = self._begins.get((request.method, request.path))
        parts = [begin if begin is not None else self._begin(request.method, request.path)]
        for header in request.headers:
            parts.append(_USUAL.get(header) or _line(*header))  # noqa: PERF401 - for each call, and faster so
        if request.body or request.method not in ("GET", "HEAD"):
            parts.append(b"content-length: %d\r\n" % len(request.body))
        parts.append(b"\r\n")
        return b"".join(parts)


def _line(name: bytes, value: bytes) -> bytes:
    if b"\r" in value or b"\n" in value or b"\0" in value:
        raise InvalidRequest(f"The header {name.decode('latin-1')} holds a line break.")
    return b"%b: %b\r\n" % (name, value)


_USUAL = {
    header: _line(*header)
    for header in (
        (b"content-type", b"application/json"),
        (b"accept", b"application/json"),
        (b"accept", b"text/event-stream"),
    )
}
"""Headers that are the same in nearly every request."""


def _refuse_path() -> bytes:
    raise InvalidRequest("The path holds characters outside ASCII.", hint="Percent-encode them.")
