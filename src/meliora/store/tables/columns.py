"""What tables are made of: one metadata for all, and the kinds of columns.

Times are integer microseconds UTC, money integer micro-dollars. Where a grouping column of a roll-up has no value the
row holds an empty string, since NULL cannot be part of a primary key; repositories give it back as None.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Json = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
Serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""SQLite numbers rows by itself only where the type is INTEGER."""

Decimal = sa.DECIMAL(20, 6, asdecimal=False)


def text(name: str, *, null: bool = False, key: bool = False) -> sa.Column[str]:
    """Make a column of text."""
    return sa.Column(name, sa.Text, nullable=null, primary_key=key)


def count(name: str) -> sa.Column[int]:
    """Make a column that counts, from 0."""
    return sa.Column(name, sa.BigInteger, nullable=False, server_default=sa.text("0"))


def number(name: str) -> sa.Column[int]:
    """Make a column of whole numbers that need not be known."""
    return sa.Column(name, sa.BigInteger, nullable=True)


def time(name: str, *, null: bool = False) -> sa.Column[int]:
    """Make a column of microseconds UTC."""
    return sa.Column(name, sa.BigInteger, nullable=null)


def flag(name: str) -> sa.Column[bool]:
    """Make a column of yes or no, which is no by itself."""
    return sa.Column(name, sa.Boolean, nullable=False, server_default=sa.false())
