"""What can be set: one model a section, one line of meaning a setting.

Reads nothing itself; `load` does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from meliora.settings.knowledge import Knowledge
from meliora.settings.loop import Loop
from meliora.settings.routing import Routing
from meliora.settings.section import Name, Seconds, Section, Tier

__all__ = [
    "Gateway",
    "Knowledge",
    "Loop",
    "Model",
    "Name",
    "Price",
    "Provider",
    "Routing",
    "Rule",
    "Section",
    "Settings",
    "Tier",
]

Capability = Literal["tools", "vision", "json_schema", "audio", "embeddings", "reasoning"]
UsdPerMillion = Annotated[float, Field(ge=0)]


class Server(Section):
    """Where Meliora listens and keeps its state."""

    host: str = Field(
        default="127.0.0.1", description="Address the gateway binds. Other machines reach it only if you widen this."
    )
    port: int = Field(
        default=8700, ge=0, le=65535, description="The one port that users see. 0 lets the system choose."
    )
    state_dir: Path = Field(
        default=Path("var"), description="Directory of everything Meliora keeps: database, spool, keys, backups."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severe level that is logged."
    )
    log_format: Literal["json", "text"] = Field(default="json", description="`json` for machines, `text` for people.")
    drain_seconds: Seconds = Field(
        default=30, description="How long SIGTERM waits for calls in flight before it cuts them."
    )


class Store(Section):
    """Where records and configuration rows live."""

    url: str = Field(
        default="",
        description="SQLAlchemy URL. Empty: SQLite in the state directory. `postgresql+psycopg://...` for many gateways.",
    )
    pool_size: int = Field(default=5, ge=1, le=100, description="Connections a process keeps to PostgreSQL.")


class Timeouts(Section):
    """How long an upstream may take. A passed limit counts as a fault of the endpoint, and the next one is tried."""

    connect: Seconds = Field(default=5, description="Seconds to open a connection, TLS included.")
    first_byte: Seconds = Field(
        default=120, description="Seconds from the request's last byte to the answer's headers."
    )
    stall: Seconds = Field(default=60, description="Seconds of silence between two chunks of a body.")
    total: Seconds = Field(default=900, description="Seconds for the whole answer of one attempt.")


class Retry(Section):
    """What is repeated, and how much of it."""

    attempts: int = Field(
        default=3, ge=1, le=10, description="Most attempts a call may make, over all endpoints and fallbacks."
    )
    budget_ratio: float = Field(
        default=0.2, ge=0, le=1, description="Retries allowed as a share of the calls of the last ten seconds."
    )
    budget_floor: float = Field(default=5, ge=0, description="Retries a second that are allowed whatever the share.")
    backoff: Seconds = Field(
        default=0.2,
        description="Seconds before the first repetition at the same endpoint; doubled each time, with jitter.",
    )
    backoff_max: Seconds = Field(default=5, description="Longest wait before a repetition.")
    retry_after_max: Seconds = Field(
        default=10,
        description="Longest `retry-after` that is waited for; a longer one goes to the next endpoint, or to the client.",
    )


class Breaker(Section):
    """When an endpoint is taken out, and how it comes back."""

    window: Seconds = Field(default=30, description="Seconds over which failures are counted.")
    min_calls: int = Field(default=10, ge=1, description="Calls in the window before the breaker may open.")
    failure_ratio: float = Field(default=0.5, gt=0, le=1, description="Share of failures at which it opens.")
    open_seconds: Seconds = Field(
        default=10,
        description="Seconds it stays open before one call may probe; doubled up to 8 times as long while probes fail.",
    )


class Limits(Section):
    """What the gateway accepts."""

    body_bytes: int = Field(default=32 * 1024 * 1024, ge=1024, description="Largest request body.")
    header_bytes: int = Field(default=32 * 1024, ge=1024, description="Largest request head.")
    response_bytes: int = Field(default=64 * 1024 * 1024, ge=1024, description="Largest answer that is not a stream.")
    concurrent_calls: int = Field(
        default=2000, ge=1, description="Calls in flight; more are refused with 503 and `retry-after`."
    )
    client_stall: Seconds = Field(
        default=60, description="Seconds a client may stop reading before its call is cancelled."
    )
    json_depth: int = Field(default=128, ge=8, le=512, description="Deepest nesting of a request body.")


class Cache(Section):
    """The exact-match response cache."""

    enabled: bool = Field(default=False, description="Answer an equal request of the same tenant from memory.")
    ttl: Seconds = Field(default=86400, description="Seconds an answer is kept.")
    ttl_code: Seconds = Field(default=3600, description="Seconds an answer of the code tier is kept.")
    max_bytes: int = Field(
        default=64 * 1024 * 1024, ge=0, description="Memory the cache may take; the least recently used go first."
    )
    max_entry_bytes: int = Field(default=1024 * 1024, ge=0, description="Largest answer that is kept.")


class Gateway(Section):
    """The request path."""

    mode: Literal["serve", "observe"] = Field(
        default="serve", description="`observe` records what would have been chosen and never changes a call."
    )
    keepalive: Seconds = Field(
        default=10,
        description="Seconds of silence after which a stream's client gets a keep-alive in its dialect's form; 0 for none.",
    )
    idempotency_ttl: Seconds = Field(
        default=600, description="Seconds an answer is kept for a repeated `idempotency-key`."
    )
    idempotency_wait: Seconds = Field(
        default=120,
        description="Seconds a repetition waits for the first call under its `idempotency-key`; then a 409 says that it still runs.",
    )
    anonymous: bool = Field(
        default=False, description="Serve calls that carry no key, as tenant `default`. For one machine only."
    )
    budget_without_store: Literal["allow", "deny"] = Field(
        default="allow",
        description="What a key with a budget may do when its slice is used up and the store cannot grant another.",
    )
    budget_slice: float = Field(
        default=0.05, gt=0, le=1, description="Share of a budget that a gateway leases at a time."
    )
    timeouts: Timeouts = Timeouts()
    retry: Retry = Retry()
    breaker: Breaker = Breaker()
    limits: Limits = Limits()
    cache: Cache = Cache()


class Recording(Section):
    """What is kept of a call."""

    content: Literal["off", "redacted", "full"] = Field(
        default="redacted",
        description="Prompts and answers: not kept, kept with secrets and personal data masked, or kept as they are.",
    )
    content_bytes: int = Field(
        default=65536, ge=0, description="Longest text kept of a request or an answer; the rest is cut, and marked so."
    )
    retention_days: float = Field(default=90, gt=0, description="Days that calls are kept; roll-ups stay.")
    content_retention_days: float = Field(default=30, gt=0, description="Days that content is kept.")
    segment_bytes: int = Field(
        default=16 * 1024 * 1024, ge=65536, description="Size at which a spool segment is closed."
    )
    spool_max_bytes: int = Field(
        default=4 * 1024**3,
        ge=1024 * 1024,
        description="Largest spool while the store is away; past it records are dropped, counted and shouted about.",
    )
    ingest_interval: Seconds = Field(default=0.5, description="Seconds between two looks of the ingester at the spool.")


class Price(Section):
    """US dollars a million tokens. What is left out is unknown (not free).

    `cached_input` and `reasoning` fall back to `input` and `output`.
    """

    input: UsdPerMillion | None = Field(default=None, description="Prompt tokens.")
    output: UsdPerMillion | None = Field(default=None, description="Answer tokens.")
    cached_input: UsdPerMillion | None = Field(
        default=None, description="Prompt tokens read from the provider's cache."
    )
    cache_write: UsdPerMillion | None = Field(
        default=None, description="Prompt tokens written to the provider's cache."
    )
    reasoning: UsdPerMillion | None = Field(
        default=None, description="Reasoning tokens, where they differ from `output`."
    )
    batch_input: UsdPerMillion | None = Field(default=None, description="Prompt tokens of batch calls.")
    batch_output: UsdPerMillion | None = Field(default=None, description="Answer tokens of batch calls.")


class Provider(Section):
    """An upstream account: where it is, how it is spoken to, with which key."""

    kind: Literal["openai", "anthropic", "simulated"] = Field(
        default="openai", description="Dialect: any OpenAI-compatible service, Anthropic, or the built-in simulation."
    )
    base_url: str = Field(
        default="", description="Address up to and including the version, e.g. `https://api.openai.com/v1`."
    )
    api_key: str = Field(
        default="",
        description="Reference to the key: `env:NAME` or `file:PATH`. Never the key itself. Empty: none is sent.",
    )
    auth_header: str = Field(
        default="",
        description="Header that carries the key. Empty: `authorization: Bearer` (openai) or `x-api-key` (anthropic). Azure: `api-key`.",
    )
    headers: dict[str, str] = Field(
        default={}, description="Headers added to each request (a value may be a reference as in `api_key`)."
    )
    query: dict[str, str] = Field(
        default={}, description="Query parameters added to each request, e.g. Azure's `api-version`."
    )
    models: list[Name] = Field(
        default=[], description="Models served under their own names; each gets an endpoint here."
    )
    passthrough: bool = Field(default=False, description="Also serve `PROVIDER/MODEL` for any model name.")
    responses: bool = Field(
        default=True,
        description="The upstream has `/responses`; otherwise such calls are translated to chat completions.",
    )
    stream_usage: bool = Field(default=True, description="The upstream accepts `stream_options.include_usage`.")
    max_tokens_field: Literal["max_completion_tokens", "max_tokens"] = Field(
        default="max_completion_tokens",
        description="Field that limits the answer when a call is translated to chat completions.",
    )
    weight: float = Field(default=1, ge=0, description="Share of calls among the endpoints of one model.")
    max_connections: int = Field(default=1000, ge=1, description="Most connections to this provider.")
    proxy: str = Field(default="", description="HTTP proxy, e.g. `http://proxy:3128`.")
    ca_file: str = Field(
        default="", description="PEM file of the certificate authority that signs this upstream, besides the system's."
    )
    timeouts: Timeouts | None = Field(default=None, description="Timeouts of this provider in place of the gateway's.")
    region: str = Field(default="", description="Where it processes data, e.g. `eu`; keys may be confined to regions.")
    prices_from: str = Field(
        default="", description="Provider id in genai-prices; empty: found by base URL and model name."
    )


class EndpointRef(Section):
    """One way to reach a model."""

    provider: Name = Field(description="Name of a `[providers.NAME]` section.")
    model: str = Field(default="", description="Name the provider knows it by; empty: the model's own name.")
    weight: float | None = Field(default=None, ge=0, description="Share of calls; empty: the provider's weight.")


class Model(Section):
    """A model that clients may ask for."""

    endpoints: list[EndpointRef] = Field(
        default=[], description="Where it is served; several are balanced by weight and health."
    )
    tier: Tier | None = Field(default=None, description="Class of models it answers for with `auto`.")
    priority: int = Field(
        default=0, ge=0, le=99, description="Within its tier the higher is taken first, whatever the price."
    )
    context_window: int | None = Field(
        default=None,
        ge=1,
        description="Tokens of prompt and answer together; empty: taken from genai-prices, or unknown.",
    )
    max_output: int | None = Field(default=None, ge=1, description="Most tokens of an answer.")
    capabilities: list[Capability] | None = Field(
        default=None, description="What it can do; empty: assumed to do everything but embeddings."
    )
    price: Price | None = Field(default=None, description="Overrides genai-prices.")
    fallbacks: list[Name] = Field(
        default=[], description="Models tried in this order when every endpoint of this one fails."
    )


class Rule(Section):
    """A routing rule: a linear-time regular expression (RE2) over the prompt's text."""

    id: str = Field(default="", description="Stable name shown in `x-meliora-reason`; empty: `toml-N`.")
    pattern: str = Field(
        description="RE2 pattern, searched in the last user message and the system prompt; case counts unless it begins with `(?i)`."
    )
    preferred_layer: Tier | None = Field(default=None, description="Tier to use when it matches.")
    preferred_model: str | None = Field(default=None, description="Model to use when it matches; before the tier.")
    priority: int = Field(default=0, description="Higher is looked at first.")
    active: bool = Field(default=True, description="Whether it takes part.")
    applies_to: Literal["auto", "all"] = Field(
        default="auto",
        description="`auto`: only calls that leave the choice to Meliora; `all`: also calls that name a model.",
    )
    tenant: str = Field(default="default", description="Tenant it belongs to; `*` for all.")
    metadata: dict[str, Any] = Field(
        default={}, description="Anything worth keeping with it: reasoning, success rate, usage count."
    )

    @model_validator(mode="after")
    def _names_a_target(self) -> Rule:
        if self.preferred_layer is None and self.preferred_model is None:
            raise ValueError("a rule names a preferred_layer or a preferred_model")
        return self


