"""Learned routing: snapshots of policies, outcomes of their decisions, scores, and a dial for each key."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    """Make the tables, and give calls and keys what they lack."""
    op.add_column("calls", sa.Column("routing", _JSON, nullable=True))
    op.add_column("calls", sa.Column("legs", _JSON, nullable=True))
    op.add_column("keys", sa.Column("quality_floor", sa.Double(), nullable=True))
    op.add_column("keys", sa.Column("willingness_to_pay", sa.Double(), nullable=True))
    _snapshots()
    _outcomes()
    _scores()


def _snapshots() -> None:
    op.create_table(
        "routing_snapshots",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("parent", sa.BigInteger(), nullable=True),
        sa.Column("anchor", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("blob", sa.LargeBinary(), nullable=True),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("learned_seq", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("evidence", _JSON, nullable=True),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("made_us", sa.BigInteger(), nullable=False),
        sa.Column("replaced", sa.BigInteger(), nullable=True),
        sa.Column("served_us", sa.BigInteger(), nullable=True),
        sa.Column("retired_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "number", name="pk_routing_snapshots"),
    )
    serving = sa.text("state = 'serving'")
    op.create_index(
        "ix_routing_snapshots_serving",
        "routing_snapshots",
        ["tenant"],
        unique=True,
        sqlite_where=serving,
        postgresql_where=serving,
    )


def _outcomes() -> None:
    op.create_table(
        "routing_outcomes",
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("session_id", sa.Text(), nullable=True),
        sa.Column("prompt_hash", sa.Text(), nullable=True),
        sa.Column("started_us", sa.BigInteger(), nullable=False),
        sa.Column("task", sa.Text(), nullable=True),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("cost_micros", sa.BigInteger(), nullable=True),
        sa.Column("latency_us", sa.BigInteger(), nullable=True),
        sa.Column("snapshot", sa.BigInteger(), nullable=False),
        sa.Column("trunk", sa.Text(), nullable=False),
        sa.Column("phi", sa.LargeBinary(), nullable=False),
        sa.Column("candidates", _JSON, nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=False),
        sa.Column("explored", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("reward", sa.Double(), nullable=True),
        sa.Column("weight", sa.Double(), nullable=True),
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column("seq", sa.BigInteger(), nullable=True),
        sa.Column("changed", sa.BigInteger(), nullable=True),
        sa.Column("touched", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("settled", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("again_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("call_id", name="pk_routing_outcomes"),
    )
    op.create_index("ix_routing_outcomes_tenant_changed", "routing_outcomes", ["tenant", "changed"])
    op.create_index("ix_routing_outcomes_tenant_started", "routing_outcomes", ["tenant", "started_us"])
    unsettled = sa.text("touched > settled")
    op.create_index(
        "ix_routing_outcomes_unsettled",
        "routing_outcomes",
        ["started_us"],
        sqlite_where=unsettled,
        postgresql_where=unsettled,
    )
    once = sa.text("prompt_hash IS NOT NULL AND again_us IS NULL")
    op.create_index(
        "ix_routing_outcomes_prompt",
        "routing_outcomes",
        ["tenant", "slot", "prompt_hash"],
        sqlite_where=once,
        postgresql_where=once,
    )


def _scores() -> None:
    op.create_table(
        "routing_scores",
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("scorer", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("made_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("call_id", "scorer", name="pk_routing_scores"),
    )
    op.create_index("ix_routing_scores_tenant_scorer", "routing_scores", ["tenant", "scorer"])
