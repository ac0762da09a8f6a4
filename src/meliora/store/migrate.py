"""Bring a database to this code's schema, or say why it does not fit."""

from __future__ import annotations

import sqlalchemy as sa


def upgrade(engine: sa.Engine) -> str:
    """Apply what is missing and give the revision reached; safe to run in several processes at once.

    Raises `SchemaMismatch` where the database is newer than this code.
    """
    raise NotImplementedError


def check(engine: sa.Engine) -> None:
    """Raise `SchemaMismatch` unless the database has exactly this code's schema; the hint names what to do."""
    raise NotImplementedError
