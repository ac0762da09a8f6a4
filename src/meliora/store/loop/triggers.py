"""Triggers that people made or changed, by tenant."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import sqlalchemy as sa

from meliora.errors import NotFound
from meliora.loop.triggers import Trigger
from meliora.store.engine import reading, writing
from meliora.store.rows import insert_into
from meliora.store.tables import triggers


class TriggerTable:
    """Implement `loop.triggers.TriggerRows` on the store."""

    def __init__(self, engine: sa.Engine, clock_us: Callable[[], int]) -> None:
        self._engine = engine
        self._clock_us = clock_us

    def list(self, tenant: str) -> tuple[Trigger, ...]:
        """Give those of a tenant, by name."""
        query = sa.select(_T.definition).where(_T.tenant == tenant).order_by(_T.name)
        with reading(self._engine) as connection:
            return tuple(msgspec.convert(row, Trigger) for row in connection.execute(query).scalars())

    def put(self, tenant: str, trigger: Trigger, actor: str) -> None:
        """Keep one, in the place of the one of its name."""
        values = {
            "definition": msgspec.to_builtins(trigger),
            "updated_by": actor,
            "updated_us": self._clock_us(),
        }
        with writing(self._engine) as connection:
            insert = insert_into(connection, triggers).values(tenant=tenant, name=trigger.name, **values)
            connection.execute(insert.on_conflict_do_update(index_elements=["tenant", "name"], set_=values))

    def delete(self, tenant: str, name: str) -> None:
        """Delete one. Raises `NotFound`."""
        with writing(self._engine) as connection:
            gone = connection.execute(sa.delete(triggers).where(_T.tenant == tenant, _T.name == name))
        if gone.rowcount != 1:
            raise NotFound(f"No trigger {name!r} was made or changed here.")


_T = triggers.c
