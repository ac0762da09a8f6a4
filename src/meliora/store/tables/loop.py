"""What goes through the loop: cycles, changes with their edges, gates, findings, trials."""

from __future__ import annotations

import sqlalchemy as sa

from meliora.store.tables.columns import Json, Serial, count, flag, metadata, text, time

cycles = sa.Table(
    "cycles",
    metadata,
    text("id", key=True),  # si_2026_11_26_001
    text("tenant"),
    text("environment"),
    text("origin_kind"),
    text("origin_name"),
    text("subject"),  # what it is about: a gate, a target
    sa.Column("kinds", Json, nullable=False),  # kinds of change to try, in order
    sa.Column("breach", Json, nullable=True),  # what was measured when it opened
    text("finding", null=True),
    text("outcome", null=True),  # improved, unchanged, rolled_back, stopped; empty while it is open
    sa.Column("notes", Json, nullable=True),
    time("opened_us"),
    time("closed_us", null=True),
    sa.Index("ix_cycles_tenant_opened", "tenant", "opened_us"),
)
_open = sa.text("closed_us IS NULL")
sa.Index("ix_cycles_open", cycles.c.opened_us, sqlite_where=_open, postgresql_where=_open)

changes = sa.Table(
    "changes",
    metadata,
    text("id", key=True),
    text("tenant"),
    text("kind"),
    text("target"),
    text("surface"),
    text("environment"),
    text("origin_kind"),
    text("origin_name"),
    text("state"),
    text("summary"),
    sa.Column("payload", Json, nullable=False),
    text("baseline", null=True),
    text("candidate", null=True),
    text("paused_from", null=True),
    text("reason", null=True),
    text("cycle", null=True),
    text("finding", null=True),
    sa.Column("progress", Json, nullable=False),
    count("attempt"),
    time("due_us", null=True),
    text("lease_owner", null=True),
    time("lease_until_us", null=True),
    time("created_us"),
    time("updated_us"),
    sa.Index("ix_changes_tenant_created", "tenant", "created_us"),
    sa.Index("ix_changes_tenant_state", "tenant", "state", "updated_us"),
    sa.Index("ix_changes_cycle", "cycle"),
)
_due = sa.text("due_us IS NOT NULL")
sa.Index("ix_changes_due", changes.c.due_us, sqlite_where=_due, postgresql_where=_due)

change_edges = sa.Table(
    "change_edges",
    metadata,
    text("change", key=True),
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    text("tenant"),
    text("source"),
    text("target"),
    time("at_us"),
    text("actor"),
    count("attempt"),
    text("evidence"),  # JSON in its one form, byte by byte as it was hashed
    text("policy", null=True),
    sa.Index("ix_change_edges_tenant_at", "tenant", "at_us"),
)

change_holds = sa.Table(
    "change_holds",
    metadata,
    text("tenant", key=True),
    text("surface", key=True),
    text("change"),
)

gates = sa.Table(
    "gates",
    metadata,
    text("tenant", key=True),
    text("name", key=True),
    sa.Column("definition", Json, nullable=False),
    sa.Column("baseline", Json, nullable=True),
    text("state"),  # pass, near, fail, no_data
    flag("failing"),
    count("fails"),
    count("passes"),
    time("since_us"),
    time("changed_us"),
    time("evaluated_us", null=True),
    sa.Column("last", Json, nullable=True),  # the last evaluation
    sa.Column("threshold", sa.Double, nullable=True),  # set by somebody in place of the settings'
    text("threshold_by", null=True),
)

gate_readings = sa.Table(
    "gate_readings",
    metadata,
    sa.Column("id", Serial, primary_key=True),
    text("tenant"),
    text("gate"),
    time("at_us"),
    text("state"),
    sa.Column("value", sa.Double, nullable=True),
    sa.Column("low", sa.Double, nullable=True),
    sa.Column("high", sa.Double, nullable=True),
    count("n"),
    sa.Column("bound", sa.Double, nullable=True),
    text("reason"),
    sa.Index("ix_gate_readings_gate", "tenant", "gate", "at_us"),
    sa.Index("ix_gate_readings_at", "at_us"),
)

triggers = sa.Table(
    "triggers",
    metadata,
    text("tenant", key=True),
    text("name", key=True),
    sa.Column("definition", Json, nullable=False),
    text("updated_by"),
    time("updated_us"),
)

findings = sa.Table(
    "findings",
    metadata,
    text("tenant", key=True),
    text("id", key=True),
    time("at_us"),
    text("metric"),
    text("gate"),
    sa.Column("body", Json, nullable=False),
    sa.Index("ix_findings_tenant_at", "tenant", "at_us"),
)

trials = sa.Table(
    "trials",
    metadata,
    text("change", key=True),
    text("tenant"),
    text("surface"),
    text("phase"),  # shadow, trial, watch
    text("salt"),
    text("unit"),
    sa.Column("stage", sa.Integer, nullable=False),
    sa.Column("share", sa.Double, nullable=False),
    sa.Column("overlay", Json, nullable=False),
    flag("live"),
    time("began_us"),
    time("updated_us"),
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
    text("change", key=True),
    text("phase", key=True),
    sa.Column("stage", sa.Integer, primary_key=True, autoincrement=False),
    text("tenant"),
    sa.Column("share", sa.Double, nullable=False),
    time("began_us"),
    time("ended_us", null=True),
)
