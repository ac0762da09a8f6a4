"""Figures: what was measured, by model, by window and by day."""

from __future__ import annotations

import sqlalchemy as sa

from meliora.store.tables.columns import Decimal, Json, Serial, count, metadata, text, time

performance_metrics = sa.Table(
    "performance_metrics",
    metadata,
    sa.Column("id", Serial, primary_key=True),
    text("tenant"),
    text("metric_name"),
    text("metric_type"),  # value: one observation; window: a five-minute roll-up
    sa.Column("metric_value", Decimal, nullable=False),
    text("metric_unit"),
    sa.Column("context", Json, nullable=True),
    text("category", null=True),
    text("endpoint", null=True),
    sa.Column("min_value", Decimal, nullable=True),
    sa.Column("max_value", Decimal, nullable=True),
    sa.Column("p50_value", Decimal, nullable=True),
    sa.Column("p95_value", Decimal, nullable=True),
    sa.Column("p99_value", Decimal, nullable=True),
    count("samples"),
    time("window_start", null=True),
    time("recorded_at"),
    sa.Index("ix_performance_metrics_name", "tenant", "metric_name", "recorded_at"),
    sa.Index("ix_performance_metrics_category", "tenant", "category"),
    sa.Index("ix_performance_metrics_window", "tenant", "window_start"),
)

model_performance = sa.Table(
    "model_performance",
    metadata,
    sa.Column("id", Serial, primary_key=True),
    text("tenant"),
    text("model_id"),
    text("task_type"),
    count("total_calls"),
    count("successes"),
    sa.Column("latency_sum_ms", sa.Double, nullable=False, server_default=sa.text("0")),
    count("timed_calls"),
    count("cost_sum_micros"),
    count("priced_calls"),
    time("last_updated"),
    sa.UniqueConstraint("tenant", "model_id", "task_type"),
)

_USAGE = ("calls", "errors", "cancelled", "cached", "tokens_in", "tokens_out", "tokens_cached", "tokens_reasoning")


def _usage() -> list[sa.Column[int]]:
    """`timed` counts the calls behind `latency_us`; `unpriced` and `unmetered` those whose cost or tokens are unknown."""
    return [count(name) for name in (*_USAGE, "unmetered", "cost_micros", "unpriced", "latency_us", "timed")]


usage_daily = sa.Table(
    "usage_daily",
    metadata,
    text("tenant", key=True),
    text("day", key=True),
    text("model", key=True),
    text("task", key=True),
    text("key_id", key=True),
    text("feature", key=True),
    *_usage(),
)

usage_users = sa.Table(
    "usage_users",
    metadata,
    text("tenant", key=True),
    text("day", key=True),
    text("user_id", key=True),
    *_usage(),
)

usage_gateways = sa.Table(
    "usage_gateways",
    metadata,
    text("key_id", key=True),
    text("gateway", key=True),
    text("day", key=True),
    text("tenant"),
    count("cost_micros"),
)


def _rollups(name: str) -> sa.Table:
    return sa.Table(
        name,
        metadata,
        text("tenant", key=True),
        sa.Column("window_start", sa.BigInteger, primary_key=True, autoincrement=False),
        text("model", key=True),
        text("task", key=True),
        text("endpoint", key=True),
        *[count(name) for name in (*_USAGE, "unmetered", "cost_sum_micros", "unpriced")],
        sa.Column("latency", Json, nullable=False),
        sa.Column("ttft", Json, nullable=False),
        sa.Column("cost", Json, nullable=False),
    )


rollups = _rollups("rollups")  # windows of five minutes
rollup_days = _rollups("rollup_days")  # the same, of a day: a year of windows is too much to read for one answer

rollup_windows = sa.Table(
    "rollup_windows",
    metadata,
    text("tenant", key=True),
    sa.Column("window_start", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("last_seq", sa.BigInteger, nullable=False),  # of the calls that were ingested into it
    sa.Column("rolled_seq", sa.BigInteger, nullable=False, server_default=sa.text("0")),  # of those in its roll-ups
)
_stale = sa.text("last_seq > rolled_seq")
sa.Index(
    "ix_rollup_windows_stale",
    rollup_windows.c.window_start,
    rollup_windows.c.tenant,
    sqlite_where=_stale,
    postgresql_where=_stale,
)
