"""Every table, as SQLAlchemy Core metadata. Holds no queries; `migrations` builds what stands here.

Times are integer microseconds UTC, money integer micro-dollars. Where a grouping column of a roll-up has no value the
row holds an empty string, since NULL cannot be part of a primary key; repositories give it back as None.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Json = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
Serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""SQLite numbers rows by itself only where the type is INTEGER."""

Decimal = sa.DECIMAL(20, 6, asdecimal=False)


def _text(name: str, *, null: bool = False, key: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=null, primary_key=key)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False, server_default=sa.text("0"))


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=True)


def _time(name: str, *, null: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=null)


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean, nullable=False, server_default=sa.false())


calls = sa.Table(
    "calls",
    metadata,
    _text("id", key=True),
    _text("tenant"),
    _text("state"),  # open, finished, lost
    sa.Column("seq", sa.BigInteger, nullable=False),  # order of ingest, for `tail`
    _text("key_id"),
    _text("gateway"),
    _time("started_us"),
    sa.Column("slot", sa.Integer, nullable=False),  # see `slots`
    _time("ended_us", null=True),
    _text("dialect"),
    _text("model_asked"),
    _text("outcome", null=True),
    sa.Column("status", sa.Integer, nullable=True),
    _flag("stream"),
    _text("model", null=True),
    _text("provider", null=True),
    _text("endpoint", null=True),
    _text("tier", null=True),
    _text("task", null=True),
    _text("reason", null=True),
    _text("rule_id", null=True),
    _text("observed_model", null=True),
    sa.Column("confidence", sa.Double, nullable=True),
    sa.Column("attempts", Json, nullable=True),
    _number("ttft_us"),
    _number("overhead_us"),
    _number("tokens_in"),
    _number("tokens_out"),
    _number("tokens_cached"),
    _number("tokens_cache_write"),
    _number("tokens_reasoning"),
    _text("usage_source", null=True),
    _number("cost_micros"),
    _text("error_code", null=True),
    _text("error_message", null=True),
    _text("finish_reason", null=True),
    _text("response_id", null=True),
    _text("message_id", null=True),
    _text("user_id", null=True),
    _text("session_id", null=True),
    _text("feature", null=True),
    sa.Column("tags", Json, nullable=True),
    _text("trace_id", null=True),
    _text("span_id", null=True),
    _text("parent_span_id", null=True),
    _number("request_bytes"),
    _number("response_bytes"),
    _number("chunks"),
    _text("prompt_hash", null=True),
    sa.Column("features", Json, nullable=True),
    _flag("cached"),
    _flag("simulated"),
    sa.Column("loss", Json, nullable=True),
    _text("content", null=True),  # off, redacted, full; erased
    sa.Column("routing", Json, nullable=True),  # how the learned policy decided, without what it read in the prompt
    sa.Column("legs", Json, nullable=True),
    _text("trial", null=True),  # id of the change on trial or under watch
    _text("trial_phase", null=True),
    sa.Column("trial_stage", sa.Integer, nullable=True),
    _text("arm", null=True),  # candidate, baseline
    _text("trial_unit", null=True),  # hash of who was put in the arm
    sa.Index("ix_calls_tenant_started", "tenant", "started_us"),
    sa.Index("ix_calls_tenant_seq", "tenant", "seq"),
)


def _partial(name: str, *columns: str, where: str) -> sa.Index:
    """Index only the rows that can be asked for, which keeps ingest cheap where most of them are empty."""
    condition = sa.text(where)
    return sa.Index(name, *(calls.c[c] for c in columns), sqlite_where=condition, postgresql_where=condition)


