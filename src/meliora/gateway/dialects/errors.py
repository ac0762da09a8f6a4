"""A provider's error answers understood, and ours rendered so that each dialect's SDK raises its usual exceptions.

Decides nothing: whether to repeat or to fall back is the caller's, who reads `Fault`.
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from meliora.errors import (
    BodyTooLarge,
    BudgetExhausted,
    Conflict,
    Forbidden,
    MelioraError,
    ModelForbidden,
    NoEndpoint,
    NotFound,
    Overloaded,
    RateLimited,
    Unauthorized,
    UnknownModel,
    UntranslatableField,
    UpstreamTimeout,
)
from meliora.gateway.dialects.sse import encode_event
from meliora.gateway.upstream import Headers
from meliora.telemetry.records import Dialect

_MESSAGE_CHARS = 2000
_NO_THREADS = {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}
"""By this Anthropic's SDK knows that it has to send the whole conversation, and goes on without a thread."""
_RETRYABLE = frozenset((408, 409, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529))
_QUOTA_CODES = frozenset(
    (
        "insufficient_quota",
        "billing_error",
        "billing_hard_limit_reached",
        "billing_not_active",
        "quota_exceeded",
        "contract_spend_limit_reached",
        "enforced_spend_limit_reached",
        "linked_organization_spend_limit_reached",
        "insufficient_balance",
    )
)
_QUOTA_WORDS = (
    "credit balance is too low",
    "exceeded your current quota",
    "specified api usage limits",
    "billing hard limit",
    "spend limit",
    "insufficient balance",
    "insufficient credits",
)


class Fault(msgspec.Struct, frozen=True):
    """What a provider said went wrong. `retryable`: the same request may succeed later or elsewhere. `quota`: money
    or quota is used up, so that a repetition here cannot help. `retry_after` is in seconds."""

    status: int
    type: str
    code: str
    message: str
    retryable: bool
    quota: bool = False
    retry_after: float | None = None
    param: str | None = None


class _Shape(msgspec.Struct, frozen=True):
    """An error in both families' words."""

    status: int
    openai: str
    code: str
    anthropic_status: int
    anthropic: str


_SHAPES: tuple[tuple[type[MelioraError], _Shape], ...] = (
    (Unauthorized, _Shape(401, "invalid_request_error", "invalid_api_key", 401, "authentication_error")),
    (ModelForbidden, _Shape(403, "invalid_request_error", "model_forbidden", 403, "permission_error")),
    (Forbidden, _Shape(403, "permission_error", "forbidden", 403, "permission_error")),
    (UnknownModel, _Shape(404, "invalid_request_error", "model_not_found", 404, "not_found_error")),
    (NotFound, _Shape(404, "invalid_request_error", "not_found", 404, "not_found_error")),
    (Conflict, _Shape(409, "invalid_request_error", "conflict", 409, "invalid_request_error")),
    (BudgetExhausted, _Shape(429, "insufficient_quota", "insufficient_quota", 402, "billing_error")),
    (RateLimited, _Shape(429, "requests", "rate_limit_exceeded", 429, "rate_limit_error")),
    (BodyTooLarge, _Shape(413, "invalid_request_error", "body_too_large", 413, "request_too_large")),
    (Overloaded, _Shape(503, "server_error", "overloaded", 529, "overloaded_error")),
    (NoEndpoint, _Shape(503, "server_error", "no_endpoint", 529, "overloaded_error")),
    (UpstreamTimeout, _Shape(504, "server_error", "upstream_timeout", 504, "timeout_error")),
)
# Which `type` Anthropic gives a status, and OpenAI; anything else is an error of the server or of the request.
_ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_ANTHROPIC_STATUS = {name: status for status, name in _ANTHROPIC_TYPES.items()} | {"api_error": 500}
_OPENAI_CODES = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}


def classify(status: int, headers: Headers, body: bytes, *, now: float | None = None) -> Fault:
    """Read an error answer of either provider family; never raises.

    `now` (seconds since the epoch) is needed for a `retry-after` given as a date.
    """
    known = {name: value for name, value in headers if name in _READ_HEADERS}
    error = _error_of(_decode(body))
    fault = _fault(status, error, body)
    wish = known.get(b"x-should-retry")
    retryable = fault.retryable if wish is None else wish == b"true"
    wait = _retry_after(known, now)
    return msgspec.structs.replace(fault, retryable=retryable and not fault.quota, retry_after=wait)


