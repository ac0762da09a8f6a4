"""A request's body, from bytes to what a model must be able to do to serve it."""

from __future__ import annotations

from typing import Any

import msgspec

from meliora.errors import InvalidRequest
from meliora.gateway.dialects.inspect import RequestView
from meliora.gateway.dialects.lenient import decode, deeper_than
from meliora.telemetry.records import Dialect

_NOTHING_SPECIAL: frozenset[str] = frozenset()


def needs_of(view: RequestView, dialect: Dialect) -> frozenset[str]:
    """Name what a model must be able to do for this call."""
    if not (view.has_tools or view.has_images or view.has_schema or view.has_audio or dialect == "embeddings"):
        return _NOTHING_SPECIAL
    wanted = (
        ("embeddings", dialect == "embeddings"),
        ("tools", view.has_tools),
        ("vision", view.has_images),
        ("json_schema", view.has_schema),
        ("audio", view.has_audio),
    )
    return frozenset(name for name, is_wanted in wanted if is_wanted)


def parse_body(raw: bytes, depth: int) -> dict[str, Any]:
    """Decode a request's body. Raises `InvalidRequest` for what is no JSON object, or nested deeper than `depth`."""
    try:
        body = decode(raw)
    except RecursionError as error:
        raise InvalidRequest("The request body is nested too deeply.") from error
    except (msgspec.DecodeError, ValueError) as error:
        raise InvalidRequest(f"The request body is not valid JSON: {error}.") from error
    if not isinstance(body, dict):
        raise InvalidRequest("The request body is not a JSON object.")
    if raw.count(b"[") + raw.count(b"{") > depth and deeper_than(body, depth):
        raise InvalidRequest(f"The request body is nested deeper than {depth} levels.")
    return body
