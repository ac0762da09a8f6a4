"""W3C trace context: read `traceparent`, and name this call's own span under it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

_HEX = frozenset("0123456789abcdef")


class Span(NamedTuple):
    """Ids of one call's span; `parent` is None where the call began its trace."""

    trace_id: str
    span_id: str
    parent: str | None
    traceparent: bytes
    """Header for the upstream: this span as the parent."""


def span_for(header: bytes | None, randbytes: Callable[[int], bytes]) -> Span:
    """Name a span under the client's; a malformed `traceparent` is ignored, as the specification asks (W3C Trace Context, 3.2)."""
    ids = randbytes(24)
    span_id = ids[:8].hex()
    if header is not None and len(header) >= 55:
        parts = header[:55].decode("latin-1").split("-")
        if len(parts) == 4 and _valid(parts) and (len(header) == 55 or (parts[0] != "00" and header[55:56] == b"-")):
            return Span(parts[1], span_id, parts[2], f"00-{parts[1]}-{span_id}-{parts[3]}".encode())
    trace_id = ids[8:].hex()
    return Span(trace_id, span_id, None, f"00-{trace_id}-{span_id}-01".encode())


def _valid(parts: list[str]) -> bool:
    version, trace, span, flags = parts
    return (
        (len(version), len(trace), len(span), len(flags)) == (2, 32, 16, 2)
        and version != "ff"
        and _HEX.issuperset(version + trace + span + flags)
        and trace != "0" * 32
        and span != "0" * 16
    )
