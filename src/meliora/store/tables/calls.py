"""Calls, what was said in them, their shadows, and the words that people gave on them."""

from __future__ import annotations

import sqlalchemy as sa

from meliora.store.tables.columns import Json, Serial, count, flag, metadata, number, text, time

calls = sa.Table(
    "calls",
    metadata,
    text("id", key=True),
    text("tenant"),
    text("state"),  # open, finished, lost
    sa.Column("seq", sa.BigInteger, nullable=False),  # order of ingest, for `tail`
    text("key_id"),
    text("gateway"),
    time("started_us"),
    sa.Column("slot", sa.Integer, nullable=False),  # see `slots`
    time("ended_us", null=True),
    text("dialect"),
    text("model_asked"),
    text("outcome", null=True),
    sa.Column("status", sa.Integer, nullable=True),
    flag("stream"),
    text("model", null=True),
    text("provider", null=True),
    text("endpoint", null=True),
    text("tier", null=True),
    text("task", null=True),
    text("reason", null=True),
    text("rule_id", null=True),
    text("observed_model", null=True),
    sa.Column("confidence", sa.Double, nullable=True),
    sa.Column("attempts", Json, nullable=True),
    number("ttft_us"),
    number("overhead_us"),
    number("tokens_in"),
    number("tokens_out"),
    number("tokens_cached"),
    number("tokens_cache_write"),
    number("tokens_reasoning"),
    text("usage_source", null=True),
    number("cost_micros"),
    text("error_code", null=True),
    text("error_message", null=True),
    text("finish_reason", null=True),
    text("response_id", null=True),
    text("message_id", null=True),
    text("user_id", null=True),
    text("session_id", null=True),
    text("feature", null=True),
    sa.Column("tags", Json, nullable=True),
    text("trace_id", null=True),
    text("span_id", null=True),
    text("parent_span_id", null=True),
    number("request_bytes"),
    number("response_bytes"),
    number("chunks"),
    text("prompt_hash", null=True),
    sa.Column("features", Json, nullable=True),
    flag("cached"),
    flag("simulated"),
    sa.Column("loss", Json, nullable=True),
    text("content", null=True),  # off, redacted, full; erased
    sa.Column("routing", Json, nullable=True),  # how the learned policy decided, without what it read in the prompt
    sa.Column("legs", Json, nullable=True),
    text("trial", null=True),  # id of the change on trial or under watch
    text("trial_phase", null=True),
    sa.Column("trial_stage", sa.Integer, nullable=True),
    text("arm", null=True),  # candidate, baseline
    text("trial_unit", null=True),  # hash of who was put in the arm
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
    text("id", key=True),
    text("tenant"),
    text("parent"),  # the call that was answered
    text("state"),  # open, finished, lost
    text("gateway"),
    time("started_us"),
    time("ended_us", null=True),
    text("trial"),
    sa.Column("stage", sa.Integer, nullable=False),
    text("unit"),
    flag("same"),  # the candidate decided as the baseline did: no second call
    text("shown_model", null=True),
    text("shown_outcome", null=True),
    number("shown_cost_micros"),
    number("shown_latency_us"),
    sa.Column("shown_reward", sa.Double, nullable=True),
    text("dialect", null=True),
    text("model", null=True),
    text("endpoint", null=True),
    text("reason", null=True),
    text("task", null=True),
    text("outcome", null=True),
    sa.Column("status", sa.Integer, nullable=True),
    text("error_code", null=True),
    text("finish_reason", null=True),
    number("tokens_in"),
    number("tokens_out"),
    number("cost_micros"),
    sa.Column("reward", sa.Double, nullable=True),
    sa.Column("scores", Json, nullable=True),  # by scorer: shown, shadow
    time("scored_us", null=True),
    text("content", null=True),
    text("response_text", null=True),
    flag("truncated"),
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
    text("tenant", key=True),
    sa.Column("slot", sa.Integer, primary_key=True, autoincrement=False),
)

call_contents = sa.Table(
    "call_contents",
    metadata,
    text("call_id", key=True),
    text("tenant"),
    sa.Column("started_us", sa.BigInteger, nullable=False, index=True),
    text("content"),
    text("request_text", null=True),
    text("response_text", null=True),
    flag("truncated"),
    count("masked"),
)

feedback = sa.Table(
    "feedback",
    metadata,
    sa.Column("id", Serial, primary_key=True),
    text("tenant"),
    text("call_id"),
    text("message_id", null=True),
    text("user_id", null=True),
    text("feedback_type"),
    sa.Column("value", sa.Double, nullable=False),
    text("model_used", null=True),
    text("task_type", null=True),
    number("response_length"),
    text("comment", null=True),
    sa.Column("metadata", Json, nullable=True),
    flag("pending"),  # its call is not ingested yet
    time("created_at"),
    time("updated_at"),
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
    text("tenant"),
    text("call_id"),
    text("user_id", null=True),
    text("feedback_type"),
    sa.Column("value", sa.Double, nullable=False),
    text("comment", null=True),
    sa.Column("metadata", Json, nullable=True),
    time("given_at"),
    sa.Index("ix_feedback_history_tenant_call", "tenant", "call_id"),
    sa.Index("ix_feedback_history_tenant_user", "tenant", "user_id"),
)