# Values that come in no order would touch a page each: the slot keeps those of one time together.
_partial("ix_calls_tenant_cost", "tenant", "slot", "cost_micros", where="cost_micros IS NOT NULL")
_partial("ix_calls_tenant_message", "tenant", "slot", "message_id", where="message_id IS NOT NULL")
_partial("ix_calls_tenant_response", "tenant", "slot", "response_id", where="response_id IS NOT NULL")
_partial("ix_calls_tenant_user", "tenant", "slot", "user_id", where="user_id IS NOT NULL")
_partial("ix_calls_tenant_session", "tenant", "slot", "session_id", where="session_id IS NOT NULL")
# The outcome is a column of it only so that the planner takes it for the narrower one, which it is.
_partial("ix_calls_tenant_errors", "tenant", "outcome", "started_us", "error_code", where="outcome = 'error'")
# All that an analysis of a trial reads of a call, so that it never goes to the table; in the order in which it is summed.
_partial(
    "ix_calls_trial",
    "tenant",
    "trial",
    "trial_phase",
    "trial_stage",
    "arm",
    "trial_unit",
    "ended_us",
    "outcome",
    "cost_micros",
    "started_us",
    "id",
    where="trial IS NOT NULL",
)
_partial("ix_calls_unfinished", "state", "started_us", where="state <> 'finished'")

# Not among the calls: nothing that counts, prices, learns from or shows ordinary traffic can come upon them.
shadow_calls = sa.Table(
    "shadow_calls",
    metadata,
    _text("id", key=True),
    _text("tenant"),
    _text("parent"),  # the call that was answered
    _text("state"),  # open, finished, lost
    _text("gateway"),
    _time("started_us"),
    _time("ended_us", null=True),
    _text("trial"),
    sa.Column("stage", sa.Integer, nullable=False),
    _text("unit"),
    _flag("same"),  # the candidate decided as the baseline did: no second call
    _text("shown_model", null=True),
    _text("shown_outcome", null=True),
    _number("shown_cost_micros"),
    _number("shown_latency_us"),
    sa.Column("shown_reward", sa.Double, nullable=True),
    _text("dialect", null=True),
    _text("model", null=True),
    _text("endpoint", null=True),
    _text("reason", null=True),
    _text("task", null=True),
    _text("outcome", null=True),
    sa.Column("status", sa.Integer, nullable=True),
    _text("error_code", null=True),
    _text("finish_reason", null=True),
    _number("tokens_in"),
    _number("tokens_out"),
    _number("cost_micros"),
    sa.Column("reward", sa.Double, nullable=True),
    sa.Column("scores", Json, nullable=True),  # by scorer: shown, shadow
    _time("scored_us", null=True),
    _text("content", null=True),
    _text("response_text", null=True),
    _flag("truncated"),
    sa.Index("ix_shadow_calls_trial", "tenant", "trial", "unit"),
    sa.Index("ix_shadow_calls_parent", "parent"),
    sa.Index("ix_shadow_calls_started", "started_us"),
)
_unscored = sa.text("scored_us IS NULL AND state = 'finished' AND NOT same")
sa.Index(
    "ix_shadow_calls_unscored",
    shadow_calls.c.tenant,
    shadow_calls.c.started_us,
    sqlite_where=_unscored,
    postgresql_where=_unscored,
)

call_slots = sa.Table(
    "call_slots",
    metadata,
    _text("tenant", key=True),
    sa.Column("slot", sa.Integer, primary_key=True, autoincrement=False),
)

call_contents = sa.Table(
    "call_contents",
    metadata,
    _text("call_id", key=True),
    _text("tenant"),
    sa.Column("started_us", sa.BigInteger, nullable=False, index=True),
    _text("content"),
    _text("request_text", null=True),
    _text("response_text", null=True),
    _flag("truncated"),
    _count("masked"),
)

feedback = sa.Table(
    "feedback",
    metadata,
    sa.Column("id", Serial, primary_key=True),
    _text("tenant"),
    _text("call_id"),
    _text("message_id", null=True),
    _text("user_id", null=True),
    _text("feedback_type"),
    sa.Column("value", sa.Double, nullable=False),
    _text("model_used", null=True),
    _text("task_type", null=True),
    _number("response_length"),
    _text("comment", null=True),
    sa.Column("metadata", Json, nullable=True),
    _flag("pending"),  # its call is not ingested yet
    _time("created_at"),
    _time("updated_at"),
    sa.UniqueConstraint("tenant", "call_id"),
    sa.Index("ix_feedback_tenant_updated", "tenant", "updated_at"),
    sa.Index("ix_feedback_tenant_user", "tenant", "user_id"),
)
sa.Index(
    "ix_feedback_pending",
    feedback.c.call_id,
    sqlite_where=sa.text("pending"),
    postgresql_where=sa.text("pending"),
)

