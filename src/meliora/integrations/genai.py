"""A recorded call in OpenTelemetry's `gen_ai.*` conventions: plain names and values, no OpenTelemetry in here."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from meliora.store.calls.calls import Call, CallContent

Attributes = dict[str, str | bool | int | float | list[str]]

OTHER = "other"


def operation(call: Call) -> str:
    """Name what was done: `embeddings`, or `chat` for every dialect that converses."""
    return "embeddings" if call.dialect == "embeddings" else "chat"


def ids(call: Call) -> tuple[int, int, int | None]:
    """Give trace, span and parent as numbers; a call without recorded ids gets some that never change."""
    digest = hashlib.sha256(call.id.encode()).digest()
    trace = _hex(call.trace_id) or int.from_bytes(digest[:16], "big") or 1
    span = _hex(call.span_id) or int.from_bytes(digest[16:24], "big") or 1
    return trace, span, _hex(call.parent_span_id) or None


def attributes(call: Call) -> Attributes:
    """Describe a call. What is not known is left out."""
    found: dict[str, Any] = {
        "gen_ai.operation.name": operation(call),
        "gen_ai.provider.name": call.provider,
        "gen_ai.system": call.provider,  # the name before 2025, which some tools still read
        "gen_ai.request.model": call.model_asked,
        "gen_ai.response.model": call.model,
        "gen_ai.response.id": call.response_id,
        "gen_ai.response.finish_reasons": [call.finish_reason] if call.finish_reason else None,
        "gen_ai.usage.input_tokens": call.tokens_in,
        "gen_ai.usage.output_tokens": call.tokens_out,
        "gen_ai.usage.cache_read.input_tokens": call.tokens_cached,
        "gen_ai.conversation.id": call.session_id,
        "error.type": error_type(call),
        "http.response.status_code": call.status,
        "user.id": call.user_id,
        "session.id": call.session_id,
        "meliora.call.id": call.id,
        "meliora.tenant": call.tenant,
        "meliora.key.id": call.key_id,
        "meliora.endpoint": call.endpoint,
        "meliora.tier": call.tier,
        "meliora.task": call.task,
        "meliora.reason": call.reason,
        "meliora.feature": call.feature,
        "meliora.cost_usd": None if call.cost_micros is None else call.cost_micros / 1e6,
        "meliora.time_to_first_token_ms": None if call.ttft_us is None else call.ttft_us / 1e3,
        "meliora.cached": call.cached,
        "meliora.simulated": call.simulated,
        "meliora.trial": call.trial,
        "meliora.arm": call.arm,
        **{f"meliora.tag.{name}": value for name, value in (call.tags or {}).items()},
    }
    return {name: value for name, value in found.items() if value is not None}


def content_attributes(content: CallContent) -> Attributes:
    """Give request and answer as they were kept, for tools that show them."""
    found: Attributes = {}
    for name, text in (("input", content.request_text), ("output", content.response_text)):
        if text is not None:
            found[f"{name}.value"] = text
            found[f"{name}.mime_type"] = "application/json" if _is_json(text) else "text/plain"
    return found


def labels(call: Call) -> Attributes:
    """Describe a call for metrics: only what is bounded by the settings, never what a client makes up."""
    known = call.model is not None
    found = {
        "gen_ai.operation.name": operation(call),
        "gen_ai.provider.name": call.provider or OTHER,
        "gen_ai.request.model": call.model_asked if known else OTHER,
        "gen_ai.response.model": call.model or OTHER,
    }
    error = error_type(call)
    return {**found, "error.type": error} if error is not None else {**found}


def error_type(call: Call) -> str | None:
    """Name what went wrong; None for a call that went well."""
    if call.outcome == "ok":
        return None
    return call.error_code or call.outcome or "lost"


def _hex(text: str | None) -> int:
    try:
        return int(text, 16) if text else 0
    except ValueError:
        return 0


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except msgspec.MsgspecError:
        return False
    return True
