"""Who may call, and what that may cost."""

from __future__ import annotations

import sqlalchemy as sa

from meliora.store.tables.columns import Json, count, flag, metadata, number, text, time

keys = sa.Table(
    "keys",
    metadata,
    text("id", key=True),
    text("tenant"),
    text("name"),
    text("prefix"),
    sa.Column("scopes", Json, nullable=False),
    sa.Column("models", Json, nullable=True),
    sa.Column("regions", Json, nullable=True),
    number("requests_per_minute"),
    number("tokens_per_minute"),
    number("concurrent"),
    number("budget_day_micros"),
    number("budget_month_micros"),
    flag("allow_loss"),
    sa.Column("explore", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Column("quality_floor", sa.Double, nullable=True),
    sa.Column("willingness_to_pay", sa.Double, nullable=True),
    time("expires_us", null=True),
    text("feature", null=True),
    flag("agent"),
    time("created_us"),
    time("updated_us"),
    time("revoked_us", null=True),
    sa.Index("ix_keys_tenant", "tenant", "created_us"),
)

key_hashes = sa.Table(
    "key_hashes",
    metadata,
    text("sha256", key=True),
    text("tenant"),
    sa.Column("key_id", sa.Text, nullable=False, index=True),
    time("until_us", null=True),
)

budget_usage = sa.Table(
    "budget_usage",
    metadata,
    text("key_id", key=True),
    text("period", key=True),
    text("tenant"),
    count("spent_micros"),
    time("updated_us"),
)

budget_leases = sa.Table(
    "budget_leases",
    metadata,
    text("key_id", key=True),
    text("period", key=True),
    text("gateway", key=True),
    text("tenant"),
    count("held_micros"),  # granted, not reported as spent
    count("reported_micros"),
    count("recorded_micros"),  # what its recorded calls cost, as of its reclaim
    time("updated_us"),
)