_READ_HEADERS = frozenset((b"retry-after", b"retry-after-ms", b"x-should-retry"))


def fault_of(error: dict[str, Any], status: int | None = None) -> Fault:
    """Read an error object as it stands in a body or in a stream. Without a status, its type or code gives one."""
    return _fault(status if status is not None else _guess_status(error), error, b"")


def _fault(status: int, error: dict[str, Any], body: bytes) -> Fault:
    kind, code, message = _word(error.get("type")), _word(error.get("code")), _word(error.get("message"))
    if not message:
        message = _plain(body) or f"The provider answered with status {status}."
    quota = _is_quota(status, {kind, code}, message, error)
    return Fault(
        status=status,
        type=kind or ("server_error" if status >= 500 else "invalid_request_error"),
        code=code or kind,
        message=message[:_MESSAGE_CHARS],
        retryable=status in _RETRYABLE and not quota,
        quota=quota,
        param=_word(error.get("param")) or None,
    )


def _is_quota(status: int, words: set[str], message: str, error: dict[str, Any]) -> bool:
    if status == 402 or not words.isdisjoint(_QUOTA_CODES):
        return True
    if status not in (400, 403, 429) or error.get("status") == "RESOURCE_EXHAUSTED":
        return False  # Gemini says "quota" of a rate per minute, too
    lower = message.lower()
    return any(word in lower for word in _QUOTA_WORDS)


def _guess_status(error: dict[str, Any]) -> int:
    kind, code = _word(error.get("type")), _word(error.get("code"))
    status = error.get("status_code")
    if type(status) is int and 400 <= status <= 599:
        return status
    if code.isdecimal() and 400 <= int(code[:4]) <= 599:
        return int(code[:4])
    if kind in _ANTHROPIC_STATUS and kind != "invalid_request_error":
        return _ANTHROPIC_STATUS[kind]
    if {kind, code} & {"rate_limit_exceeded", "insufficient_quota", "requests", "tokens"}:
        return 429
    if kind == "invalid_request_error" or code in ("context_length_exceeded", "invalid_prompt", "content_filter"):
        return 400
    return 503 if code in ("overloaded", "server_overloaded") else 500


def _retry_after(headers: dict[bytes, bytes], now: float | None) -> float | None:
    for name, scale in ((b"retry-after-ms", 0.001), (b"retry-after", 1.0)):
        value = headers.get(name)
        if value is None:
            continue
        try:
            seconds = float(value) * scale
        except ValueError:
            continue
        if 0 <= seconds < 1e9:
            return seconds
    value = headers.get(b"retry-after")
    if value is None or now is None:
        return None
    try:
        return max(0.0, parsedate_to_datetime(value.decode("latin-1")).timestamp() - now)
    except (ValueError, OverflowError, IndexError):
        return None


