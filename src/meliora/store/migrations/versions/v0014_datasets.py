"""Data sets of made queries."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "augmented_datasets",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("collection", sa.Text(), nullable=False),
        sa.Column("made_us", sa.BigInteger(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("methods", _JSON, nullable=False),
        sa.Column("target_tokens", _JSON, nullable=False),
        sa.Column("examples", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("quality_score", sa.Double(), nullable=False),
        sa.Column("diversity_score", sa.Double(), nullable=True),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("searched_us", sa.BigInteger(), nullable=True),
        sa.Column("used_for_training", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("used_by", sa.Text(), nullable=True),
        sa.Column("manifest", _JSON, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_augmented_datasets")),
    )
    op.create_index("ix_augmented_datasets_collection", "augmented_datasets", ["tenant", "collection", "made_us"])
    op.create_index("ix_augmented_datasets_sha256", "augmented_datasets", ["tenant", "sha256"])
    op.create_table(
        "augmented_examples",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "sha256", name=op.f("pk_augmented_examples")),
    )
    op.create_table(
        "augmented_people",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "subject", "dataset", name=op.f("pk_augmented_people")),
    )
    op.create_index("ix_augmented_people_dataset", "augmented_people", ["tenant", "dataset"])
