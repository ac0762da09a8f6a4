"""What the comparison of a collection's documents found, and who is at it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "knowledge_comparisons",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("collection", sa.Text(), nullable=False),
        sa.Column("compared_us", sa.BigInteger(), nullable=True),
        sa.Column("latest", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("documents", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("left_out", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("lease_until_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "collection", name=op.f("pk_knowledge_comparisons")),
    )
    op.create_table(
        "knowledge_doubles",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("collection", sa.Text(), nullable=False),
        sa.Column("archived", sa.Text(), nullable=False),
        sa.Column("kept", sa.Text(), nullable=False),
        sa.Column("containment", sa.Double(), nullable=False),
        sa.Column("ratio", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "collection", "archived", name=op.f("pk_knowledge_doubles")),
    )
    op.create_index("ix_knowledge_doubles_kept", "knowledge_doubles", ["tenant", "collection", "kept"])
