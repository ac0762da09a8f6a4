"""Goes to web addresses: http and https only, within time and size, and not to addresses of this machine or its network.

The address that is connected to is the one that was checked, so that a name which answers twice differently leads nowhere.
"""

from __future__ import annotations

import http.client
import io
import ipaddress
import socket
import ssl
import time
from typing import Any, cast
from urllib.parse import urljoin, urlsplit

from meliora.errors import BodyTooLarge, Forbidden, InvalidRequest, UpstreamBroken, UpstreamTimeout, UpstreamUnreachable
from meliora.knowledge.reading.base import Limits

REDIRECTS = 5
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
"""Addresses of version 4 as a network without them writes them (RFC 6052, section 2.1)."""
_MOVED = (301, 302, 303, 307, 308)


class HttpFetch:
    """Fetches by HTTP. `private` allows addresses of one's own network; `headers` go to the first host only, never on to another."""

    def __init__(self, *, timeout: float = 20.0, private: bool = False, headers: dict[str, str] | None = None) -> None:
        """Take seconds for one address with all its redirects."""
        self._timeout, self._private, self._headers = timeout, private, dict(headers or {})

    def __call__(self, url: str, limits: Limits, body: bytes | None = None) -> tuple[bytes, str]:
        """Give what an address holds and its content type; with a body, by POST. Raises `MelioraError`."""
        until, first = time.monotonic() + self._timeout, _origin(url)
        for _ in range(REDIRECTS + 1):
            headers = self._headers if _origin(url) == first else {}
            answer = self._ask(url, limits, body, headers, until)
            if isinstance(answer, tuple):
                return answer
            if body is not None:
                raise UpstreamBroken(f"{url} redirects a POST.")
            url = urljoin(url, answer)
        raise UpstreamBroken(f"It redirects more than {REDIRECTS} times.")

    def _ask(
        self, url: str, limits: Limits, body: bytes | None, headers: dict[str, str], until: float
    ) -> tuple[bytes, str] | str:
        """Give the answer, or where it leads to."""
        connection, path = self._connect(url, until)
        sent = {"User-Agent": "meliora", "Accept-Encoding": "identity", **headers}
        if body is not None:
            sent["Content-Type"] = "application/json"
        try:
            connection.request("GET" if body is None else "POST", path, body=body, headers=sent)
            with connection.getresponse() as response:
                if response.status in _MOVED and response.headers.get("Location"):
                    return str(response.headers["Location"])
                if response.status != 200:
                    raise UpstreamBroken(f"It answered {response.status}.")
                return _body(response, limits), response.headers.get("Content-Type", "")
        except TimeoutError as error:
            raise self._late() from error
        except (http.client.HTTPException, OSError, ValueError) as error:
            raise UpstreamBroken(f"It answered with no well-formed HTTP: {type(error).__name__}.") from error
        finally:
            connection.close()

    def _connect(self, url: str, until: float) -> tuple[http.client.HTTPConnection, str]:
        scheme, host, port, path = _parts(url)
        connection = http.client.HTTPConnection(host, port)
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise UpstreamUnreachable(f"The name {host!r} leads nowhere.") from error
        failed: OSError | None = None
        for *_, address in found:
            if not self._private and not _public(str(address[0])):
                raise Forbidden(
                    f"{host} leads to {address[0]}, an address of one's own network.",
                    hint="Where that is meant: `meliora knowledge index --own-network`.",
                )
            left = until - time.monotonic()
            if left <= 0:
                raise self._late() from failed
            try:
                plain = socket.create_connection((str(address[0]), port), timeout=left)
                # The name is checked against the certificate, the address was checked before.
                made = (
                    ssl.create_default_context().wrap_socket(plain, server_hostname=host)
                    if scheme == "https"
                    else plain
                )
            except OSError as error:
                failed = error
                continue
            connection.sock = cast("socket.socket", _Hurried(made, until))
            return connection, path
        raise UpstreamUnreachable(f"No connection to {host}: {failed}.") from failed

    def _late(self) -> UpstreamTimeout:
        return UpstreamTimeout(f"It took longer than {self._timeout:g} seconds.")


class _Hurried:
    """What a connection uses of a socket, until a moment: a socket's own timeout begins again with each byte that comes."""

    def __init__(self, plain: socket.socket, until: float) -> None:
        self._plain, self._until = plain, until

    def sendall(self, data: bytes) -> None:
        _hurry(self._plain, self._until)
        self._plain.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Incoming(self._plain, self._until))

    def close(self) -> None:
        self._plain.close()


class _Incoming(io.RawIOBase):
    """What comes in, until a moment. The socket stays open as long as this does: an answer outlives its connection."""

    def __init__(self, plain: socket.socket, until: float) -> None:
        self._plain, self._until = plain, until
        self._raw = plain.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        _hurry(self._plain, self._until)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _hurry(plain: socket.socket, until: float) -> None:
    """Let the next step on a socket take no longer than until a moment. Raises `TimeoutError` when that is past."""
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    plain.settimeout(left)


def _body(response: http.client.HTTPResponse, limits: Limits) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        part = response.read1(65_536)
        if not part:
            return b"".join(parts)
        size += len(part)
        if size > limits.file_bytes:
            raise BodyTooLarge(f"It has more than {limits.file_bytes:,} bytes.")
        parts.append(part)


def _public(address: str) -> bool:
    told = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(told, "ipv4_mapped", None) or getattr(told, "sixtofour", None)
    if told in _NAT64:
        mapped = ipaddress.ip_address(int(told) & 0xFFFFFFFF)
    return _public(str(mapped)) if mapped else told.is_global and not told.is_multicast


def _origin(url: str) -> tuple[str, str, int]:
    return _parts(url)[:3]


def _parts(url: str) -> tuple[str, str, int, str]:
    try:
        split = urlsplit(url)
        port = split.port
    except ValueError as error:
        raise InvalidRequest(f"{url[:200]!r} is no address.") from error
    if split.scheme not in ("http", "https") or not split.hostname:
        raise InvalidRequest(f"{url[:200]!r} is no address of http or https.")
    if split.username is not None or any(letter <= " " or letter > "~" for letter in url):
        raise InvalidRequest(
            f"The address of {split.hostname!r} has a name, spaces or letters that must be written otherwise."
        )
    path = (split.path or "/") + (f"?{split.query}" if split.query else "")
    return split.scheme, split.hostname, port or (443 if split.scheme == "https" else 80), path