class Otlp(Section):
    """Export of spans and metrics in OpenTelemetry's `gen_ai.*` conventions."""

    enabled: bool = Field(default=False, description="Export recorded calls.")
    endpoint: str = Field(default="http://127.0.0.1:4318", description="OTLP over HTTP, without `/v1/traces`.")
    headers: dict[str, str] = Field(
        default={}, description="Headers of the export (a value may be `env:NAME` or `file:PATH`)."
    )
    content: bool = Field(default=False, description="Also export recorded content.")
    metrics: bool = Field(
        default=True, description="Also export metrics; switch it off for tools that take traces only."
    )


class Learning(Section):
    """The learning that later planes share; the documents' bare names (`LEARNING_RATE`, ...) are honoured."""

    enabled: bool = Field(default=True, description="Learn from outcomes (`ENABLE_LEARNING`).")
    rate: float = Field(
        default=0.1, ge=0, le=1, description="Weight of a new outcome in a moving average (`LEARNING_RATE`)."
    )
    exploration: float = Field(
        default=0.1, ge=0, le=1, description="Share of choices made to learn (`EXPLORATION_RATE`)."
    )


class Thresholds(Section):
    """Where the analyzers begin to warn."""

    response_time_ms: float = Field(default=100, gt=0, description="Slow from here (`RESPONSE_TIME_THRESHOLD_MS`).")
    memory_warning_mb: float = Field(
        default=7168, gt=0, description="High memory from here (`MEMORY_WARNING_THRESHOLD_MB`)."
    )
    error_rate: float = Field(
        default=0.05, gt=0, le=1, description="Too many errors from here (`ERROR_RATE_THRESHOLD`)."
    )


