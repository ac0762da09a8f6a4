"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make all tables."""
    _calls()
    _opinions()
    _measurements()
    _control()
    _sums()
    _deployment()


def _calls() -> None:
    op.create_table(
        "calls",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("gateway", sa.Text(), nullable=False),
        sa.Column("started_us", sa.BigInteger(), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("ended_us", sa.BigInteger(), nullable=True),
        sa.Column("dialect", sa.Text(), nullable=False),
        sa.Column("model_asked", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("stream", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("provider", sa.Text(), nullable=True),
        sa.Column("endpoint", sa.Text(), nullable=True),
        sa.Column("tier", sa.Text(), nullable=True),
        sa.Column("task", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("rule_id", sa.Text(), nullable=True),
        sa.Column("observed_model", sa.Text(), nullable=True),
        sa.Column("confidence", sa.Double(), nullable=True),
        sa.Column("attempts", _JSON, nullable=True),
        sa.Column("ttft_us", sa.BigInteger(), nullable=True),
        sa.Column("overhead_us", sa.BigInteger(), nullable=True),
        sa.Column("tokens_in", sa.BigInteger(), nullable=True),
        sa.Column("tokens_out", sa.BigInteger(), nullable=True),
        sa.Column("tokens_cached", sa.BigInteger(), nullable=True),
        sa.Column("tokens_cache_write", sa.BigInteger(), nullable=True),
        sa.Column("tokens_reasoning", sa.BigInteger(), nullable=True),
        sa.Column("usage_source", sa.Text(), nullable=True),
        sa.Column("cost_micros", sa.BigInteger(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("finish_reason", sa.Text(), nullable=True),
        sa.Column("response_id", sa.Text(), nullable=True),
        sa.Column("message_id", sa.Text(), nullable=True),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("session_id", sa.Text(), nullable=True),
        sa.Column("feature", sa.Text(), nullable=True),
        sa.Column("tags", _JSON, nullable=True),
        sa.Column("trace_id", sa.Text(), nullable=True),
        sa.Column("span_id", sa.Text(), nullable=True),
        sa.Column("parent_span_id", sa.Text(), nullable=True),
        sa.Column("request_bytes", sa.BigInteger(), nullable=True),
        sa.Column("response_bytes", sa.BigInteger(), nullable=True),
        sa.Column("chunks", sa.BigInteger(), nullable=True),
        sa.Column("prompt_hash", sa.Text(), nullable=True),
        sa.Column("features", _JSON, nullable=True),
        sa.Column("cached", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("simulated", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("loss", _JSON, nullable=True),
        sa.Column("content", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_calls"),
    )
    op.create_index(
        "ix_calls_tenant_cost",
        "calls",
        ["tenant", "slot", "cost_micros"],
        sqlite_where=sa.text("cost_micros IS NOT NULL"),
        postgresql_where=sa.text("cost_micros IS NOT NULL"),
    )
    op.create_index(
        "ix_calls_tenant_errors",
        "calls",
        ["tenant", "outcome", "started_us", "error_code"],
        sqlite_where=sa.text("outcome = 'error'"),
        postgresql_where=sa.text("outcome = 'error'"),
    )
    op.create_index(
        "ix_calls_tenant_message",
        "calls",
        ["tenant", "slot", "message_id"],
        sqlite_where=sa.text("message_id IS NOT NULL"),
        postgresql_where=sa.text("message_id IS NOT NULL"),
    )
    op.create_index(
        "ix_calls_tenant_response",
        "calls",
        ["tenant", "slot", "response_id"],
        sqlite_where=sa.text("response_id IS NOT NULL"),
        postgresql_where=sa.text("response_id IS NOT NULL"),
    )
    op.create_index("ix_calls_tenant_seq", "calls", ["tenant", "seq"])
    op.create_index(
        "ix_calls_tenant_session",
        "calls",
        ["tenant", "slot", "session_id"],
        sqlite_where=sa.text("session_id IS NOT NULL"),
        postgresql_where=sa.text("session_id IS NOT NULL"),
    )
    op.create_index("ix_calls_tenant_started", "calls", ["tenant", "started_us"])
    op.create_index(
        "ix_calls_tenant_user",
        "calls",
        ["tenant", "slot", "user_id"],
        sqlite_where=sa.text("user_id IS NOT NULL"),
        postgresql_where=sa.text("user_id IS NOT NULL"),
    )
    op.create_index(
        "ix_calls_unfinished",
        "calls",
        ["state", "started_us"],
        sqlite_where=sa.text("state <> 'finished'"),
        postgresql_where=sa.text("state <> 'finished'"),
    )
    op.create_table(
        "call_slots",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "slot", name="pk_call_slots"),
    )
    op.create_table(
        "call_contents",
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("started_us", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("request_text", sa.Text(), nullable=True),
        sa.Column("response_text", sa.Text(), nullable=True),
        sa.Column("truncated", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("masked", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("call_id", name="pk_call_contents"),
    )
    op.create_index("ix_call_contents_started_us", "call_contents", ["started_us"])


def _opinions() -> None:
    op.create_table(
        "feedback",
        sa.Column("id", _SERIAL, nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=True),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("feedback_type", sa.Text(), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("model_used", sa.Text(), nullable=True),
        sa.Column("task_type", sa.Text(), nullable=True),
        sa.Column("response_length", sa.BigInteger(), nullable=True),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("metadata", _JSON, nullable=True),
        sa.Column("pending", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_feedback"),
        sa.UniqueConstraint("tenant", "call_id", name="uq_feedback_tenant_call_id"),
    )
    op.create_index(
        "ix_feedback_pending",
        "feedback",
        ["call_id"],
        sqlite_where=sa.text("pending"),
        postgresql_where=sa.text("pending"),
    )
    op.create_index("ix_feedback_tenant_updated", "feedback", ["tenant", "updated_at"])
    op.create_index("ix_feedback_tenant_user", "feedback", ["tenant", "user_id"])
    op.create_table(
        "feedback_history",
        sa.Column("id", _SERIAL, nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("feedback_type", sa.Text(), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("metadata", _JSON, nullable=True),
        sa.Column("given_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_feedback_history"),
    )
    op.create_index("ix_feedback_history_tenant_call", "feedback_history", ["tenant", "call_id"])
    op.create_index("ix_feedback_history_tenant_user", "feedback_history", ["tenant", "user_id"])


def _measurements() -> None:
    op.create_table(
        "performance_metrics",
        sa.Column("id", _SERIAL, nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("metric_name", sa.Text(), nullable=False),
        sa.Column("metric_type", sa.Text(), nullable=False),
        sa.Column("metric_value", sa.DECIMAL(precision=20, scale=6, asdecimal=False), nullable=False),
        sa.Column("metric_unit", sa.Text(), nullable=False),
        sa.Column("context", _JSON, nullable=True),
        sa.Column("category", sa.Text(), nullable=True),
        sa.Column("endpoint", sa.Text(), nullable=True),
        sa.Column("min_value", sa.DECIMAL(precision=20, scale=6, asdecimal=False), nullable=True),
        sa.Column("max_value", sa.DECIMAL(precision=20, scale=6, asdecimal=False), nullable=True),
        sa.Column("p50_value", sa.DECIMAL(precision=20, scale=6, asdecimal=False), nullable=True),
        sa.Column("p95_value", sa.DECIMAL(precision=20, scale=6, asdecimal=False), nullable=True),
        sa.Column("p99_value", sa.DECIMAL(precision=20, scale=6, asdecimal=False), nullable=True),
        sa.Column("samples", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("window_start", sa.BigInteger(), nullable=True),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_performance_metrics"),
    )
    op.create_index("ix_performance_metrics_category", "performance_metrics", ["tenant", "category"])
    op.create_index("ix_performance_metrics_name", "performance_metrics", ["tenant", "metric_name", "recorded_at"])
    op.create_index("ix_performance_metrics_window", "performance_metrics", ["tenant", "window_start"])
    op.create_table(
        "model_performance",
        sa.Column("id", _SERIAL, nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("model_id", sa.Text(), nullable=False),
        sa.Column("task_type", sa.Text(), nullable=False),
        sa.Column("total_calls", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("successes", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("latency_sum_ms", sa.Double(), server_default=sa.text("0"), nullable=False),
        sa.Column("timed_calls", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("cost_sum_micros", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("priced_calls", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_updated", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_model_performance"),
        sa.UniqueConstraint("tenant", "model_id", "task_type", name="uq_model_performance_tenant_model_id_task_type"),
    )


def _control() -> None:
    op.create_table(
        "routing_rules",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("pattern", sa.Text(), nullable=False),
        sa.Column("preferred_layer", sa.Text(), nullable=True),
        sa.Column("preferred_model", sa.Text(), nullable=True),
        sa.Column("priority", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("applies_to", sa.Text(), server_default=sa.text("'auto'"), nullable=False),
        sa.Column("metadata", _JSON, nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_routing_rules"),
        sa.UniqueConstraint("tenant", "pattern", name="uq_routing_rules_tenant_pattern"),
    )
    op.create_table(
        "keys",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("scopes", _JSON, nullable=False),
        sa.Column("models", _JSON, nullable=True),
        sa.Column("regions", _JSON, nullable=True),
        sa.Column("requests_per_minute", sa.BigInteger(), nullable=True),
        sa.Column("tokens_per_minute", sa.BigInteger(), nullable=True),
        sa.Column("concurrent", sa.BigInteger(), nullable=True),
        sa.Column("budget_day_micros", sa.BigInteger(), nullable=True),
        sa.Column("budget_month_micros", sa.BigInteger(), nullable=True),
        sa.Column("allow_loss", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("explore", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("expires_us", sa.BigInteger(), nullable=True),
        sa.Column("feature", sa.Text(), nullable=True),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("updated_us", sa.BigInteger(), nullable=False),
        sa.Column("revoked_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_keys"),
    )
    op.create_index("ix_keys_tenant", "keys", ["tenant", "created_us"])
    op.create_table(
        "key_hashes",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("until_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("sha256", name="pk_key_hashes"),
    )
    op.create_index("ix_key_hashes_key_id", "key_hashes", ["key_id"])
    op.create_table(
        "budget_usage",
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("spent_micros", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("updated_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key_id", "period", name="pk_budget_usage"),
    )
    op.create_table(
        "budget_leases",
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("gateway", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("held_micros", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("reported_micros", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("recorded_micros", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("updated_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key_id", "period", "gateway", name="pk_budget_leases"),
    )


def _sums() -> None:
    op.create_table(
        "usage_daily",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("feature", sa.Text(), nullable=False),
        sa.Column("calls", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("errors", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("cancelled", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("cached", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("tokens_in", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("tokens_out", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("tokens_cached", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("tokens_reasoning", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("unmetered", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("cost_micros", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("unpriced", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("latency_us", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("timed", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "day", "model", "task", "key_id", "feature", name="pk_usage_daily"),
    )
    op.create_table(
        "usage_users",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("calls", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("errors", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("cancelled", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("cached", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("tokens_in", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("tokens_out", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("tokens_cached", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("tokens_reasoning", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("unmetered", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("cost_micros", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("unpriced", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("latency_us", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("timed", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "day", "user_id", name="pk_usage_users"),
    )
    op.create_table(
        "usage_gateways",
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("gateway", sa.Text(), nullable=False),
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("cost_micros", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("key_id", "gateway", "day", name="pk_usage_gateways"),
    )
    op.create_table(
        "rollups",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("window_start", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("calls", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("errors", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("cancelled", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("cached", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("tokens_in", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("tokens_out", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("tokens_cached", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("tokens_reasoning", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("unmetered", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("cost_sum_micros", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("unpriced", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("latency", _JSON, nullable=False),
        sa.Column("ttft", _JSON, nullable=False),
        sa.Column("cost", _JSON, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "window_start", "model", "task", "endpoint", name="pk_rollups"),
    )
    op.create_table(
        "rollup_days",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("window_start", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("calls", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("errors", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("cancelled", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("cached", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("tokens_in", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("tokens_out", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("tokens_cached", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("tokens_reasoning", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("unmetered", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("cost_sum_micros", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("unpriced", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("latency", _JSON, nullable=False),
        sa.Column("ttft", _JSON, nullable=False),
        sa.Column("cost", _JSON, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "window_start", "model", "task", "endpoint", name="pk_rollup_days"),
    )
    op.create_table(
        "rollup_windows",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("window_start", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.Column("rolled_seq", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "window_start", name="pk_rollup_windows"),
    )
    op.create_index(
        "ix_rollup_windows_stale",
        "rollup_windows",
        ["window_start", "tenant"],
        sqlite_where=sa.text("last_seq > rolled_seq"),
        postgresql_where=sa.text("last_seq > rolled_seq"),
    )


def _deployment() -> None:
    op.create_table(
        "spool_segments",
        sa.Column("segment", sa.Text(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("updated_us", sa.BigInteger(), nullable=False),
        sa.Column("done_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("segment", name="pk_spool_segments"),
    )
    op.create_table(
        "gateways",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("format", sa.Integer(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("breakers", _JSON, nullable=True),
        sa.Column("counters", _JSON, nullable=True),
        sa.Column("started_us", sa.BigInteger(), nullable=False),
        sa.Column("seen_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_gateways"),
    )
    op.create_table(
        "activity_log",
        sa.Column("id", _SERIAL, nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("detail", _JSON, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_activity_log"),
    )
    op.create_index("ix_activity_log_tenant", "activity_log", ["tenant", "id"])
    op.create_table(
        "deployment",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_deployment"),
    )
    op.create_table(
        "erasures",
        sa.Column("id", _SERIAL, nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("counts", _JSON, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_erasures"),
    )
    op.create_index("ix_erasures_subject", "erasures", ["subject"])