def _decode(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _error_of(body: Any) -> dict[str, Any]:
    """Find the error object: `{"error": {...}}`, Gemini's list around it, FastAPI's `detail`, or a bare object."""
    if isinstance(body, list) and body:
        body = body[0]
    if not isinstance(body, dict):
        return {}
    error = body.get("error")
    if isinstance(error, dict):
        return error
    if isinstance(error, str):
        return {"message": error}
    detail = body.get("detail")
    return {"message": detail} if isinstance(detail, str) else body


def _word(value: Any) -> str:
    if isinstance(value, str):
        return value
    return str(value) if type(value) is int else ""


def _plain(body: bytes) -> str:
    """A body that is short plain text may speak for itself; a page of HTML or JSON without a message may not."""
    text = body[:400].decode("utf-8", "replace").strip()
    return "" if text[:1] in ("<", "{", "[") or not text.isprintable() else text


def status_for(dialect: Dialect, error: MelioraError) -> int:
    """Give the HTTP status under which the dialect's SDK expects such an error."""
    shape = _shape(error)
    if shape is None:
        return error.status
    return shape.anthropic_status if dialect == "messages" else shape.status


def render(dialect: Dialect, error: MelioraError, request_id: str) -> bytes:
    """Write the error body of the dialect's provider. The request id goes where the provider puts it, in the body of
    messages; OpenAI's belongs in the header `x-request-id`."""
    if dialect == "messages":
        return msgspec.json.encode(_messages_body(error, request_id))
    return msgspec.json.encode({"error": _openai_error(error)})


def render_stream_error(dialect: Dialect, error: MelioraError) -> bytes:
    """Write the error as an event inside a stream that has begun."""
    if dialect == "messages":
        return encode_event(msgspec.json.encode(_messages_body(error, None)), "error")
    return stream_error_event(dialect, _openai_error(error))


def stream_error_event(dialect: Dialect, error: dict[str, Any], sequence: int = 0) -> bytes:
    """Write an error object of the dialect as a stream's event."""
    if dialect == "messages":
        return encode_event(msgspec.json.encode({"type": "error", "error": error}), "error")
    if dialect != "responses":
        return encode_event(msgspec.json.encode({"error": error}))
    return encode_event(msgspec.json.encode(responses_error(error, sequence)), "error")


def responses_error(error: dict[str, Any], sequence: int) -> dict[str, Any]:
    """Give the `error` event of responses: flat as its type says, and nested, by which the SDK knows to raise."""
    flat = {"code": error.get("code"), "message": error.get("message") or "", "param": error.get("param")}
    return {"type": "error", **flat, "sequence_number": sequence, "error": error}


def translate_error(source: Dialect, target: Dialect, status: int, body: bytes) -> tuple[int, bytes]:
    """Turn a provider's error answer into the client's dialect; JSON is left untouched where both are of one family."""
    decoded = _decode(body)
    if (source == "messages") == (target == "messages") and isinstance(decoded, dict | list):
        return status, body
    fault = _fault(status, _error_of(decoded), body)
    status, error = fault_as(target, fault)
    if target != "messages":
        return status, msgspec.json.encode({"error": error})
    return status, msgspec.json.encode({"type": "error", "error": error})


def fault_as(target: Dialect, fault: Fault) -> tuple[int, dict[str, Any]]:
    """Give a fault's status and error object in a dialect's words."""
    if target == "messages":
        status = 402 if fault.quota else 529 if fault.status == 503 else fault.status
        kind = _ANTHROPIC_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
        return status, {"type": kind, "message": fault.message}
    if fault.quota:
        status, kind, code = 429, "insufficient_quota", "insufficient_quota"
    elif fault.status >= 500:
        status = 503 if fault.status == 529 else fault.status
        kind, code = "server_error", "overloaded" if fault.status == 529 else None
    else:
        status, code = fault.status, _OPENAI_CODES.get(fault.status)
        kind = "requests" if status == 429 else "permission_error" if status == 403 else "invalid_request_error"
        if status == 400 and "prompt is too long" in fault.message.lower():
            code = "context_length_exceeded"
    return status, {"message": fault.message, "type": kind, "param": fault.param, "code": code}


def _shape(error: MelioraError) -> _Shape | None:
    return next((shape for kind, shape in _SHAPES if isinstance(error, kind)), None)


def _openai_error(error: MelioraError) -> dict[str, Any]:
    shape = _shape(error)
    if shape is not None:
        kind, code = shape.openai, shape.code
    else:
        kind, code = "invalid_request_error" if error.status < 500 else "server_error", error.code
    return {"message": _printable(str(error)), "type": kind, "param": error.field, "code": code}


def _messages_body(error: MelioraError, request_id: str | None) -> dict[str, Any]:
    shape = _shape(error)
    kind = shape.anthropic if shape else _ANTHROPIC_TYPES.get(error.status, "")
    if not kind:
        kind = "api_error" if error.status >= 500 else "invalid_request_error"
    told: dict[str, Any] = {"type": kind, "message": _printable(str(error))}
    if isinstance(error, UntranslatableField) and error.field == "thread":
        told["details"] = _NO_THREADS
    body: dict[str, Any] = {"type": "error", "error": told}
    if request_id is not None:
        body["request_id"] = request_id
    return body


def _printable(text: str) -> str:
    """A message may quote what a client sent: lone surrogates cannot be written as UTF-8."""
    return text.encode("utf-8", "replace").decode()
