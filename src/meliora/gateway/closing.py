"""The end of a stream, told from its bytes: which event closes it."""

from __future__ import annotations

from meliora.telemetry.records import Dialect


def terminal(dialect: Dialect, events: bytes) -> bool:
    """Whether the closing event of the dialect is among these whole events."""
    if dialect == "chat":
        return b"[DONE]" in events and _line(events, b"data:", b"[DONE]")
    if dialect == "messages":
        return b"message_stop" in events and _line(events, b"event:", b"message_stop")
    return any(
        kind in events and _line(events, b"event:", kind)
        for kind in (b"response.completed", b"response.incomplete", b"response.failed")
    )


def _line(events: bytes, field: bytes, value: bytes) -> bool:
    """Whether a line says exactly that; the same bytes inside a text do not count."""
    return any(line.startswith(field) and line[len(field) :].strip() == value for line in events.splitlines())
