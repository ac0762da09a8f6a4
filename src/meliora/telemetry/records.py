"""The records of a call as they stand in the spool: plain data, no behaviour.

A record is one msgspec struct, written as JSON. Times are integer microseconds since the epoch (UTC), money is integer
micro-dollars, `None` means "not known" and is never the same as zero.
"""

from __future__ import annotations

from typing import Literal

import msgspec

FORMAT = 1
"""Version of the record format. An ingester refuses a record of a newer format and leaves it in the spool."""

Dialect = Literal["chat", "responses", "messages", "embeddings"]
"""The wire format a client speaks: OpenAI chat completions, OpenAI responses, Anthropic messages, OpenAI embeddings."""

Outcome = Literal["ok", "error", "cancelled"]
"""`cancelled`: the client left before the answer was whole."""

UsageSource = Literal["provider", "estimated", "none"]


class Attempt(msgspec.Struct, frozen=True, omit_defaults=True):
    """One try at one endpoint. `status` is None where no answer came; `error` is a code of `errors`."""

    endpoint: str
    model: str
    started_us: int
    ended_us: int
    status: int | None = None
    error: str | None = None


class Usage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Tokens of a call. `input` counts all prompt tokens, `cached` and `cache_write` are parts of it; `reasoning` is a part of `output`."""

    input: int | None = None
    output: int | None = None
    cached: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None


class CallBegun(msgspec.Struct, frozen=True, omit_defaults=True, tag="begun", tag_field="t"):
    """A call was accepted. Stays the only record of a call whose gateway was killed."""

    id: str
    tenant: str
    key_id: str
    gateway: str
    started_us: int
    dialect: Dialect
    model_asked: str
    stream: bool = False
    user: str | None = None
    session: str | None = None
    v: int = FORMAT


class CallFinished(msgspec.Struct, frozen=True, omit_defaults=True, tag="finished", tag_field="t"):
    """All that is known of a call once its last bytes are ready to leave."""

    id: str
    tenant: str
    key_id: str
    gateway: str
    started_us: int
    ended_us: int
    dialect: Dialect
    model_asked: str
    outcome: Outcome
    status: int
    """HTTP status the client saw."""
    stream: bool = False
    model: str | None = None
    """The model that answered; None where none did."""
    provider: str | None = None
    endpoint: str | None = None
    tier: str | None = None
    task: str | None = None
    reason: str = ""
    """Why this model: `asked`, `alias:NAME`, `rule:ID`, `tier:NAME`, `classifier:TIER`, `fallback:...`, `cache`."""
    rule_id: str | None = None
    observed_model: str | None = None
    """With `mode = observe`: what would have been chosen."""
    confidence: float | None = None
    attempts: tuple[Attempt, ...] = ()
    ttft_us: int | None = None
    """From acceptance to the first content byte for the client; None without a stream."""
    overhead_us: int | None = None
    """Time not spent waiting for an upstream."""
    usage: Usage | None = None
    usage_source: UsageSource = "none"
    cost_micros: int | None = None
    """Micro-dollars; None where a price or the usage is unknown."""
    error_code: str | None = None
    error_message: str | None = None
    finish_reason: str | None = None
    response_id: str | None = None
    """The id inside the answer (`chatcmpl-...`, `msg_...`, `resp_...`)."""
    message_id: str | None = None
    """The application's own id for the message, where it sent one."""
    user: str | None = None
    session: str | None = None
    feature: str | None = None
    tags: dict[str, str] = {}
    trace_id: str | None = None
    span_id: str | None = None
    parent_span_id: str | None = None
    request_bytes: int = 0
    response_bytes: int = 0
    chunks: int = 0
    prompt_hash: str | None = None
    """Keyed hash of the prompt text: equal prompts of one deployment have equal hashes."""
    features: dict[str, float] = {}
    cached: bool = False
    simulated: bool = False
    loss: tuple[str, ...] = ()
    """Fields dropped in translation, where the key allows loss."""
    content: Literal["off", "redacted", "full"] = "off"
    request_text: str | None = None
    """The request body, masked unless `content` is `full`; None where content is off."""
    response_text: str | None = None
    truncated: bool = False
    """The text above was cut at the configured size."""
    masked: int = 0
    """How many places were masked."""
    v: int = FORMAT


Record = CallBegun | CallFinished
