"""The records of calls and searches as they stand in the spool: plain data, no behaviour.

A record is one msgspec struct, written as JSON. Times are integer microseconds since the epoch (UTC), money is integer
micro-dollars, `None` means "not known" and is never the same as zero.
"""

from __future__ import annotations

from typing import Literal

import msgspec

FORMAT = 3
"""Version of the record format; 2 brought shadows, 3 searches. An ingester refuses a newer one and leaves it in the spool."""

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


class RoutedCandidate(msgspec.Struct, frozen=True, array_like=True):
    """A model that a decision weighed. Written as a list: there are many of them."""

    model: str
    intended: float
    """Probability of being chosen by the policy and its exploration, before this call's constraints."""
    served: float
    """Probability of being chosen after them, and after what failed; what an estimate from logged calls divides by."""
    quality: float | None
    """Predicted, in [0, 1]; None for a model that the policy does not know."""
    cost_micros: int | None
    """Predicted cost of the call; None where it is unknown."""


class RoutingTrace(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a learned policy decided: all that learning from the outcome takes, and no content."""

    snapshot: int
    """Number of the policy's snapshot."""
    trunk: str
    """Id of what made `phi`; vectors of different trunks cannot be compared."""
    phi: bytes
    """The prompt as the policy saw it: float16, little-endian; base64 in JSON."""
    candidates: tuple[RoutedCandidate, ...]
    chosen: str
    """The model that the policy came to, whichever answered in the end."""
    explored: bool = False
    """It was drawn in order to learn, not because it looked best."""
    dial: str = ""
    """What weighed quality against cost: `floor:0.98` or `pay:0.05`, with `;pace:0.40` where the day's budget slowed it."""
    decided_by: str = "policy"
    """`policy`; `observe` where the call went elsewhere; `cascade` where cheaper models were asked first."""


class Leg(msgspec.Struct, frozen=True, omit_defaults=True):
    """One model's part in a call that asked several. Its cost is within the call's."""

    model: str
    started_us: int
    ended_us: int
    endpoint: str | None = None
    status: int | None = None
    error: str | None = None
    usage: Usage | None = None
    cost_micros: int | None = None
    """Micro-dollars; 0 where nothing was answered, None where a price or the usage is unknown."""
    accepted: bool = False
    """Its answer went to the client."""


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
    """The model that answered, or was at work when the client left; None where none was."""
    provider: str | None = None
    endpoint: str | None = None
    tier: str | None = None
    task: str | None = None
    reason: str = ""
    """Why this model: `asked`, `alias:NAME`, `rule:ID`, `tier:NAME`, `classifier:TIER`, `policy:NUMBER`, `escalated:TIER`, `fallback:...`,
    `cache`."""
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
    routing: RoutingTrace | None = None
    """Where a learned policy decided, or would have."""
    legs: tuple[Leg, ...] = ()
    """The models of a cascade; `usage` and `cost_micros` are their sums. Empty for a call that asked one model."""
    trial: str | None = None
    """The change on trial, or under watch, that the call counts for; None: for none."""
    trial_phase: Literal["shadow", "trial", "watch"] | None = None
    trial_stage: int | None = None
    arm: Literal["candidate", "baseline"] | None = None
    trial_unit: str | None = None
    """Kind (`u`, `s`, `k`) and hash of the user, session or key that was put in the arm: tells nothing outside its trial."""
    v: int = FORMAT


class ShadowBegun(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="shadow_begun", tag_field="t"):
    """A call is about to be made whose answer nobody is shown. Stays its only record where its gateway was killed."""

    id: str
    parent: str
    """The call that was answered."""
    parent_us: int
    """When that began: what its person had erased since is erased of both."""
    tenant: str
    gateway: str
    started_us: int
    trial: str
    stage: int
    unit: str
    user: str | None = None
    v: int
    """Always written: an ingester that knows no shadows leaves the record where it is."""


class Shown(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a shadow is held against: the call that was answered."""

    outcome: Outcome
    model: str | None = None
    cost_micros: int | None = None
    latency_us: int = 0


class Shadow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="shadow", tag_field="t"):
    """What a candidate would have answered to a call. No ordinary call: nothing of ordinary traffic counts it."""

    id: str
    parent: str
    parent_us: int
    tenant: str
    gateway: str
    started_us: int
    trial: str
    stage: int
    unit: str
    user: str | None = None
    shown: Shown
    call: CallFinished | None = None
    """The call that was made; None where the candidate decided as the baseline did, and the one answer stands for both."""
    v: int
    """Always written, as in `ShadowBegun`."""


class SearchDone(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="search", tag_field="t"):
    """All that is known of a search once its answer is ready. Written before the answer is given."""

    id: str
    tenant: str
    key_id: str
    gateway: str
    """The process that answered."""
    collection: str
    started_us: int
    ended_us: int
    outcome: Literal["ok", "error"]
    error_code: str | None = None
    user: str | None = None
    session: str | None = None
    feature: str | None = None
    snapshot: int = 0
    generation: str = ""
    query_hash: str | None = None
    """Keyed hash of the query: equal queries of one deployment have equal hashes."""
    content: Literal["off", "redacted", "full"] = "off"
    query: str | None = None
    """Masked unless `content` is `full`; None where content is off, as are the words below."""
    terms: tuple[str, ...] | None = None
    """Analysed words of the query."""
    written: tuple[str, ...] | None = None
    """Its words as they were written."""
    unknown: tuple[str, ...] | None = None
    """Analysed words that no passage has."""
    shown: tuple[str, ...] = ()
    """Ids of the documents that were given, in order."""
    stages_us: dict[str, int] = {}
    skipped: dict[str, str] = {}
    """Stages that should have run and could not, with the reason."""
    trial: str | None = None
    """The change on trial, or under watch, that the search counts for; None: for none."""
    trial_phase: Literal["shadow", "trial", "watch"] | None = None
    trial_stage: int | None = None
    arm: Literal["candidate", "baseline"] | None = None
    trial_unit: str | None = None
    v: int
    """Always written: an ingester that knows no searches leaves the record where it is."""


Record = CallBegun | CallFinished | ShadowBegun | Shadow | SearchDone
