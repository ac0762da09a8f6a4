"""How a deployment runs: spool, gateways, what was done by hand, whom it has erased."""

from __future__ import annotations

import sqlalchemy as sa

from meliora.store.tables.columns import Json, Serial, count, metadata, text, time

spool_segments = sa.Table(
    "spool_segments",
    metadata,
    text("segment", key=True),
    sa.Column("offset", sa.BigInteger, nullable=False),
    time("updated_us"),
    time("done_us", null=True),
)

gateways = sa.Table(
    "gateways",
    metadata,
    text("id", key=True),
    text("version"),
    sa.Column("format", sa.Integer, nullable=False),
    text("host"),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("breakers", Json, nullable=True),
    sa.Column("counters", Json, nullable=True),
    time("started_us"),
    time("seen_us"),
    count("kill_epoch"),  # the turn of the kill switch that it serves by
    time("kill_us", null=True),  # when it said so first
)

activity_log = sa.Table(
    "activity_log",
    metadata,
    sa.Column("id", Serial, primary_key=True),
    text("tenant"),
    time("at"),
    text("actor"),
    text("action"),
    text("subject"),
    sa.Column("detail", Json, nullable=True),
    sa.Index("ix_activity_log_tenant", "tenant", "id"),
)

deployment = sa.Table("deployment", metadata, text("name", key=True), text("value"))

erasures = sa.Table(
    "erasures",
    metadata,
    sa.Column("id", Serial, primary_key=True),
    text("tenant"),
    sa.Column("subject", sa.Text, nullable=False, index=True),  # keyed hash of tenant and user
    time("at"),
    sa.Column("counts", Json, nullable=True),
)
