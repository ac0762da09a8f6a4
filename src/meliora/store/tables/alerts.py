"""What people are told, and the outbox that it goes out by."""

from __future__ import annotations

import sqlalchemy as sa

from meliora.store.tables.columns import Json, Serial, count, flag, metadata, text, time

alerts = sa.Table(
    "alerts",
    metadata,
    text("tenant", key=True),
    text("fingerprint", key=True),
    text("name"),
    text("severity"),  # info, warning, critical
    text("source"),  # meliora, or alertmanager: what came in is never sent out
    flag("lasting"),  # it holds until it is resolved; else it happened
    text("status"),  # firing, resolved
    text("summary"),
    sa.Column("labels", Json, nullable=False),
    count("seen"),  # how often it began
    time("began_us"),
    time("seen_us"),
    time("ended_us", null=True),
    text("told", null=True),  # what people were told last: firing, resolved
    time("told_us", null=True),  # when they were told last that it fires
    sa.Index("ix_alerts_tenant_seen", "tenant", "seen_us"),
    sa.Index("ix_alerts_told", "told_us"),
)
_untold = sa.text("source = 'meliora' AND (told IS NULL OR told <> status)")
sa.Index("ix_alerts_untold", alerts.c.seen_us, sqlite_where=_untold, postgresql_where=_untold)

alert_outbox = sa.Table(
    "alert_outbox",
    metadata,
    sa.Column("id", Serial, primary_key=True),
    text("tenant"),
    text("sink"),
    sa.Column("message", Json, nullable=False),
    time("made_us"),
    time("due_us", null=True),  # empty: sent, or given up
    count("attempts"),
    text("lease_owner", null=True),
    time("lease_until_us", null=True),
    time("sent_us", null=True),
    text("error", null=True),
    sa.Index("ix_alert_outbox_made", "made_us"),
)
_unsent = sa.text("due_us IS NOT NULL")
sa.Index("ix_alert_outbox_due", alert_outbox.c.due_us, sqlite_where=_unsent, postgresql_where=_unsent)
