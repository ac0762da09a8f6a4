"""Live trials: the arm of a call, the trials and their stages, delivered choices of models, the kill switch."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
_TRIAL = (
    "tenant",
    "trial",
    "trial_phase",
    "trial_stage",
    "arm",
    "trial_unit",
    "ended_us",
    "outcome",
    "cost_micros",
    "started_us",
    "id",
)


def upgrade() -> None:
    """Make the tables."""
    op.add_column("calls", sa.Column("trial", sa.Text(), nullable=True))
    op.add_column("calls", sa.Column("trial_phase", sa.Text(), nullable=True))
    op.add_column("calls", sa.Column("trial_stage", sa.Integer(), nullable=True))
    op.add_column("calls", sa.Column("arm", sa.Text(), nullable=True))
    op.add_column("calls", sa.Column("trial_unit", sa.Text(), nullable=True))
    _partial("ix_calls_trial", "calls", [*_TRIAL], "trial IS NOT NULL")
    op.add_column("gateways", sa.Column("kill_epoch", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    op.add_column("gateways", sa.Column("kill_us", sa.BigInteger(), nullable=True))
    op.create_table(
        "trials",
        sa.Column("change", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("surface", sa.Text(), nullable=False),
        sa.Column("phase", sa.Text(), nullable=False),
        sa.Column("salt", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("stage", sa.Integer(), nullable=False),
        sa.Column("share", sa.Double(), nullable=False),
        sa.Column("overlay", _JSON, nullable=False),
        sa.Column("live", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("began_us", sa.BigInteger(), nullable=False),
        sa.Column("updated_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("change", name=op.f("pk_trials")),
    )
    _partial("ix_trials_live", "trials", ["tenant", "surface"], "live", unique=True)
    op.create_table(
        "trial_stages",
        sa.Column("change", sa.Text(), nullable=False),
        sa.Column("phase", sa.Text(), nullable=False),
        sa.Column("stage", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("share", sa.Double(), nullable=False),
        sa.Column("began_us", sa.BigInteger(), nullable=False),
        sa.Column("ended_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("change", "phase", "stage", name=op.f("pk_trial_stages")),
    )
    op.create_table(
        "model_choices",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("serve", sa.Text(), nullable=True),
        sa.Column("endpoints", _JSON, nullable=True),
        sa.Column("task", sa.Text(), nullable=True),
        sa.Column("active", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("made_us", sa.BigInteger(), nullable=False),
        sa.Column("retired_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_model_choices")),
    )
    _partial("ix_model_choices_active", "model_choices", ["tenant"], "active")


def _partial(name: str, table: str, columns: list[str], where: str, *, unique: bool = False) -> None:
    condition = sa.text(where)
    op.create_index(name, table, columns, unique=unique, sqlite_where=condition, postgresql_where=condition)