class Improvements(Section):
    """How far code improvements may go by themselves."""

    automatic: bool = Field(
        default=False, description="Apply improvements without a person (`ENABLE_AUTO_IMPROVEMENTS`)."
    )
    confidence_threshold: float = Field(
        default=0.7, ge=0, le=1, description="Least confidence to apply one (`IMPROVEMENT_CONFIDENCE_THRESHOLD`)."
    )
    monitoring_seconds: Seconds = Field(
        default=300, description="How long a deployed improvement is watched (`MONITORING_DURATION_SECONDS`)."
    )
    auto_rollback: bool = Field(default=True, description="Undo an improvement that hurts (`ENABLE_AUTO_ROLLBACK`).")
    rollback_error_threshold: float = Field(
        default=0.1, ge=0, le=1, description="Error rate at which it is undone (`ROLLBACK_ERROR_THRESHOLD`)."
    )


class Settings(Section):
    """Everything that can be set."""

    server: Server = Server()
    store: Store = Store()
    gateway: Gateway = Gateway()
    recording: Recording = Recording()
    routing: Routing = Routing()
    otlp: Otlp = Otlp()
    learning: Learning = Learning()
    thresholds: Thresholds = Thresholds()
    improvements: Improvements = Improvements()
    loop: Loop = Loop()
    knowledge: Knowledge = Knowledge()
    providers: dict[Name, Provider] = Field(
        default={}, description="Upstream accounts by name. None at all: the simulated provider."
    )
    models: dict[Name, Model] = Field(default={}, description="Models by name.")
    aliases: dict[Name, Name] = Field(default={}, description='Other names for models, e.g. `smart = "gpt-5"`.')
    rules: list[Rule] = Field(default=[], description="Routing rules, besides those kept in the store.")
