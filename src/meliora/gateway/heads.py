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
        headers += ((b"x-meliora-model", _ascii(call.model)), (b"x-meliora-reason", _ascii(call.reason)))
    if call.loss:
        headers.append((b"x-meliora-loss", _ascii(",".join(call.loss))))
    if call.endpoint is not None and call.endpoint.account.simulated:
        headers.append((b"x-meliora-simulated", b"true"))
    if call.span is not None:
        headers.append((b"traceparent", call.span.traceparent))
    if upstream is not None:
        headers += [one for one in upstream if one[0] in _PASSED_BACK or one[0].startswith(_PASSED_BACK_PREFIXES)]
    return headers


def retry_after(error: MelioraError) -> Headers:
    """Say when to come back, where the error knows."""
    if error.retry_after is None:
        return []
    return [(b"retry-after", b"%d" % max(1, round(error.retry_after)))]


def content_type(headers: Headers) -> bytes:
    """Give the type of a body; JSON where none is named."""
    for name, value in headers:
        if name == b"content-type":
            return value
    return b"application/json"


def _ascii(text: str) -> bytes:
    raw = text.encode("ascii", "replace")
    return raw if text.isprintable() else raw.replace(b"\n", b" ").replace(b"\r", b" ")
