"""What must hold: gates and how they stand, their readings, and the triggers that were changed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    zero = sa.text("0")
    op.create_table(
        "gates",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("definition", _JSON, nullable=False),
        sa.Column("baseline", _JSON, nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("failing", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("fails", sa.BigInteger(), server_default=zero, nullable=False),
        sa.Column("passes", sa.BigInteger(), server_default=zero, nullable=False),
        sa.Column("since_us", sa.BigInteger(), nullable=False),
        sa.Column("changed_us", sa.BigInteger(), nullable=False),
        sa.Column("evaluated_us", sa.BigInteger(), nullable=True),
        sa.Column("last", _JSON, nullable=True),
        sa.Column("threshold", sa.Double(), nullable=True),
        sa.Column("threshold_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "name", name=op.f("pk_gates")),
    )
    op.create_table(
        "gate_readings",
        sa.Column("id", _SERIAL, nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("gate", sa.Text(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("low", sa.Double(), nullable=True),
        sa.Column("high", sa.Double(), nullable=True),
        sa.Column("n", sa.BigInteger(), server_default=zero, nullable=False),
        sa.Column("bound", sa.Double(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gate_readings")),
    )
    op.create_index("ix_gate_readings_gate", "gate_readings", ["tenant", "gate", "at_us"])
    op.create_index("ix_gate_readings_at", "gate_readings", ["at_us"])
    op.create_table(
        "triggers",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("definition", _JSON, nullable=False),
        sa.Column("updated_by", sa.Text(), nullable=False),
        sa.Column("updated_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "name", name=op.f("pk_triggers")),
    )
