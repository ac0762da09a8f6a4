"""The index of documents may be kept in PostgreSQL."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    _states()
    _content()
    if op.get_bind().dialect.name == "postgresql":
        # What is read with every query is not to be unpacked first; it hardly shrinks.
        for column in ("rows", "times"):
            op.execute(f"ALTER TABLE index_postings ALTER COLUMN {column} SET STORAGE EXTERNAL")
        op.execute("ALTER TABLE index_files ALTER COLUMN data SET STORAGE EXTERNAL")


def _states() -> None:
    """Generations, and the states that each goes through."""
    op.create_table(
        "index_generations",
        sa.Column("id", _SERIAL, nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("collection", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("state", sa.BigInteger(), nullable=False),
        sa.Column("serves", sa.Boolean(), nullable=False),
        sa.Column("replaced_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_index_generations")),
    )
    op.create_index("ix_index_generations_name", "index_generations", ["tenant", "collection", "name"])
    op.create_table(
        "index_states",
        sa.Column("generation", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("state", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("made_us", sa.BigInteger(), nullable=False),
        sa.Column("manifest", sa.LargeBinary(), nullable=False),
        sa.Column("alive", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("generation", "state", name=op.f("pk_index_states")),
    )


def _content() -> None:
    """What states consist of."""
    op.create_table(
        "index_files",
        sa.Column("generation", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("generation", "name", name=op.f("pk_index_files")),
    )
    op.create_table(
        "index_passages",
        sa.Column("generation", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("row", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.LargeBinary(), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.Column("died", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("generation", "row", name=op.f("pk_index_passages")),
    )
    op.create_index("ix_index_passages_document", "index_passages", ["generation", "document"])
    op.create_index("ix_index_passages_key", "index_passages", ["generation", "key"])
    op.create_index(
        "ix_index_passages_died",
        "index_passages",
        ["generation", "died"],
        sqlite_where=sa.text("died IS NOT NULL"),
        postgresql_where=sa.text("died IS NOT NULL"),
    )
    op.create_table(
        "index_postings",
        sa.Column("generation", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("part", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("leg", sa.Text(), nullable=False),
        sa.Column("term", sa.LargeBinary(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.LargeBinary(), nullable=False),
        sa.Column("times", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("generation", "part", "leg", "term", name=op.f("pk_index_postings")),
    )
