"""Alembic migrations, applied by `migrate`; each runs inside the one transaction that the caller holds."""
