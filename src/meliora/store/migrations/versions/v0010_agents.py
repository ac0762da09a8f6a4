"""A key says whether it is an agent's."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column: keys so far are people's."""
    op.add_column("keys", sa.Column("agent", sa.Boolean(), server_default=sa.false(), nullable=False))
