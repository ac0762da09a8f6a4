"""How a connection is opened: TLS with the system's or an own authority, through a proxy, or over a Unix socket."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from meliora.errors import SettingsError, UpstreamTimeout, UpstreamUnreachable
from meliora.gateway.http.connection import Connection


class Origin(NamedTuple):
    """Where to connect and how. `path_prefix` is what precedes each request's path."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    authority: str
    """Value of the `host` header."""
    path_prefix: str
    proxy: tuple[str, int, bytes] | None = None
    """Host, port and `proxy-authorization` (may be empty) of an HTTP proxy."""
    unix: str | None = None


def origin_of(base_url: str, *, ca_file: str = "", proxy: str = "") -> Origin:
    """Read a base URL. Raises `SettingsError` where it is none."""
    if base_url.startswith("unix:"):
        return Origin("localhost", 0, None, "localhost", "", unix=base_url.removeprefix("unix:"))
    url = urlsplit(base_url)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise SettingsError(
            f"{base_url!r} is not an http or https address.", hint="Write e.g. https://api.openai.com/v1."
        )
    tls = _tls(ca_file) if url.scheme == "https" else None
    port = url.port or (443 if tls else 80)
    authority = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    if url.port is not None:
        authority = f"{authority}:{url.port}"
    return Origin(url.hostname, port, tls, authority, url.path.rstrip("/"), _proxy(proxy) if proxy else None)


def _tls(ca_file: str) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context()
        if ca_file:
            context.load_verify_locations(ca_file)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"The authority file {ca_file} cannot be read: {error}.", hint="Name a PEM file."
        ) from error
    context.set_alpn_protocols(["http/1.1"])
    return context


def _proxy(proxy: str) -> tuple[str, int, bytes]:
    url = urlsplit(proxy)
    if url.scheme != "http" or not url.hostname:
        raise SettingsError(
            f"{url.hostname or proxy!r} is not an HTTP proxy's address.", hint="Write e.g. http://proxy:3128."
        )
    auth = b""
    if url.username:
        pair = f"{unquote(url.username)}:{unquote(url.password or '')}"
        auth = b"Basic " + base64.b64encode(pair.encode())
    return url.hostname, url.port or 3128, auth


async def dial(origin: Origin, on_close: Callable[[Connection], None], timeout: float) -> Connection:
    """Open a connection. Raises `UpstreamUnreachable` or `UpstreamTimeout`; either way nothing was sent to the upstream."""
    loop = asyncio.get_running_loop()
    connection = Connection(loop, on_close)
    try:
        async with asyncio.timeout(timeout or None):
            await _connect(loop, origin, connection)
    except TimeoutError as error:
        connection.abort()
        raise UpstreamTimeout(f"No connection to {origin.host} within {timeout:g} s.") from error
    except (OSError, ssl.SSLError) as error:
        connection.abort()
        raise UpstreamUnreachable(f"No connection to {origin.host}:{origin.port}: {error}.") from error
    except BaseException:
        connection.abort()
        raise
    return connection


async def _connect(loop: asyncio.AbstractEventLoop, origin: Origin, connection: Connection) -> None:
    if origin.unix is not None:
        await loop.create_unix_connection(lambda: connection, origin.unix)
    elif origin.proxy is None:
        name = origin.host if origin.tls else None
        await loop.create_connection(lambda: connection, origin.host, origin.port, ssl=origin.tls, server_hostname=name)
    elif origin.tls is None:
        await loop.create_connection(lambda: connection, origin.proxy[0], origin.proxy[1])
    else:
        await _tunnel(loop, origin, origin.proxy, origin.tls, connection)


async def _tunnel(
    loop: asyncio.AbstractEventLoop,
    origin: Origin,
    proxy: tuple[str, int, bytes],
    tls: ssl.SSLContext,
    connection: Connection,
) -> None:
    greeting = _ProxyGreeting(loop)
    transport, _ = await loop.create_connection(lambda: greeting, proxy[0], proxy[1])
    target = f"{origin.host}:{origin.port}" if ":" not in origin.host else f"[{origin.host}]:{origin.port}"
    head = f"CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n".encode()
    if proxy[2]:
        head += b"proxy-authorization: " + proxy[2] + b"\r\n"
    transport.write(head + b"\r\n")
    try:
        status = await greeting.answered
        if b" 200" not in status:
            raise OSError(f"the proxy answered {status.decode('latin-1')!r}")
        secure = await loop.start_tls(transport, connection, tls, server_hostname=origin.host)
    except BaseException:
        transport.abort()
        raise
    if secure is None:
        raise OSError("the proxy closed the tunnel")
    connection.connection_made(secure)


class _ProxyGreeting(asyncio.Protocol):
    """Wait for the proxy's answer to CONNECT; the first line is the result."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.answered: asyncio.Future[bytes] = loop.create_future()
        self._seen = b""

    def data_received(self, data: bytes) -> None:
        self._seen += data
        if b"\r\n\r\n" in self._seen and not self.answered.done():
            self.answered.set_result(self._seen.split(b"\r\n", 1)[0])

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.answered.done():
            self.answered.set_exception(OSError("the proxy closed the connection"))
