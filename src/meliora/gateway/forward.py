"""What is not a model call goes to the control process over its Unix socket, streamed both ways.

The control process being away never touches model calls: such a request gets a 503 that says so.
"""

from __future__ import annotations

import asyncio
from urllib.parse import quote

import msgspec
import structlog

from meliora.errors import MelioraError, Overloaded, UpstreamError
from meliora.gateway.http.dial import Origin
from meliora.gateway.http.upstream import HttpUpstream
from meliora.gateway.inbound import Inbound, Receive, Scope, Send
from meliora.gateway.upstream import Headers, UpstreamRequest
from meliora.settings.models import Timeouts

log = structlog.get_logger(__name__)

_HOP = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"host",
        b"content-length",
        b"accept-encoding",
        b"expect",
    )
)
_ANSWER_HOP = _HOP - {b"content-length"} | {b"date", b"server"}


class Control:
    """The control process as seen from the gateway."""

    def __init__(self, socket: str, *, body_limit: int) -> None:
        timeouts = Timeouts(connect=2, first_byte=120, stall=0, total=0)
        origin = Origin("control", 0, None, "control", "", unix=socket)
        self.upstream = HttpUpstream(origin, size=200, timeouts=timeouts, headers=[])
        self.body_limit = body_limit

    async def forward(self, inbound: Inbound, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on and its answer back, until the client leaves. Raises what the body's limits raise."""
        await inbound.read(receive, self.body_limit)
        task = asyncio.current_task()
        assert task is not None
        inbound.on_gone(task.cancel)
        try:
            await self._pass(inbound, scope, send)
        finally:
            inbound.on_gone(None)

    async def _pass(self, inbound: Inbound, scope: Scope, send: Send) -> None:
        path = quote(inbound.path, safe="/:@!$&'()*+,;=~-._")
        if inbound.query:
            path += "?" + inbound.query.decode("ascii", "replace")
        headers: Headers = [(k, v) for k, v in scope["headers"] if k not in _HOP and not k.startswith(b"x-forwarded-")]
        client = scope.get("client")
        headers.append((b"x-forwarded-for", (client[0] if client else "").encode()))
        host = inbound.headers.get(b"host")
        if host:
            headers.append((b"x-forwarded-host", host))
        request = UpstreamRequest(inbound.method, path, headers, inbound.body)
        try:
            answer = await self.upstream.send(request)
        except (UpstreamError, Overloaded) as error:
            raise ControlAway(
                "The control process does not answer; model calls go on.",
                hint="See var/logs/control.log.",
                retry_after=2,
            ) from error
        try:
            out = [(k, v) for k, v in answer.headers if k not in _ANSWER_HOP]
            await send({"type": "http.response.start", "status": answer.status, "headers": out})
            while inbound.method != "HEAD" and (data := await answer.chunk()):
                await send({"type": "http.response.body", "body": data, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        except UpstreamError as error:
            # Half of the answer has left: without its end the server closes the connection, and the client sees it cut.
            log.warning("the control process broke off its answer", path=inbound.path, error=str(error))
        finally:
            answer.abort()

    async def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """Ask the control process itself. Raises `UpstreamError` while it is away."""
        headers: Headers = [(b"content-type", b"application/json")] if body else []
        answer = await self.upstream.send(UpstreamRequest(method, path, headers, body))
        return answer.status, await answer.read(64 * 1024 * 1024)


class ControlAway(MelioraError):
    """Say that the control process is away."""

    code = "control_away"
    status = 503


def plain_error(error: MelioraError) -> bytes:
    """Give the error body of every path that is not a model call."""
    body = {"error": {"code": error.code, "message": error.message, "hint": error.hint or None, "field": error.field}}
    return msgspec.json.encode(body)
