"""What the dialects' renderings share: an event, the marks of an answer, and the dialects' shapes of an error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from meliora.telemetry.records import Dialect


@dataclass(frozen=True)
class Event:
    """One event of a stream as it goes over the wire. `content`: it carries a part of the answer."""

    data: bytes
    content: bool = False


@dataclass(frozen=True)
class Marks:
    """What tells one answer from another: the hex part of its ids, and when it was made."""

    suffix: str
    created_us: int

    @property
    def created(self) -> int:
        """Seconds since the epoch."""
        return self.created_us // 1_000_000


@dataclass(frozen=True)
class Problem:
    """An error as a provider tells it. `kind` is the dialect's own word; empty: the usual one for the status."""

    status: int
    message: str
    kind: str = ""
    code: str | None = None
    field: str | None = None


_OPENAI = {
    400: "invalid_request_error",
    401: "invalid_request_error",
    402: "insufficient_quota",
    403: "invalid_request_error",
}
_OPENAI |= {404: "invalid_request_error", 429: "requests", 503: "service_unavailable_error"}
_OPENAI_CODES = {401: "invalid_api_key", 402: "insufficient_quota", 404: "model_not_found", 429: "rate_limit_exceeded"}
_ANTHROPIC = {400: "invalid_request_error", 401: "authentication_error", 402: "billing_error", 403: "permission_error"}
_ANTHROPIC |= {
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def event(payload: Any, name: str | None = None, *, content: bool = False) -> Event:
    """Make an event of a JSON payload."""
    head = b"event: " + name.encode() + b"\n" if name else b""
    return Event(head + b"data: " + msgspec.json.encode(payload) + b"\n\n", content)


def problem_body(dialect: Dialect, problem: Problem, request_id: str) -> bytes:
    """Render an error as the body of an answer."""
    if dialect == "messages":
        kind = problem.kind or _ANTHROPIC.get(problem.status, "api_error")
        error: dict[str, Any] = {"type": kind, "message": problem.message}
        return msgspec.json.encode({"type": "error", "error": error, "request_id": request_id})
    return msgspec.json.encode({"error": _openai(problem)})


def problem_event(dialect: Dialect, problem: Problem, sequence: int) -> Event:
    """Render an error as it comes in the middle of a stream. `sequence`: its number, where events have one."""
    if dialect == "messages":
        kind = problem.kind or _ANTHROPIC.get(problem.status, "api_error")
        return event({"type": "error", "error": {"type": kind, "message": problem.message}}, "error")
    if dialect == "responses":
        told = {"code": problem.code or "server_error", "message": problem.message, "param": problem.field}
        return event({"type": "error", **told, "sequence_number": sequence}, "error")
    return event({"error": _openai(problem)})


def _openai(problem: Problem) -> dict[str, Any]:
    kind = problem.kind or _OPENAI.get(problem.status, "server_error")
    code = problem.code or _OPENAI_CODES.get(problem.status)
    return {"message": problem.message, "type": kind, "param": problem.field, "code": code}
