"""Feature flags as they are kept: by tenant, environment and name; each change an entry of the audit."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from meliora.errors import NotFound
from meliora.loop.audit.entry import AuditNote, word
from meliora.loop.change import Environment
from meliora.loop.flags import Flag, checked
from meliora.store.engine import reading
from meliora.store.loop.audit import Audit
from meliora.store.rows import insert_into
from meliora.store.tables import feature_flags


class Flags:
    """Keep flags."""

    def __init__(self, engine: sa.Engine, audit: Audit, clock_us: Callable[[], int]) -> None:
        self._engine = engine
        self._audit = audit
        self._clock_us = clock_us

    def put(self, tenant: str, flag: Flag, by: str) -> Flag:
        """Make a flag what it says. Raises `InvalidRequest` for what makes no sense."""
        values = {name: getattr(checked(flag), name) for name in Flag.__struct_fields__}
        row = {**values, "tenant": tenant, "updated_us": self._clock_us()}
        with self._audit.recording() as recording:
            insert = insert_into(recording.connection, feature_flags).values(**row)
            recording.connection.execute(insert.on_conflict_do_update(index_elements=_KEY, set_=row))
            body = {
                "environment": flag.environment,
                "enabled": flag.enabled,
                "rollout_percentage": flag.rollout_percentage,
                "conditions": sorted(word(name) for name in flag.conditions),
            }
            recording.append(_note(tenant, by, "flag.set", flag.name, body))
        return flag

    def get(self, tenant: str, environment: Environment, name: str) -> Flag:
        """Give one. Raises `NotFound`."""
        with reading(self._engine) as connection:
            found = connection.execute(_SELECT.where(*_this(tenant, environment, name))).one_or_none()
        if found is None:
            raise NotFound(f"There is no flag {name!r} in {environment}.")
        return Flag(**found._mapping)

    def list(self, tenant: str, environment: Environment | None = None) -> tuple[Flag, ...]:
        """Give a tenant's flags by name and environment."""
        query = _SELECT.where(_T.tenant == tenant)
        if environment is not None:
            query = query.where(_T.environment == environment)
        with reading(self._engine) as connection:
            return tuple(Flag(**row._mapping) for row in connection.execute(query.order_by(_T.name, _T.environment)))

    def delete(self, tenant: str, environment: Environment, name: str, by: str) -> None:
        """Remove one. Raises `NotFound`."""
        with self._audit.recording() as recording:
            gone = recording.connection.execute(sa.delete(feature_flags).where(*_this(tenant, environment, name)))
            if not gone.rowcount:
                raise NotFound(f"There is no flag {name!r} in {environment}.")
            recording.append(_note(tenant, by, "flag.delete", name, {"environment": environment}))


_T = feature_flags.c
_KEY = ["tenant", "environment", "name"]
_SELECT = sa.select(*[_T[name] for name in Flag.__struct_fields__])


def _this(tenant: str, environment: Environment, name: str) -> tuple[sa.ColumnElement[bool], ...]:
    return _T.tenant == tenant, _T.environment == environment, _T.name == name


def _note(tenant: str, by: str, action: str, name: str, body: dict[str, object]) -> AuditNote:
    return AuditNote(tenant=tenant, actor=word(by), action=action, subject=word(f"flag:{name}"), body=body)
