"""What decides where calls go: rules, snapshots, what is learned from outcomes and likings, delivered choices of models."""

from __future__ import annotations

import sqlalchemy as sa

from meliora.store.tables.columns import Json, count, flag, metadata, number, text, time

routing_rules = sa.Table(
    "routing_rules",
    metadata,
    text("id", key=True),
    text("tenant"),
    text("pattern"),
    text("preferred_layer", null=True),
    text("preferred_model", null=True),
    sa.Column("priority", sa.Integer, nullable=False, server_default=sa.text("0")),
    sa.Column("active", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Column("applies_to", sa.Text, nullable=False, server_default=sa.text("'auto'")),
    sa.Column("metadata", Json, nullable=True),
    time("created_at"),
    time("updated_at"),
    sa.UniqueConstraint("tenant", "pattern"),
)

routing_snapshots = sa.Table(
    "routing_snapshots",
    metadata,
    text("tenant", key=True),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    number("parent"),
    sa.Column(
        "anchor", sa.BigInteger, nullable=False
    ),  # the snapshot that a person or a fit made and this one was learned from
    text("kind"),  # fit, calibrated, prior, online
    text("state"),  # candidate, serving, retired
    sa.Column("blob", sa.LargeBinary, nullable=True),  # dropped from online ones that are long superseded
    text("sha256"),
    count("bytes"),
    count("learned_seq"),  # outcomes up to this number are in it, or shall not come into what is learned from it
    sa.Column("evidence", Json, nullable=True),
    text("made_by"),
    time("made_us"),
    number("replaced"),  # what served before it; empty: nothing did
    time("served_us", null=True),  # since when it serves, or served last
    time("retired_us", null=True),
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
    text("call_id", key=True),
    text("tenant"),
    text("key_id"),
    text("user_id", null=True),
    text("session_id", null=True),
    text("prompt_hash", null=True),
    time("started_us"),
    text("task", null=True),
    text("model"),  # that answered; where none did, the one that was chosen
    text("outcome"),
    number("cost_micros"),
    number("latency_us"),
    sa.Column("snapshot", sa.BigInteger, nullable=False),
    text("trunk"),
    sa.Column("phi", sa.LargeBinary, nullable=False),  # float16, little-endian
    sa.Column("candidates", Json, nullable=False),
    text("decided_by"),
    flag("explored"),
    sa.Column("reward", sa.Double, nullable=True),
    sa.Column("weight", sa.Double, nullable=True),
    text("source", null=True),  # feedback, scorer:NAME, retry, failure
    number("seq"),  # order in which outcomes were first rewarded
    number("changed"),  # number of the reward's last change
    count("touched"),
    count("settled"),  # of `touched`, what the reward has seen
    sa.Column("slot", sa.Integer, nullable=False),  # see `slots`
    time("again_us", null=True),  # when the same user or session sent the same prompt again
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
    text("call_id", key=True),
    text("scorer", key=True),
    text("tenant"),
    sa.Column("value", sa.Double, nullable=True),  # null: the scorer could not say
    text("reason", null=True),
    time("made_us"),
    sa.Index("ix_routing_scores_tenant_scorer", "tenant", "scorer"),
)

preference_interactions = sa.Table(
    "preference_interactions",
    metadata,
    text("tenant", key=True),
    text("id", key=True),
    text("user_id", null=True),
    time("at_us"),
    time("kept_us"),
    text("model"),
    text("task_type", null=True),
    text("prompt_hash", null=True),
    number("prompt_length"),
    number("response_length"),
    sa.Column("latency_ms", sa.Double, nullable=True),
    text("feedback", null=True),
    sa.Column("value", sa.Double, nullable=True),
    time("feedback_us", null=True),
    sa.Column("metadata", Json, nullable=True),
    sa.Index("ix_preference_interactions_user", "tenant", "user_id", "at_us"),
    sa.Index("ix_preference_interactions_at", "tenant", "at_us"),
    sa.Index("ix_preference_interactions_kept", "tenant", "kept_us"),
)

preference_resets = sa.Table(
    "preference_resets",
    metadata,
    text("tenant", key=True),
    text("subject", key=True),  # keyed hash of tenant and user
    time("at_us"),
)

preference_tables = sa.Table(
    "preference_tables",
    metadata,
    text("tenant", key=True),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    text("sha256"),
    sa.Column("blob", sa.LargeBinary, nullable=False),
    time("made_us"),
)

model_choices = sa.Table(
    "model_choices",
    metadata,
    text("tenant", key=True),
    text("id", key=True),
    text("model"),
    text("serve", null=True),
    sa.Column("endpoints", Json, nullable=True),
    text("task", null=True),
    flag("active"),
    text("made_by"),  # id of the change
    time("made_us"),
    time("retired_us", null=True),
)
sa.Index(
    "ix_model_choices_active",
    model_choices.c.tenant,
    sqlite_where=sa.text("active"),
    postgresql_where=sa.text("active"),
)