feedback_history = sa.Table(
    "feedback_history",
    metadata,
    sa.Column("id", Serial, primary_key=True),
    _text("tenant"),
    _text("call_id"),
    _text("user_id", null=True),
    _text("feedback_type"),
    sa.Column("value", sa.Double, nullable=False),
    _text("comment", null=True),
    sa.Column("metadata", Json, nullable=True),
    _time("given_at"),
    sa.Index("ix_feedback_history_tenant_call", "tenant", "call_id"),
    sa.Index("ix_feedback_history_tenant_user", "tenant", "user_id"),
)

performance_metrics = sa.Table(
    "performance_metrics",
    metadata,
    sa.Column("id", Serial, primary_key=True),
    _text("tenant"),
    _text("metric_name"),
    _text("metric_type"),  # value: one observation; window: a five-minute roll-up
    sa.Column("metric_value", Decimal, nullable=False),
    _text("metric_unit"),
    sa.Column("context", Json, nullable=True),
    _text("category", null=True),
    _text("endpoint", null=True),
    sa.Column("min_value", Decimal, nullable=True),
    sa.Column("max_value", Decimal, nullable=True),
    sa.Column("p50_value", Decimal, nullable=True),
    sa.Column("p95_value", Decimal, nullable=True),
    sa.Column("p99_value", Decimal, nullable=True),
    _count("samples"),
    _time("window_start", null=True),
    _time("recorded_at"),
    sa.Index("ix_performance_metrics_name", "tenant", "metric_name", "recorded_at"),
    sa.Index("ix_performance_metrics_category", "tenant", "category"),
    sa.Index("ix_performance_metrics_window", "tenant", "window_start"),
)

model_performance = sa.Table(
    "model_performance",
    metadata,
    sa.Column("id", Serial, primary_key=True),
    _text("tenant"),
    _text("model_id"),
    _text("task_type"),
    _count("total_calls"),
    _count("successes"),
    sa.Column("latency_sum_ms", sa.Double, nullable=False, server_default=sa.text("0")),
    _count("timed_calls"),
    _count("cost_sum_micros"),
    _count("priced_calls"),
    _time("last_updated"),
    sa.UniqueConstraint("tenant", "model_id", "task_type"),
)

