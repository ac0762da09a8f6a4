"""The metrics that gates, trials and watches speak of: one name, one direction, one way to be measured. Computes nothing."""

from __future__ import annotations

from typing import Literal

import msgspec

Direction = Literal["up", "down"]
"""Which way is better."""
Form = Literal["rate", "mean", "quantile"]


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """A metric as it is known everywhere. `column` says how the store reads it off a call."""

    name: str
    direction: Direction
    form: Form
    unit: str
    column: str
    """`error`, `cost_micros`, `latency_us`, `reward`, `feedback` or, of a search alone, `satisfied`: what one contributes."""
    quantile: float | None = None
    """Of a quantile: 0.95 for p95."""
    maturity_seconds: float = 60.0
    """A call counts this long after it ended: feedback and the spool take their time."""


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(name="error_rate", direction="down", form="rate", unit="share", column="error"),
        Metric(name="cost_per_call", direction="down", form="mean", unit="USD", column="cost_micros"),
        Metric(name="latency_mean", direction="down", form="mean", unit="ms", column="latency_us"),
        Metric(name="latency_p95", direction="down", form="quantile", unit="ms", column="latency_us", quantile=0.95),
        Metric(name="reward", direction="up", form="mean", unit="0..1", column="reward", maturity_seconds=300.0),
        Metric(
            name="satisfaction", direction="up", form="mean", unit="0..1", column="feedback", maturity_seconds=300.0
        ),
        Metric(
            name="satisfied",
            direction="up",
            form="mean",
            unit="share",
            column="satisfied",
            maturity_seconds=300.0,
        ),
    )
}
"""What live calls and searches tell of an arm. Gates know more (`gates.metrics`): searches, pushed metrics, Prometheus."""
