"""Shadow calls: what candidates would have answered, kept apart from the calls that were."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "shadow_calls",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("parent", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("gateway", sa.Text(), nullable=False),
        sa.Column("started_us", sa.BigInteger(), nullable=False),
        sa.Column("ended_us", sa.BigInteger(), nullable=True),
        sa.Column("trial", sa.Text(), nullable=False),
        sa.Column("stage", sa.Integer(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("same", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("shown_model", sa.Text(), nullable=True),
        sa.Column("shown_outcome", sa.Text(), nullable=True),
        sa.Column("shown_cost_micros", sa.BigInteger(), nullable=True),
        sa.Column("shown_latency_us", sa.BigInteger(), nullable=True),
        sa.Column("shown_reward", sa.Double(), nullable=True),
        sa.Column("dialect", sa.Text(), nullable=True),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("endpoint", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("task", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("finish_reason", sa.Text(), nullable=True),
        sa.Column("tokens_in", sa.BigInteger(), nullable=True),
        sa.Column("tokens_out", sa.BigInteger(), nullable=True),
        sa.Column("cost_micros", sa.BigInteger(), nullable=True),
        sa.Column("reward", sa.Double(), nullable=True),
        sa.Column("scores", _JSON, nullable=True),
        sa.Column("scored_us", sa.BigInteger(), nullable=True),
        sa.Column("content", sa.Text(), nullable=True),
        sa.Column("response_text", sa.Text(), nullable=True),
        sa.Column("truncated", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shadow_calls")),
    )
    op.create_index("ix_shadow_calls_trial", "shadow_calls", ["tenant", "trial", "unit"])
    op.create_index("ix_shadow_calls_parent", "shadow_calls", ["parent"])
    op.create_index("ix_shadow_calls_started", "shadow_calls", ["started_us"])
    unscored = sa.text("scored_us IS NULL AND state = 'finished' AND NOT same")
    op.create_index(
        "ix_shadow_calls_unscored",
        "shadow_calls",
        ["tenant", "started_us"],
        sqlite_where=unscored,
        postgresql_where=unscored,
    )