routing_rules = sa.Table(
    "routing_rules",
    metadata,
    _text("id", key=True),
    _text("tenant"),
    _text("pattern"),
    _text("preferred_layer", null=True),
    _text("preferred_model", null=True),
    sa.Column("priority", sa.Integer, nullable=False, server_default=sa.text("0")),
    sa.Column("active", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Column("applies_to", sa.Text, nullable=False, server_default=sa.text("'auto'")),
    sa.Column("metadata", Json, nullable=True),
    _time("created_at"),
    _time("updated_at"),
    sa.UniqueConstraint("tenant", "pattern"),
)

routing_snapshots = sa.Table(
    "routing_snapshots",
    metadata,
    _text("tenant", key=True),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    _number("parent"),
    sa.Column(
        "anchor", sa.BigInteger, nullable=False
    ),  # the snapshot that a person or a fit made and this one was learned from
    _text("kind"),  # fit, calibrated, prior, online
    _text("state"),  # candidate, serving, retired
    sa.Column("blob", sa.LargeBinary, nullable=True),  # dropped from online ones that are long superseded
    _text("sha256"),
    _count("bytes"),
    _count("learned_seq"),  # outcomes up to this number are in it, or shall not come into what is learned from it
    sa.Column("evidence", Json, nullable=True),
    _text("made_by"),
    _time("made_us"),
    _number("replaced"),  # what served before it; empty: nothing did
    _time("served_us", null=True),  # since when it serves, or served last
    _time("retired_us", null=True),
)
_serving = sa.text("state = 'serving'")
sa.Index(
    "ix_routing_snapshots_serving",
    routing_snapshots.c.tenant,
    unique=True,
    sqlite_where=_serving,
    postgresql_where=_serving,
)

routing_outcomes = sa.Table(
    "routing_outcomes",
    metadata,
    _text("call_id", key=True),
    _text("tenant"),
    _text("key_id"),
    _text("user_id", null=True),
    _text("session_id", null=True),
    _text("prompt_hash", null=True),
    _time("started_us"),
    _text("task", null=True),
    _text("model"),  # that answered; where none did, the one that was chosen
    _text("outcome"),
    _number("cost_micros"),
    _number("latency_us"),
    sa.Column("snapshot", sa.BigInteger, nullable=False),
    _text("trunk"),
    sa.Column("phi", sa.LargeBinary, nullable=False),  # float16, little-endian
    sa.Column("candidates", Json, nullable=False),
    _text("decided_by"),
    _flag("explored"),
    sa.Column("reward", sa.Double, nullable=True),
    sa.Column("weight", sa.Double, nullable=True),
    _text("source", null=True),  # feedback, scorer:NAME, retry, failure
    _number("seq"),  # order in which outcomes were first rewarded
    _number("changed"),  # number of the reward's last change
    _count("touched"),
    _count("settled"),  # of `touched`, what the reward has seen
    sa.Column("slot", sa.Integer, nullable=False),  # see `slots`
    _time("again_us", null=True),  # when the same user or session sent the same prompt again
    sa.Index("ix_routing_outcomes_tenant_changed", "tenant", "changed"),
    sa.Index("ix_routing_outcomes_tenant_started", "tenant", "started_us"),
)
_unsettled = sa.text("touched > settled")
sa.Index(
    "ix_routing_outcomes_unsettled",
    routing_outcomes.c.started_us,
    sqlite_where=_unsettled,
    postgresql_where=_unsettled,
)
_once = sa.text("prompt_hash IS NOT NULL AND again_us IS NULL")
sa.Index(
    "ix_routing_outcomes_prompt",
    routing_outcomes.c.tenant,
    routing_outcomes.c.slot,
    routing_outcomes.c.prompt_hash,
    sqlite_where=_once,
    postgresql_where=_once,
)

routing_scores = sa.Table(
    "routing_scores",
    metadata,
    _text("call_id", key=True),
    _text("scorer", key=True),
    _text("tenant"),
    sa.Column("value", sa.Double, nullable=True),  # null: the scorer could not say
    _text("reason", null=True),
    _time("made_us"),
    sa.Index("ix_routing_scores_tenant_scorer", "tenant", "scorer"),
)

keys = sa.Table(
    "keys",
    metadata,
    _text("id", key=True),
    _text("tenant"),
    _text("name"),
    _text("prefix"),
    sa.Column("scopes", Json, nullable=False),
    sa.Column("models", Json, nullable=True),
    sa.Column("regions", Json, nullable=True),
    _number("requests_per_minute"),
    _number("tokens_per_minute"),
    _number("concurrent"),
    _number("budget_day_micros"),
    _number("budget_month_micros"),
    _flag("allow_loss"),
    sa.Column("explore", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Column("quality_floor", sa.Double, nullable=True),
    sa.Column("willingness_to_pay", sa.Double, nullable=True),
    _time("expires_us", null=True),
    _text("feature", null=True),
    _flag("agent"),
    _time("created_us"),
    _time("updated_us"),
    _time("revoked_us", null=True),
    sa.Index("ix_keys_tenant", "tenant", "created_us"),
)

key_hashes = sa.Table(
    "key_hashes",
    metadata,
    _text("sha256", key=True),
    _text("tenant"),
    sa.Column("key_id", sa.Text, nullable=False, index=True),
    _time("until_us", null=True),
)

budget_usage = sa.Table(
    "budget_usage",
    metadata,
    _text("key_id", key=True),
    _text("period", key=True),
    _text("tenant"),
    _count("spent_micros"),
    _time("updated_us"),
)

budget_leases = sa.Table(
    "budget_leases",
    metadata,
    _text("key_id", key=True),
    _text("period", key=True),
    _text("gateway", key=True),
    _text("tenant"),
    _count("held_micros"),  # granted, not reported as spent
    _count("reported_micros"),
    _count("recorded_micros"),  # what its recorded calls cost, as of its reclaim
    _time("updated_us"),
)

_USAGE = ("calls", "errors", "cancelled", "cached", "tokens_in", "tokens_out", "tokens_cached", "tokens_reasoning")


def _usage() -> list[sa.Column[int]]:
    """`timed` counts the calls behind `latency_us`; `unpriced` and `unmetered` those whose cost or tokens are unknown."""
    return [_count(name) for name in (*_USAGE, "unmetered", "cost_micros", "unpriced", "latency_us", "timed")]


usage_daily = sa.Table(
    "usage_daily",
    metadata,
    _text("tenant", key=True),
    _text("day", key=True),
    _text("model", key=True),
    _text("task", key=True),
    _text("key_id", key=True),
    _text("feature", key=True),
    *_usage(),
)

usage_users = sa.Table(
    "usage_users",
    metadata,
    _text("tenant", key=True),
    _text("day", key=True),
    _text("user_id", key=True),
    *_usage(),
)

usage_gateways = sa.Table(
    "usage_gateways",
    metadata,
    _text("key_id", key=True),
    _text("gateway", key=True),
    _text("day", key=True),
    _text("tenant"),
    _count("cost_micros"),
)


def _rollups(name: str) -> sa.Table:
    return sa.Table(
        name,
        metadata,
        _text("tenant", key=True),
        sa.Column("window_start", sa.BigInteger, primary_key=True, autoincrement=False),
        _text("model", key=True),
        _text("task", key=True),
        _text("endpoint", key=True),
        *[_count(name) for name in (*_USAGE, "unmetered", "cost_sum_micros", "unpriced")],
        sa.Column("latency", Json, nullable=False),
        sa.Column("ttft", Json, nullable=False),
        sa.Column("cost", Json, nullable=False),
    )


rollups = _rollups("rollups")  # windows of five minutes
rollup_days = _rollups("rollup_days")  # the same, of a day: a year of windows is too much to read for one answer

rollup_windows = sa.Table(
    "rollup_windows",
    metadata,
    _text("tenant", key=True),
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

spool_segments = sa.Table(
    "spool_segments",
    metadata,
    _text("segment", key=True),
    sa.Column("offset", sa.BigInteger, nullable=False),
    _time("updated_us"),
    _time("done_us", null=True),
)

gateways = sa.Table(
    "gateways",
    metadata,
    _text("id", key=True),
    _text("version"),
    sa.Column("format", sa.Integer, nullable=False),
    _text("host"),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("breakers", Json, nullable=True),
    sa.Column("counters", Json, nullable=True),
    _time("started_us"),
    _time("seen_us"),
    _count("kill_epoch"),  # the turn of the kill switch that it serves by
    _time("kill_us", null=True),  # when it said so first
)

activity_log = sa.Table(
    "activity_log",
    metadata,
    sa.Column("id", Serial, primary_key=True),
    _text("tenant"),
    _time("at"),
    _text("actor"),
    _text("action"),
    _text("subject"),
    sa.Column("detail", Json, nullable=True),
    sa.Index("ix_activity_log_tenant", "tenant", "id"),
)

deployment = sa.Table("deployment", metadata, _text("name", key=True), _text("value"))

erasures = sa.Table(
    "erasures",
    metadata,
    sa.Column("id", Serial, primary_key=True),
    _text("tenant"),
    sa.Column("subject", sa.Text, nullable=False, index=True),  # keyed hash of tenant and user
    _time("at"),
    sa.Column("counts", Json, nullable=True),
)

preference_interactions = sa.Table(
    "preference_interactions",
    metadata,
    _text("tenant", key=True),
    _text("id", key=True),
    _text("user_id", null=True),
    _time("at_us"),
    _time("kept_us"),
    _text("model"),
    _text("task_type", null=True),
    _text("prompt_hash", null=True),
    _number("prompt_length"),
    _number("response_length"),
    sa.Column("latency_ms", sa.Double, nullable=True),
    _text("feedback", null=True),
    sa.Column("value", sa.Double, nullable=True),
    _time("feedback_us", null=True),
    sa.Column("metadata", Json, nullable=True),
    sa.Index("ix_preference_interactions_user", "tenant", "user_id", "at_us"),
    sa.Index("ix_preference_interactions_at", "tenant", "at_us"),
    sa.Index("ix_preference_interactions_kept", "tenant", "kept_us"),
)

preference_resets = sa.Table(
    "preference_resets",
    metadata,
    _text("tenant", key=True),
    _text("subject", key=True),  # keyed hash of tenant and user
    _time("at_us"),
)

preference_tables = sa.Table(
    "preference_tables",
    metadata,
    _text("tenant", key=True),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    _text("sha256"),
    sa.Column("blob", sa.LargeBinary, nullable=False),
    _time("made_us"),
)

cycles = sa.Table(
    "cycles",
    metadata,
    _text("id", key=True),  # si_2026_11_26_001
    _text("tenant"),
    _text("environment"),
    _text("origin_kind"),
    _text("origin_name"),
    _text("subject"),  # what it is about: a gate, a target
    sa.Column("kinds", Json, nullable=False),  # kinds of change to try, in order
    sa.Column("breach", Json, nullable=True),  # what was measured when it opened
    _text("finding", null=True),
    _text("outcome", null=True),  # improved, unchanged, rolled_back, stopped; empty while it is open
    sa.Column("notes", Json, nullable=True),
    _time("opened_us"),
    _time("closed_us", null=True),
    sa.Index("ix_cycles_tenant_opened", "tenant", "opened_us"),
)
_open = sa.text("closed_us IS NULL")
sa.Index("ix_cycles_open", cycles.c.opened_us, sqlite_where=_open, postgresql_where=_open)

changes = sa.Table(
    "changes",
    metadata,
    _text("id", key=True),
    _text("tenant"),
    _text("kind"),
    _text("target"),
    _text("surface"),
    _text("environment"),
    _text("origin_kind"),
    _text("origin_name"),
    _text("state"),
    _text("summary"),
    sa.Column("payload", Json, nullable=False),
    _text("baseline", null=True),
    _text("candidate", null=True),
    _text("paused_from", null=True),
    _text("reason", null=True),
    _text("cycle", null=True),
    _text("finding", null=True),
    sa.Column("progress", Json, nullable=False),
    _count("attempt"),
    _time("due_us", null=True),
    _text("lease_owner", null=True),
    _time("lease_until_us", null=True),
    _time("created_us"),
    _time("updated_us"),
    sa.Index("ix_changes_tenant_created", "tenant", "created_us"),
    sa.Index("ix_changes_tenant_state", "tenant", "state", "updated_us"),
    sa.Index("ix_changes_cycle", "cycle"),
)
_due = sa.text("due_us IS NOT NULL")
sa.Index("ix_changes_due", changes.c.due_us, sqlite_where=_due, postgresql_where=_due)

change_edges = sa.Table(
    "change_edges",
    metadata,
    _text("change", key=True),
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    _text("tenant"),
    _text("source"),
    _text("target"),
    _time("at_us"),
    _text("actor"),
    _count("attempt"),
    _text("evidence"),  # JSON in its one form, byte by byte as it was hashed
    _text("policy", null=True),
    sa.Index("ix_change_edges_tenant_at", "tenant", "at_us"),
)

change_holds = sa.Table(
    "change_holds",
    metadata,
    _text("tenant", key=True),
    _text("surface", key=True),
    _text("change"),
)

# What governs the loop: the audit, approvals, the kill switch, flags, what was learned.

audit_entries = sa.Table(
    "audit_entries",
    metadata,
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    _text("tenant"),
    _time("at_us"),
    _text("actor"),
    _text("action"),
    _text("subject"),
    _text("body"),  # canonical JSON, kept as text: the hash is over these very bytes
    _text("prev"),
    _text("hash"),
    sa.Index("ix_audit_entries_subject", "tenant", "subject", "seq"),
    sa.Index("ix_audit_entries_at", "at_us"),
)

audit_head = sa.Table(
    "audit_head",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),  # 1
    sa.Column("seq", sa.BigInteger, nullable=False),
    _text("hash"),
)

policy_bundles = sa.Table(
    "policy_bundles",
    metadata,
    _text("sha256", key=True),
    _text("text"),
    _time("kept_us"),
)

approvals = sa.Table(
    "approvals",
    metadata,
    _text("id", key=True),
    _text("tenant"),
    _text("change"),
    _text("edge"),
    _text("state"),  # asked, approved, rejected; one that has run out is still asked
    _text("asked_by"),
    _text("asked_why"),
    _time("asked_us"),
    _time("expires_us"),
    _text("decided_by", null=True),
    _time("decided_us", null=True),
    _text("decided_why", null=True),
    sa.Index("ix_approvals_change", "tenant", "change", "edge", "asked_us"),
    sa.Index("ix_approvals_state", "tenant", "state", "asked_us"),
)

loop_control = sa.Table("loop_control", metadata, _text("name", key=True), _text("value"), _time("at_us"))

loop_processes = sa.Table(
    "loop_processes",
    metadata,
    _text("id", key=True),
    _text("kind"),  # gateway, worker, control
    _text("host"),
    sa.Column("pid", sa.Integer, nullable=False),
    _time("seen_us"),
    _count("kill_epoch"),  # the last one that it acknowledged
    _time("acked_us", null=True),
)

feature_flags = sa.Table(
    "feature_flags",
    metadata,
    _text("tenant", key=True),
    _text("environment", key=True),
    _text("name", key=True),
    _flag("enabled"),
    sa.Column("rollout_percentage", sa.Double, nullable=False),
    sa.Column("conditions", Json, nullable=False),
    sa.Column("metadata", Json, nullable=False),
    _time("updated_us"),
)

learning_events = sa.Table(
    "learning_events",
    metadata,
    sa.Column("id", Serial, primary_key=True),
    _text("tenant"),
    _time("at_us"),
    _text("event_type"),
    _text("category"),
    sa.Column("before_state", Json, nullable=True),
    sa.Column("after_state", Json, nullable=True),
    sa.Column("impact_score", sa.Double, nullable=True),  # empty: not measured
    sa.Index("ix_learning_events_tenant", "tenant", "id"),
)

gates = sa.Table(
    "gates",
    metadata,
    _text("tenant", key=True),
    _text("name", key=True),
    sa.Column("definition", Json, nullable=False),
    sa.Column("baseline", Json, nullable=True),
    _text("state"),  # pass, near, fail, no_data
    _flag("failing"),
    _count("fails"),
    _count("passes"),
    _time("since_us"),
    _time("changed_us"),
    _time("evaluated_us", null=True),
    sa.Column("last", Json, nullable=True),  # the last evaluation
    sa.Column("threshold", sa.Double, nullable=True),  # set by somebody in place of the settings'
    _text("threshold_by", null=True),
)

gate_readings = sa.Table(
    "gate_readings",
    metadata,
    sa.Column("id", Serial, primary_key=True),
    _text("tenant"),
    _text("gate"),
    _time("at_us"),
    _text("state"),
    sa.Column("value", sa.Double, nullable=True),
    sa.Column("low", sa.Double, nullable=True),
    sa.Column("high", sa.Double, nullable=True),
    _count("n"),
    sa.Column("bound", sa.Double, nullable=True),
    _text("reason"),
    sa.Index("ix_gate_readings_gate", "tenant", "gate", "at_us"),
    sa.Index("ix_gate_readings_at", "at_us"),
)

triggers = sa.Table(
    "triggers",
    metadata,
    _text("tenant", key=True),
    _text("name", key=True),
    sa.Column("definition", Json, nullable=False),
    _text("updated_by"),
    _time("updated_us"),
)

findings = sa.Table(
    "findings",
    metadata,
    _text("tenant", key=True),
    _text("id", key=True),
    _time("at_us"),
    _text("metric"),
    _text("gate"),
    sa.Column("body", Json, nullable=False),
    sa.Index("ix_findings_tenant_at", "tenant", "at_us"),
)

trials = sa.Table(
    "trials",
    metadata,
    _text("change", key=True),
    _text("tenant"),
    _text("surface"),
    _text("phase"),  # shadow, trial, watch
    _text("salt"),
    _text("unit"),
    sa.Column("stage", sa.Integer, nullable=False),
    sa.Column("share", sa.Double, nullable=False),
    sa.Column("overlay", Json, nullable=False),
    _flag("live"),
    _time("began_us"),
    _time("updated_us"),
)
_live = sa.text("live")
sa.Index(
    "ix_trials_live",
    trials.c.tenant,
    trials.c.surface,
    unique=True,
    sqlite_where=_live,
    postgresql_where=_live,
)

trial_stages = sa.Table(
    "trial_stages",
    metadata,
    _text("change", key=True),
    _text("phase", key=True),
    sa.Column("stage", sa.Integer, primary_key=True, autoincrement=False),
    _text("tenant"),
    sa.Column("share", sa.Double, nullable=False),
    _time("began_us"),
    _time("ended_us", null=True),
)

model_choices = sa.Table(
    "model_choices",
    metadata,
    _text("tenant", key=True),
    _text("id", key=True),
    _text("model"),
    _text("serve", null=True),
    sa.Column("endpoints", Json, nullable=True),
    _text("task", null=True),
    _flag("active"),
    _text("made_by"),  # id of the change
    _time("made_us"),
    _time("retired_us", null=True),
)
sa.Index(
    "ix_model_choices_active",
    model_choices.c.tenant,
    sqlite_where=sa.text("active"),
    postgresql_where=sa.text("active"),
)

alerts = sa.Table(
    "alerts",
    metadata,
    _text("tenant", key=True),
    _text("fingerprint", key=True),
    _text("name"),
    _text("severity"),  # info, warning, critical
    _text("source"),  # meliora, or alertmanager: what came in is never sent out
    _flag("lasting"),  # it holds until it is resolved; else it happened
    _text("status"),  # firing, resolved
    _text("summary"),
    sa.Column("labels", Json, nullable=False),
    _count("seen"),  # how often it began
    _time("began_us"),
    _time("seen_us"),
    _time("ended_us", null=True),
    _text("told", null=True),  # what people were told last: firing, resolved
    _time("told_us", null=True),  # when they were told last that it fires
    sa.Index("ix_alerts_tenant_seen", "tenant", "seen_us"),
    sa.Index("ix_alerts_told", "told_us"),
)
_untold = sa.text("source = 'meliora' AND (told IS NULL OR told <> status)")
sa.Index("ix_alerts_untold", alerts.c.seen_us, sqlite_where=_untold, postgresql_where=_untold)

alert_outbox = sa.Table(
    "alert_outbox",
    metadata,
    sa.Column("id", Serial, primary_key=True),
    _text("tenant"),
    _text("sink"),
    sa.Column("message", Json, nullable=False),
    _time("made_us"),
    _time("due_us", null=True),  # empty: sent, or given up
    _count("attempts"),
    _text("lease_owner", null=True),
    _time("lease_until_us", null=True),
    _time("sent_us", null=True),
    _text("error", null=True),
    sa.Index("ix_alert_outbox_made", "made_us"),
)
_unsent = sa.text("due_us IS NOT NULL")
sa.Index("ix_alert_outbox_due", alert_outbox.c.due_us, sqlite_where=_unsent, postgresql_where=_unsent)
