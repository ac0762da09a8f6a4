"""Delivered choices of models: which other model, or which endpoints, answer for a name. Kept when they are taken back, for the record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from meliora.errors import Conflict, InvalidRequest
from meliora.gateway.state import ChoiceState
from meliora.store.engine import reading, writing
from meliora.store.loop.trials import Fenced, unfenced
from meliora.store.rows import AnyRow
from meliora.store.tables import model_choices


class ModelChoice(msgspec.Struct, frozen=True, kw_only=True):
    """A choice as it is kept."""

    state: ChoiceState
    active: bool
    made_by: str
    """Id of the change that delivered it."""
    made_us: int
    retired_us: int | None


class ModelChoices:
    """Keep choices."""

    def __init__(self, engine: sa.Engine, clock_us: Callable[[], int]) -> None:
        self._engine = engine
        self._clock_us = clock_us

    def put(self, tenant: str, choice: ChoiceState, made_by: str, fenced: Fenced = unfenced) -> None:
        """As `put_in`, in a transaction of its own."""
        with writing(self._engine) as connection:
            fenced(connection)
            self.put_in(tenant, connection, choice, made_by)

    def put_in(self, tenant: str, connection: sa.Connection, choice: ChoiceState, made_by: str) -> None:
        """Put a choice in service, once however often it is called; one that was taken back serves again.

        Raises `Conflict` where the id stands for another choice, `InvalidRequest` for one of another tenant or that chooses nothing.
        """
        if choice.tenant != tenant:
            raise InvalidRequest(f"The choice {choice.id} is of another tenant.", field="tenant")
        if choice.serve is None and not choice.endpoints:
            raise InvalidRequest(f"The choice {choice.id} names neither a model nor an endpoint.", field="serve")
        own = sa.and_(_T.tenant == tenant, _T.id == choice.id)
        row = connection.execute(sa.select(model_choices).where(own)).one_or_none()
        serving: dict[str, Any] = {"active": True, "made_by": made_by, "made_us": self._clock_us(), "retired_us": None}
        if row is None:
            values = {"model": choice.model, "serve": choice.serve, "endpoints": choice.endpoints, "task": choice.task}
            connection.execute(sa.insert(model_choices).values(tenant=tenant, id=choice.id, **values, **serving))
        elif _state(row) != choice:
            raise Conflict(f"The choice {choice.id} is another one.", hint="Give the new one an id of its own.")
        elif not row.active:
            connection.execute(sa.update(model_choices).where(own).values(**serving))

    def retire(self, tenant: str, id: str, fenced: Fenced = unfenced) -> None:
        """As `retire_in`, in a transaction of its own."""
        with writing(self._engine) as connection:
            fenced(connection)
            self.retire_in(tenant, connection, id)

    def retire_in(self, tenant: str, connection: sa.Connection, id: str) -> None:
        """Take a choice back. Nothing where none is in service by that id."""
        own = sa.and_(_T.tenant == tenant, _T.id == id, _T.active)
        connection.execute(sa.update(model_choices).where(own).values(active=False, retired_us=self._clock_us()))

    def list(self, tenant: str, *, active: bool = True) -> Sequence[ModelChoice]:
        """Give the choices in service, in the order in which they were made; all that ever were with `active=False`."""
        query = sa.select(model_choices).where(_T.tenant == tenant).order_by(_T.made_us, _T.id)
        with reading(self._engine) as connection:
            rows = connection.execute(query.where(_T.active) if active else query).all()
        return tuple(
            ModelChoice(
                state=_state(row),
                active=row.active,
                made_by=row.made_by,
                made_us=row.made_us,
                retired_us=row.retired_us,
            )
            for row in rows
        )


_T = model_choices.c


def active_in(connection: sa.Connection) -> tuple[ChoiceState, ...]:
    """Give the choices in service of all tenants, in the order in which they were made."""
    query = sa.select(model_choices).where(_T.active).order_by(_T.tenant, _T.made_us, _T.id)
    return tuple(_state(row) for row in connection.execute(query))


def _state(row: AnyRow) -> ChoiceState:
    endpoints = None if row.endpoints is None else tuple(row.endpoints)
    return ChoiceState(row.id, row.tenant, row.model, row.serve, endpoints, row.task)
