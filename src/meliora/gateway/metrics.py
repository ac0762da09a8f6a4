"""The gateway's own Prometheus metrics, in a registry of its own: nothing global, nothing per user or key.

Labels are bounded by the configuration (models, endpoints) and by this module (codes, outcomes). Where a provider passes any
name on, a client's word becomes a label; past `MOST` of them all others are counted as `other`.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from meliora.telemetry.records import CallFinished

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 128)
_RESULTS = frozenset(
    (
        "ok",
        "cancelled",
        "upstream_unreachable",
        "upstream_timeout",
        "upstream_broken",
        "overloaded",
        "rate_limit_exceeded",
        "insufficient_quota",
        "overloaded_error",
        "rate_limit_error",
        "api_error",
        "server_error",
    )
)
MOST = 1000
"""Models, and endpoints, that have a label of their own."""
_OVERHEAD = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.25)


class Metrics:
    """Count what the gateway does."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.calls = Counter(
            "meliora_calls", "Calls by outcome.", ["model", "dialect", "outcome", "status"], registry=registry
        )
        self.refused = Counter("meliora_refused", "Requests refused before a call began.", ["code"], registry=registry)
        self.tokens = Counter("meliora_tokens", "Tokens by direction.", ["model", "direction"], registry=registry)
        self.cost = Counter(
            "meliora_cost_dollars", "Cost in US dollars, where it is known.", ["model"], registry=registry
        )
        self.unpriced = Counter(
            "meliora_unpriced_calls", "Answered calls whose cost is unknown.", ["model"], registry=registry
        )
        self.latency = Histogram(
            "meliora_call_seconds", "Duration of calls.", ["model"], buckets=_SECONDS, registry=registry
        )
        self.ttft = Histogram(
            "meliora_first_token_seconds",
            "Time to the first content of a stream.",
            ["model"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.overhead = Histogram(
            "meliora_overhead_seconds", "Time that the gateway itself added.", buckets=_OVERHEAD, registry=registry
        )
        self.attempts = Counter("meliora_attempts", "Attempts at endpoints.", ["endpoint", "result"], registry=registry)
        self.breaker = Gauge(
            "meliora_breaker_open", "1 while an endpoint is taken out.", ["endpoint"], registry=registry
        )
        self.in_flight = Gauge("meliora_calls_in_flight", "Calls being served.", registry=registry)
        self.spool_dropped = Gauge(
            "meliora_spool_dropped", "Records lost because the disk refused them.", registry=registry
        )
        self.spool_appended = Gauge("meliora_spool_appended", "Records written to the spool.", registry=registry)
        self.cache_hits = Counter("meliora_cache_hits", "Calls answered from the cache.", registry=registry)
        self.state_age = Gauge(
            "meliora_state_age_seconds", "Seconds since the control process was last heard.", registry=registry
        )
        self._of_model: dict[str, _ModelMetrics] = {}
        self._attempts: dict[tuple[str, str], Counter] = {}
        self._calls: dict[tuple[str, str, str, int], Counter] = {}

    def finished(self, record: CallFinished) -> None:
        """Count a finished call."""
        model = record.model or "none"
        of = self._of_model.get(model)
        if of is None:
            model = model if len(self._of_model) < MOST else "other"
            of = self._of_model[model] = self._of_model.get(model) or _ModelMetrics(self, model)
        key = (model, record.dialect, record.outcome, record.status)
        counter = self._calls.get(key)
        if counter is None:
            counter = self._calls[key] = self.calls.labels(model, record.dialect, record.outcome, str(record.status))
        counter.inc()
        of.finished(record)
        if record.overhead_us is not None:
            self.overhead.observe(record.overhead_us / 1e6)

    def attempt(self, endpoint: str, result: str) -> None:
        """Count an attempt; `result` is `ok` or an error's code, of which only the known ones become labels."""
        key = (endpoint, result if result in _RESULTS else "refused")
        counter = self._attempts.get(key)
        if counter is None:
            key = (endpoint if len(self._attempts) < 4 * MOST else "other", key[1])
            counter = self._attempts[key] = self.attempts.labels(*key)
        counter.inc()

    def render(self) -> bytes:
        """Give the text exposition format."""
        return generate_latest(self.registry)


class _ModelMetrics:
    """The children of one model, looked up once."""

    def __init__(self, metrics: Metrics, model: str) -> None:
        self._latency = metrics.latency.labels(model)
        self._ttft = metrics.ttft.labels(model)
        self._input = metrics.tokens.labels(model, "input")
        self._output = metrics.tokens.labels(model, "output")
        self._cost = metrics.cost.labels(model)
        self._unpriced = metrics.unpriced.labels(model)

    def finished(self, record: CallFinished) -> None:
        self._latency.observe((record.ended_us - record.started_us) / 1e6)
        if record.ttft_us is not None:
            self._ttft.observe(record.ttft_us / 1e6)
        usage = record.usage
        if usage is not None:
            if usage.input:
                self._input.inc(usage.input)
            if usage.output:
                self._output.inc(usage.output)
        if record.cost_micros is not None:
            self._cost.inc(record.cost_micros / 1e6)
        elif record.outcome == "ok":
            self._unpriced.inc()
