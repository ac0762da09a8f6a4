"""Prometheus as a source of gates: one instant query, one number. NaN, an empty answer, a failure or silence are no data.

Follows no redirect, sends credentials nowhere but to the configured address, and waits no longer than its patience in all.
"""

from __future__ import annotations

import http.client
import math
import ssl
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec
import structlog

from meliora.errors import InvalidRequest
from meliora.loop.gates.gate import Gate
from meliora.loop.gates.reading import NoData, Reading

log = structlog.get_logger(__name__)

MOST_BYTES = 1 << 20
"""A longer answer is no single number."""
_LATEST = 1e11
"""Seconds since the epoch that no sample is from."""


class _Data(msgspec.Struct):
    resultType: str = ""  # noqa: N815 - Prometheus' name
    result: Any = None


class _Answer(msgspec.Struct):
    status: str
    data: _Data = msgspec.field(default_factory=_Data)
    error: str = ""


class Prometheus:
    """Asks the query API of a Prometheus (or what speaks like it) at a URL. Safe to use from several threads."""

    def __init__(
        self,
        url: str,
        *,
        token: str = "",
        ca_file: str = "",
        patience: float = 10.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InvalidRequest(
                f"{url!r} is not the address of a Prometheus.", hint="Write e.g. http://prometheus:9090."
            )
        self._https = parts.scheme == "https"
        self._host, self._port, self._path = parts.hostname, parts.port, parts.path.rstrip("/")
        self._token = token
        self._ca_file = ca_file
        self._patience = patience
        self._monotonic = monotonic

    def read(self, tenant: str, gate: Gate, now_us: int) -> Reading | NoData:
        """Evaluate the gate's query at a moment. `$tenant` in it stands for the tenant's name, as a quoted label value."""
        quoted = tenant.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        body = urlencode({"query": gate.query.replace("$tenant", f'"{quoted}"'), "time": f"{now_us / 1e6:.3f}"})
        try:
            status, said = self._post(body)
        except (OSError, http.client.HTTPException) as error:
            log.warning("prometheus cannot be asked", gate=gate.name, error=repr(error))
            return NoData(f"Prometheus cannot be asked: {error or type(error).__name__}"[:500])
        return self._reading(gate, now_us, status, said)

    def _post(self, body: str) -> tuple[int, bytes]:
        """Give status and body. Raises `TimeoutError` where it all takes longer than the patience, however it trickles."""
        until = self._monotonic() + self._patience
        connection = self._connection()
        headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
        if self._token:
            headers["authorization"] = f"Bearer {self._token}"
        try:
            connection.request("POST", f"{self._path}/api/v1/query", body, headers)
            response = connection.getresponse()
            parts: list[bytes] = []
            size = 0
            while size <= MOST_BYTES and (part := response.read1(65536)):
                parts.append(part)
                size += len(part)
                if self._monotonic() > until:
                    raise TimeoutError("it answered too slowly")
            return response.status, b"".join(parts)
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        if not self._https:
            return http.client.HTTPConnection(self._host, self._port, timeout=self._patience)
        context = ssl.create_default_context(cafile=self._ca_file or None)
        return http.client.HTTPSConnection(self._host, self._port, timeout=self._patience, context=context)

    def _reading(self, gate: Gate, now_us: int, status: int, said: bytes) -> Reading | NoData:
        try:
            answer = msgspec.json.decode(said, type=_Answer)
        except (msgspec.MsgspecError, RecursionError):
            return NoData(f"Prometheus answered {status}, and not in its own form")
        if status != 200 or answer.status != "success":
            return NoData(f"Prometheus refused: {answer.error or f'status {status}'}"[:500])
        found = _sample(answer.data)
        if isinstance(found, NoData):
            return found
        at, value = found
        if not math.isfinite(value) or not 0 <= at < _LATEST:
            return NoData(f"Prometheus gave {value}")
        at_us = round(at * 1e6)
        if at_us < now_us - round(gate.window_seconds * 1e6):
            return NoData("Prometheus gave a value from before the window")
        return Reading("gauge", value, gate.minimum, at_us)


def _sample(data: _Data) -> tuple[float, float] | NoData:
    """Give the time and value of the one sample."""
    sample = data.result
    if data.resultType == "vector":
        if not isinstance(sample, list) or not sample:
            return NoData("Prometheus has no such series")
        if len(sample) > 1:
            return NoData(f"the query gives {len(sample)} series: aggregate them to one, e.g. with sum()")
        sample = sample[0].get("value") if isinstance(sample[0], dict) else None
    elif data.resultType != "scalar":
        return NoData(f"the query gives a {data.resultType or 'nothing'}: write one that gives a number now")
    if not isinstance(sample, list) or len(sample) != 2:
        return NoData("Prometheus answered without a sample")
    try:
        return float(sample[0]), float(sample[1])
    except (TypeError, ValueError):
        return NoData("Prometheus gave a value that is no number")
