"""What users like: interactions told by applications, resets, and the table of offsets that gateways read."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "preference_interactions",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("kept_us", sa.BigInteger(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("task_type", sa.Text(), nullable=True),
        sa.Column("prompt_hash", sa.Text(), nullable=True),
        sa.Column("prompt_length", sa.BigInteger(), nullable=True),
        sa.Column("response_length", sa.BigInteger(), nullable=True),
        sa.Column("latency_ms", sa.Double(), nullable=True),
        sa.Column("feedback", sa.Text(), nullable=True),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("feedback_us", sa.BigInteger(), nullable=True),
        sa.Column("metadata", _JSON, nullable=True),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_preference_interactions")),
    )
    op.create_index("ix_preference_interactions_user", "preference_interactions", ["tenant", "user_id", "at_us"])
    op.create_index("ix_preference_interactions_at", "preference_interactions", ["tenant", "at_us"])
    op.create_index("ix_preference_interactions_kept", "preference_interactions", ["tenant", "kept_us"])
    op.create_table(
        "preference_resets",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "subject", name=op.f("pk_preference_resets")),
    )
    op.create_table(
        "preference_tables",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("blob", sa.LargeBinary(), nullable=False),
        sa.Column("made_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "number", name=op.f("pk_preference_tables")),
    )
