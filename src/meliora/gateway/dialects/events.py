"""Questions about the events of a stream that passes by: is this content, is it an error, is it only usage?

Each begins with a search for bytes that settles the common case; JSON is parsed only where it does not.
"""

from __future__ import annotations

from typing import Any

import msgspec

from meliora.gateway.dialects import lenient
from meliora.gateway.dialects.errors import Fault, fault_of
from meliora.gateway.dialects.sse import iter_events, split_events
from meliora.telemetry.records import Dialect

__all__ = ["Fault", "drop_usage_only", "has_content", "is_usage_only", "stream_error"]

_QUIET_RESPONSES = frozenset(
    (
        "response.created",
        "response.queued",
        "response.in_progress",
        "response.failed",
        "response.content_part.added",
        "response.reasoning_summary_part.added",
        "error",
    )
)
_QUIET_BLOCKS = ("text", "thinking")


def decode(data: bytes) -> dict[str, Any] | None:
    """Decode an event's data, None for what is no JSON object."""
    try:
        value = lenient.decode(data)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def has_content(dialect: Dialect, event_bytes: bytes) -> bool:
    """Say whether any of these events carries something of the answer, or its end: from there on no other model may
    take over. Roles, pings, comments, starts of empty parts and errors are not content."""
    if dialect == "chat":
        at = event_bytes.find(b'"content":"')
        if at >= 0 and event_bytes[at + 11 : at + 12] != b'"':
            return True
    elif dialect == "messages":
        if b"content_block_delta" in event_bytes and b':""' not in event_bytes and b': ""' not in event_bytes:
            return True
    elif dialect == "responses" and b'.delta"' in event_bytes and b'"delta":""' not in event_bytes:
        return True
    ask = _CONTENT[dialect]
    for event in iter_events(event_bytes):
        body = decode(event.data)
        if body is not None and ask(body):
            return True
    return False


def _chat_content(body: dict[str, Any]) -> bool:
    choices = body.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if not isinstance(choice, dict):
            continue
        if choice.get("finish_reason") is not None or choice.get("text"):
            return True
        delta = choice.get("delta")
        if isinstance(delta, dict) and any(value for name, value in delta.items() if name != "role"):
            return True
    return False


def _messages_content(body: dict[str, Any]) -> bool:
    kind = body.get("type")
    if kind == "content_block_delta":
        delta = body.get("delta")
        return isinstance(delta, dict) and any(value for name, value in delta.items() if name != "type")
    if kind == "content_block_start":
        block = body.get("content_block")
        if not isinstance(block, dict):
            return False
        return block.get("type") not in _QUIET_BLOCKS or bool(block.get("text") or block.get("thinking"))
    return kind in ("message_delta", "message_stop")


def _responses_content(body: dict[str, Any]) -> bool:
    kind = body.get("type")
    if not isinstance(kind, str) or kind in _QUIET_RESPONSES:
        return False
    if kind.endswith(".delta"):
        return bool(body.get("delta"))
    if kind == "response.output_item.added":
        item = body.get("item")
        return isinstance(item, dict) and item.get("type") not in ("message", "reasoning")
    return True


def _embeddings_content(body: dict[str, Any]) -> bool:
    return bool(body)


_CONTENT = {
    "chat": _chat_content,
    "messages": _messages_content,
    "responses": _responses_content,
    "embeddings": _embeddings_content,
}


def stream_error(dialect: Dialect, event_bytes: bytes) -> Fault | None:
    """Give the first error that the provider reports inside its stream, None where there is none."""
    if b'"error"' not in event_bytes and b"response.failed" not in event_bytes and b"event: error" not in event_bytes:
        return None
    for event in iter_events(event_bytes):
        body = decode(event.data)
        if body is None:
            if event.event == "error":
                return fault_of({"message": event.data[:400].decode("utf-8", "replace")}, 502)
            continue
        error = error_in(dialect, body)
        if error is not None:
            return fault_of(error)
    return None


def error_in(dialect: Dialect, body: dict[str, Any]) -> dict[str, Any] | None:
    """Give the error object of a decoded event, None where it is no error."""
    if dialect == "responses" and body.get("type") == "response.failed":
        response = body.get("response")
        error = response.get("error") if isinstance(response, dict) else None
        return error if isinstance(error, dict) else {"message": "The response failed."}
    error = body.get("error")
    if isinstance(error, dict):
        return error
    if body.get("type") == "error":
        return body | {"type": ""} if dialect == "responses" else body
    return {"message": error} if isinstance(error, str) and error and "choices" not in body else None


def is_usage_only(event_bytes: bytes) -> bool:
    """Say whether a chat event holds nothing but usage: a client that did not ask for it must not see it."""
    if b'"choices":[]' not in event_bytes and b'"choices": []' not in event_bytes:
        return False
    if b'"usage"' not in event_bytes:
        return False
    bodies = [decode(event.data) for event in iter_events(event_bytes)]
    return bool(bodies) and all(
        body is not None and body.get("choices") == [] and isinstance(body.get("usage"), dict) for body in bodies
    )


def drop_usage_only(events: bytes) -> bytes:
    """Take the usage-only events out of a run of chat events; the others stay byte for byte."""
    if b'"choices":[]' not in events and b'"choices": []' not in events:
        return events
    return b"".join(event for event in split_events(events) if not is_usage_only(event))
