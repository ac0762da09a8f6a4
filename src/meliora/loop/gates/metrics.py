"""The metrics a gate can be on: form, unit and where the figures come from. Measures nothing itself."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Literal

import msgspec

from meliora.errors import InvalidRequest

Form = Literal["rate", "mean", "quantile", "gauge", "paired"]
"""`gauge`: a value that is what it is, without sampling; `paired`: one value a frozen query, compared query by query."""
SourceKind = Literal["telemetry", "pushed", "prometheus", "function", "simulated"]


class GateMetric(msgspec.Struct, frozen=True, kw_only=True):
    """A metric as gates know it."""

    name: str
    form: Form
    unit: str
    source: SourceKind = "telemetry"
    quantile: float | None = None
    ceiling: float | None = None
    """The greatest value there can be, where there is one: needed to bet on a mean that must not fall."""
    aliases: tuple[str, ...] = ()
    healthy: float = 0.0
    """What a simulated signal of it is like."""


METRICS: dict[str, GateMetric] = {
    metric.name: metric
    for metric in (
        GateMetric(name="error_rate", form="rate", unit="share", healthy=0.005),
        GateMetric(name="latency_mean", form="mean", unit="ms", aliases=("avg_latency_ms",), healthy=350.0),
        GateMetric(name="latency_p50", form="quantile", unit="ms", quantile=0.5, healthy=300.0),
        GateMetric(name="latency_p95", form="quantile", unit="ms", quantile=0.95, healthy=600.0),
        GateMetric(name="latency_p99", form="quantile", unit="ms", quantile=0.99, healthy=900.0),
        GateMetric(name="cost_per_1k", form="mean", unit="USD", aliases=("cost_per_1k_requests",), healthy=0.3),
        GateMetric(name="satisfaction", form="mean", unit="1..5", ceiling=5.0, aliases=("nps",), healthy=4.4),
        GateMetric(name="budget_share", form="gauge", unit="share", healthy=0.4),
        GateMetric(name="ingest_lag", form="gauge", unit="s", aliases=("etl_lag",), healthy=5.0),
        GateMetric(
            name="gpu_utilisation",
            form="gauge",
            unit="share",
            source="pushed",
            aliases=("gpu_utilization",),
            healthy=0.6,
        ),
        GateMetric(
            name="ndcg@10", form="paired", unit="0..1", source="pushed", aliases=("ndcg_at_10", "ndcg10"), healthy=0.82
        ),
        GateMetric(
            name="recall@20", form="paired", unit="0..1", source="pushed", aliases=("recall_at_20",), healthy=0.9
        ),
        GateMetric(name="search_success", form="mean", unit="0..1", ceiling=1.0, healthy=0.7),
        GateMetric(name="vector_store_errors", form="gauge", unit="count", source="pushed"),
    )
}
"""Metrics with a meaning of their own. Any other name can be pushed, queried or computed: then the gate says its source."""

_BY_NAME = {name: metric for metric in METRICS.values() for name in (metric.name, *metric.aliases)}


def canonical(name: str) -> str:
    """Give the name of the metric that an alias stands for; another stays as it is."""
    found = _BY_NAME.get(name.lower())
    return name if found is None else found.name


def metric(name: str, source: SourceKind | None = None) -> GateMetric:
    """Give the metric of a name or alias. Another name is a gauge where the gate says that it does not come from recorded calls.

    Raises `InvalidRequest` for an unknown one, with the nearest known.
    """
    found = _BY_NAME.get(name.lower())
    if found is not None:
        return found
    if source is None or source == "telemetry":
        hint = (
            f'{nearest(name, _BY_NAME)} For a metric of your own, write source = "pushed", "prometheus" or "function".'
        )
        raise InvalidRequest(f"There is no metric {name!r}.", hint=hint, field="metric")
    return GateMetric(name=name, form="gauge", unit="", source=source)


def nearest(name: str, known: Iterable[str]) -> str:
    """Say which of the known names was probably meant, or which there are."""
    names = sorted(known)
    close = difflib.get_close_matches(name.lower(), names, 1, 0.4)
    return f"Did you mean {close[0]}?" if close else f"There are: {', '.join(names)}."
