"""What the heads of answers say: which call, which model and why, and what of the upstream's own head is given on."""

from __future__ import annotations

from meliora.errors import MelioraError
from meliora.gateway.call import Call
from meliora.gateway.upstream import Headers

_PASSED_BACK = frozenset(
    (
        b"x-request-id",
        b"request-id",
        b"retry-after",
        b"retry-after-ms",
        b"x-should-retry",
        b"openai-processing-ms",
        b"openai-version",
    )
)
_PASSED_BACK_PREFIXES = (b"x-ratelimit-", b"anthropic-ratelimit-")


def answer_headers(call: Call, upstream: Headers | None) -> Headers:
    """Say what is known of the call by now; `upstream` is the upstream's head, once there is one."""
    headers: Headers = [(b"x-meliora-call", call.id.encode())]
    if call.decision is not None:
        headers.append((b"x-meliora-model", _ascii(call.model)))
        headers.append((b"x-meliora-reason", _ascii(call.reason)))
    if call.loss:
        headers.append((b"x-meliora-loss", _ascii(",".join(call.loss))))
    if call.endpoint is not None and call.endpoint.account.simulated:
        headers.append((b"x-meliora-simulated", b"true"))
    if call.span is not None:
        headers.append((b"traceparent", call.span.traceparent))
    if upstream is not None:
        headers.extend(
            (name, value) for name, value in upstream if name in _PASSED_BACK or name.startswith(_PASSED_BACK_PREFIXES)
        )
    return headers


def retry_after(error: MelioraError) -> Headers:
    """Say when to come back, where the error knows."""
    if error.retry_after is None:
        return []
    return [(b"retry-after", b"%d" % max(1, round(error.retry_after)))]


def content_type(headers: Headers) -> bytes:
    """Give the type of a body; JSON where none is named."""
    return next((value for name, value in headers if name == b"content-type"), b"application/json")


def _ascii(text: str) -> bytes:
    return text.encode("ascii", "replace").replace(b"\n", b" ").replace(b"\r", b" ")
