"""Run by Alembic: migrate over the connection that `migrate` holds. Opens none of its own."""

from __future__ import annotations

from alembic import context

from meliora.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, compare_type=True)
with context.begin_transaction():
    context.run_migrations()
