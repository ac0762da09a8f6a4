"""The gateway's own Prometheus metrics, in a registry of its own: nothing global, nothing per user or key.

Labels are bounded by the configuration (models, endpoints) and by the code (codes, outcomes). What each call touches is counted
by `tally`.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from meliora.gateway.tally import Tally


class Metrics:
    """Count what the gateway does."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.tally = Tally()
        registry.register(self.tally)
        self.refused = Counter("meliora_refused", "Requests refused before a call began.", ["code"], registry=registry)
        self.token_counts = Counter(
            "meliora_token_counts",
            "Answers of `count_tokens`, by a provider or by an estimate.",
            ["status"],
            registry=registry,
        )
        self.breaker = Gauge(
            "meliora_breaker_open", "1 while an endpoint is taken out.", ["endpoint"], registry=registry
        )
        self.in_flight = Gauge("meliora_calls_in_flight", "Calls being served.", registry=registry)
        self.spool_dropped = Gauge(
            "meliora_spool_dropped", "Records lost because the disk refused them.", registry=registry
        )
        self.spool_appended = Gauge("meliora_spool_appended", "Records written to the spool.", registry=registry)
        self.cache_hits = Counter("meliora_cache_hits", "Calls answered from the cache.", registry=registry)
        self.likeness = Counter(
            "meliora_cascade_likeness",
            "Pairs of answers that an embedding model was to compare: alike, unlike, failed, cancelled, or the key may not.",
            ["found"],
            registry=registry,
        )
        self.policies = Gauge("meliora_policies", "Learned routing policies that serve.", registry=registry)
        self.policies_refused = Gauge(
            "meliora_policies_refused",
            "Learned routing policies that did not load, since the start.",
            registry=registry,
        )
        self.state_age = Gauge(
            "meliora_state_age_seconds", "Seconds since the control process was last heard.", registry=registry
        )

    def render(self) -> bytes:
        """Give the text exposition format."""
        return generate_latest(self.registry)
