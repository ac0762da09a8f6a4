"""One POST of JSON to an address of the settings, by the standard library. Follows no redirect; its address stands in no error.

Waits no longer than its patience in all, however slowly an answer trickles.
"""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from meliora.errors import InvalidRequest, UpstreamError

MOST_BYTES = 1 << 16
"""More of an answer is not read."""


class Webhook:
    """Posts to one address. Safe to use from several threads."""

    def __init__(
        self,
        url: str,
        what: str,
        *,
        headers: Mapping[str, str] | None = None,
        ca_file: str = "",
        patience: float = 10.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`what` names it in errors. Raises `InvalidRequest` for what is no http or https address."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if parts.scheme not in ("http", "https") or not parts.hostname or any(ord(c) <= 32 for c in url):
            raise InvalidRequest(f"The address of {what} is none.", hint="Write http:// or https:// and a host.")
        self._https, self._host, self._port = parts.scheme == "https", parts.hostname, port
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._what = what
        self._headers = {"content-type": "application/json", **(headers or {})}
        self._ca_file = ca_file
        self._patience = patience
        self._monotonic = monotonic

    def post(self, body: Any) -> None:
        """Post it. Raises `UpstreamError` for any answer but success, `OSError` where there is none."""
        until = self._monotonic() + self._patience
        connection = self._connection()
        try:
            connection.request("POST", self._path, msgspec.json.encode(body), self._headers)
            response = connection.getresponse()
            size = 0
            while size <= MOST_BYTES and (part := response.read1(8192)):
                size += len(part)
                if self._monotonic() > until:
                    raise TimeoutError(f"{self._what} answered too slowly")
            status = response.status
        except http.client.HTTPException as error:
            raise UpstreamError(f"{self._what} did not answer as HTTP: {type(error).__name__}.") from error
        finally:
            connection.close()
        if not 200 <= status < 300:
            raise UpstreamError(f"{self._what} answered {status}.")

    def _connection(self) -> http.client.HTTPConnection:
        if not self._https:
            return http.client.HTTPConnection(self._host, self._port, timeout=self._patience)
        context = ssl.create_default_context(cafile=self._ca_file or None)
        return http.client.HTTPSConnection(self._host, self._port, timeout=self._patience, context=context)
