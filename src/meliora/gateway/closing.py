"""The end of a stream, told from its bytes: which event closes it."""

from __future__ import annotations

from meliora.gateway.dialects.events import decode
from meliora.gateway.dialects.sse import iter_events
from meliora.telemetry.records import Dialect

_CLOSING: dict[Dialect, tuple[bytes, ...]] = {
    "messages": (b"message_stop",),
    "responses": (b"response.completed", b"response.incomplete", b"response.failed"),
}


def terminal(dialect: Dialect, events: bytes) -> bool:
    """Whether the closing event of the dialect is among these whole events, told by its `event` line or by its data alone."""
    if dialect == "chat":
        return b"[DONE]" in events and _line(events, b"data:", b"[DONE]")
    return any(
        kind in events and (_line(events, b"event:", kind) or _typed(events, kind.decode()))
        for kind in _CLOSING.get(dialect, ())
    )


def completed(dialect: Dialect, tail: bytes) -> bytes:
    """Give what follows a stream's last blank line, ended properly, if it is the closing event written whole; else nothing.

    Some servers end with `data: [DONE]` and no blank line behind it.
    """
    if not tail.strip() or not terminal(dialect, tail):
        return b""
    event = tail.rstrip(b"\r\n") + b"\n\n"
    whole = all(one.data == b"[DONE]" or decode(one.data) is not None for one in iter_events(event))
    return event if whole and b"data:" in event else b""


def _line(events: bytes, field: bytes, value: bytes) -> bool:
    """Whether a line says exactly that; the same bytes inside a text do not count."""
    return any(line.startswith(field) and line[len(field) :].strip() == value for line in events.splitlines())


def _typed(events: bytes, kind: str) -> bool:
    """Whether the data of an event says so, as servers write it that leave the `event` line out."""
    bodies = (decode(event.data) for event in iter_events(events) if event.event is None)
    return any(body is not None and body.get("type") == kind for body in bodies)
