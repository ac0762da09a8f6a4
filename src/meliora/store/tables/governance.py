"""What governs the loop: the audit, approvals, the kill switch, flags, what was learned."""

from __future__ import annotations

import sqlalchemy as sa

from meliora.store.tables.columns import Json, Serial, count, flag, metadata, text, time

audit_entries = sa.Table(
    "audit_entries",
    metadata,
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    text("tenant"),
    time("at_us"),
    text("actor"),
    text("action"),
    text("subject"),
    text("body"),  # canonical JSON, kept as text: the hash is over these very bytes
    text("prev"),
    text("hash"),
    sa.Index("ix_audit_entries_subject", "tenant", "subject", "seq"),
    sa.Index("ix_audit_entries_at", "at_us"),
)

audit_head = sa.Table(
    "audit_head",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),  # 1
    sa.Column("seq", sa.BigInteger, nullable=False),
    text("hash"),
)

policy_bundles = sa.Table(
    "policy_bundles",
    metadata,
    text("sha256", key=True),
    text("text"),
    time("kept_us"),
)

approvals = sa.Table(
    "approvals",
    metadata,
    text("id", key=True),
    text("tenant"),
    text("change"),
    text("edge"),
    text("state"),  # asked, approved, rejected; one that has run out is still asked
    text("asked_by"),
    text("asked_why"),
    time("asked_us"),
    time("expires_us"),
    text("decided_by", null=True),
    time("decided_us", null=True),
    text("decided_why", null=True),
    sa.Index("ix_approvals_change", "tenant", "change", "edge", "asked_us"),
    sa.Index("ix_approvals_state", "tenant", "state", "asked_us"),
)

loop_control = sa.Table("loop_control", metadata, text("name", key=True), text("value"), time("at_us"))

loop_processes = sa.Table(
    "loop_processes",
    metadata,
    text("id", key=True),
    text("kind"),  # gateway, worker, control
    text("host"),
    sa.Column("pid", sa.Integer, nullable=False),
    time("seen_us"),
    count("kill_epoch"),  # the last one that it acknowledged
    time("acked_us", null=True),
)

feature_flags = sa.Table(
    "feature_flags",
    metadata,
    text("tenant", key=True),
    text("environment", key=True),
    text("name", key=True),
    flag("enabled"),
    sa.Column("rollout_percentage", sa.Double, nullable=False),
    sa.Column("conditions", Json, nullable=False),
    sa.Column("metadata", Json, nullable=False),
    time("updated_us"),
)

learning_events = sa.Table(
    "learning_events",
    metadata,
    sa.Column("id", Serial, primary_key=True),
    text("tenant"),
    time("at_us"),
    text("event_type"),
    text("category"),
    sa.Column("before_state", Json, nullable=True),
    sa.Column("after_state", Json, nullable=True),
    sa.Column("impact_score", sa.Double, nullable=True),  # empty: not measured
    sa.Index("ix_learning_events_tenant", "tenant", "id"),
)
