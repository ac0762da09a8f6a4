"""Policies as they were when they decided, by the hash that the audit names: without them no decision could be taken again."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from meliora.store.engine import reading, writing
from meliora.store.rows import insert_into
from meliora.store.tables import policy_bundles


class PolicyBundles:
    """Keep the text of each set of policies that was in force. They belong to the deployment; none is ever changed."""

    def __init__(self, engine: sa.Engine, clock_us: Callable[[], int]) -> None:
        self._engine = engine
        self._clock_us = clock_us

    def keep(self, sha256: str, text: str) -> None:
        """Keep a text under its hash; safe to repeat."""
        with reading(self._engine) as connection:
            known = connection.execute(sa.select(policy_bundles.c.sha256).where(policy_bundles.c.sha256 == sha256))
            if known.first() is not None:
                return
        with writing(self._engine) as connection:
            insert = insert_into(connection, policy_bundles)
            row = insert.values(sha256=sha256, text=text, kept_us=self._clock_us())
            connection.execute(row.on_conflict_do_nothing())

    def text(self, sha256: str) -> str | None:
        """Give the text of a hash; None where it was never in force here."""
        query = sa.select(policy_bundles.c.text).where(policy_bundles.c.sha256 == sha256)
        with reading(self._engine) as connection:
            return connection.execute(query).scalar_one_or_none()
