"""Alerts and their outbox; the impact of what was learned may be unknown."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    with op.batch_alter_table("learning_events") as batch:
        batch.alter_column("impact_score", existing_type=sa.Double(), nullable=True)
    op.create_table(
        "alerts",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("lasting", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("labels", _JSON, nullable=False),
        sa.Column("seen", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("began_us", sa.BigInteger(), nullable=False),
        sa.Column("seen_us", sa.BigInteger(), nullable=False),
        sa.Column("ended_us", sa.BigInteger(), nullable=True),
        sa.Column("told", sa.Text(), nullable=True),
        sa.Column("told_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "fingerprint", name=op.f("pk_alerts")),
    )
    op.create_index("ix_alerts_tenant_seen", "alerts", ["tenant", "seen_us"])
    op.create_index("ix_alerts_told", "alerts", ["told_us"])
    _partial("ix_alerts_untold", "alerts", "seen_us", "source = 'meliora' AND (told IS NULL OR told <> status)")
    op.create_table(
        "alert_outbox",
        sa.Column("id", _SERIAL, nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("sink", sa.Text(), nullable=False),
        sa.Column("message", _JSON, nullable=False),
        sa.Column("made_us", sa.BigInteger(), nullable=False),
        sa.Column("due_us", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("lease_until_us", sa.BigInteger(), nullable=True),
        sa.Column("sent_us", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_outbox")),
    )
    op.create_index("ix_alert_outbox_made", "alert_outbox", ["made_us"])
    _partial("ix_alert_outbox_due", "alert_outbox", "due_us", "due_us IS NOT NULL")


def _partial(name: str, table: str, column: str, where: str) -> None:
    condition = sa.text(where)
    op.create_index(name, table, [column], sqlite_where=condition, postgresql_where=condition)
