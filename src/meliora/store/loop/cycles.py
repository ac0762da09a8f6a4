"""Cycles of the loop, numbered by the day over the whole deployment; one a subject is open at a time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from meliora.errors import NotFound
from meliora.loop.change import Environment, Origin
from meliora.loop.cycle import Cycle, CycleOutcome
from meliora.store.calls.slots import slots_of
from meliora.store.cursors import Page, decode, encode
from meliora.store.engine import reading, writing
from meliora.store.rows import AnyRow, before, hold, page_size
from meliora.store.tables import calls, cycles, usage_daily


class Cycles:
    """Keep the cycles of all tenants."""

    def __init__(self, engine: sa.Engine, clock_us: Callable[[], int]) -> None:
        self._engine = engine
        self._clock_us = clock_us

    def open(
        self,
        tenant: str,
        *,
        environment: Environment,
        origin: Origin,
        subject: str,
        kinds: tuple[str, ...],
        breach: dict[str, Any] | None = None,
    ) -> Cycle | None:
        """Open a cycle under the day's next number; None where one of the subject is open."""
        with writing(self._engine) as connection:
            hold(connection, "cycles")
            same = sa.select(_T.id).where(_T.tenant == tenant, _T.subject == subject, _T.closed_us.is_(None))
            if connection.execute(same).scalar() is not None:
                return None
            now = self._clock_us()
            day = datetime.fromtimestamp(now / 1e6, UTC).strftime("si_%Y_%m_%d_")
            ids = connection.execute(sa.select(_T.id).where(_T.id.startswith(day, autoescape=True))).scalars()
            number = max((int(one.removeprefix(day)) for one in ids), default=0) + 1
            cycle = Cycle(
                id=f"{day}{number:03d}",
                tenant=tenant,
                environment=environment,
                origin=origin,
                subject=subject,
                kinds=kinds,
                breach=breach,
                opened_us=now,
            )
            row = {name: getattr(cycle, name) for name in Cycle.__struct_fields__ if name != "origin"}
            row |= {"origin_kind": origin.kind, "origin_name": origin.name, "kinds": list(kinds)}
            connection.execute(sa.insert(cycles).values(**row))
            return cycle

    def close(self, tenant: str, cycle: str, outcome: CycleOutcome, notes: dict[str, Any] | None = None) -> Cycle:
        """Close a cycle, once: what it came to first stays. Raises `NotFound`."""
        with writing(self._engine) as connection:
            found = _get(connection, tenant, cycle)
            connection.execute(
                sa.update(cycles)
                .where(_T.id == cycle, _T.closed_us.is_(None))
                .values(outcome=outcome, closed_us=self._clock_us(), notes=found.notes | (notes or {}))
            )
            return _get(connection, tenant, cycle)

    def note(self, tenant: str, cycle: str, notes: dict[str, Any], finding: str | None = None) -> Cycle:
        """Add to what is known of a cycle, name by name. Raises `NotFound`."""
        with writing(self._engine) as connection:
            found = _get(connection, tenant, cycle)
            values: dict[str, Any] = {"notes": found.notes | notes}
            if finding is not None:
                values["finding"] = finding
            connection.execute(sa.update(cycles).where(_T.id == cycle).values(**values))
            return _get(connection, tenant, cycle)

    def settle(self, tenant: str, cycle: str, notes: dict[str, Any]) -> Cycle:
        """Note what is not noted yet; what is stays as it was noted first. Raises `NotFound`."""
        with writing(self._engine) as connection:
            hold(connection, "cycles")
            found = _get(connection, tenant, cycle)
            connection.execute(sa.update(cycles).where(_T.id == cycle).values(notes={**notes, **found.notes}))
            return _get(connection, tenant, cycle)

    def renote(self, tenant: str, cycle: str, notes: dict[str, Any]) -> Cycle:
        """Put notes in the place of those that are there. Raises `NotFound`."""
        with writing(self._engine) as connection:
            hold(connection, "cycles")
            _get(connection, tenant, cycle)
            connection.execute(sa.update(cycles).where(_T.id == cycle).values(notes=notes))
            return _get(connection, tenant, cycle)

    def get(self, tenant: str, cycle: str) -> Cycle:
        """Give one cycle. Raises `NotFound`."""
        with reading(self._engine) as connection:
            return _get(connection, tenant, cycle)

    def open_ones(self, limit: int = 500) -> tuple[Cycle, ...]:
        """Give the cycles of all tenants that are open, the oldest first."""
        query = sa.select(cycles).where(_T.closed_us.is_(None)).order_by(_T.opened_us).limit(limit)
        with reading(self._engine) as connection:
            return tuple(_cycle(row) for row in connection.execute(query))

    def closed(self, since_us: int, limit: int = 500) -> tuple[Cycle, ...]:
        """Give the cycles of all tenants that were closed since, the oldest first."""
        query = sa.select(cycles).where(_T.closed_us >= since_us).order_by(_T.closed_us, _T.id).limit(limit)
        with reading(self._engine) as connection:
            return tuple(_cycle(row) for row in connection.execute(query))

    def within(self, tenant: str, since_us: int, until_us: int) -> tuple[Cycle, ...]:
        """Give the cycles that were open at any moment of a time, the oldest first."""
        open_then = sa.or_(_T.closed_us.is_(None), _T.closed_us >= since_us)
        query = sa.select(cycles).where(_T.tenant == tenant, _T.opened_us < until_us, open_then)
        with reading(self._engine) as connection:
            return tuple(_cycle(row) for row in connection.execute(query.order_by(_T.opened_us, _T.id)))

    def since(self, tenant: str, since_us: int, subject: str | None = None) -> tuple[Cycle, ...]:
        """Give the cycles opened since, the newest first."""
        query = sa.select(cycles).where(_T.tenant == tenant, _T.opened_us >= since_us)
        if subject is not None:
            query = query.where(_T.subject == subject)
        with reading(self._engine) as connection:
            return tuple(_cycle(row) for row in connection.execute(query.order_by(_T.opened_us.desc(), _T.id.desc())))

    def opened(self, since_us: int) -> int:
        """Count the cycles opened since, over all tenants."""
        query = sa.select(sa.func.count()).select_from(cycles).where(_T.opened_us >= since_us)
        with reading(self._engine) as connection:
            return connection.execute(query).scalar_one()

    def last_closed_us(self, tenant: str, subject: str) -> int | None:
        """Give when the last cycle of a subject was closed; None: never."""
        query = sa.select(sa.func.max(_T.closed_us)).where(_T.tenant == tenant, _T.subject == subject)
        with reading(self._engine) as connection:
            return connection.execute(query).scalar()

    def spent_micros(self, day: str, features: tuple[str, ...]) -> int:
        """Give what calls of these features cost on a day, over all tenants: the loop's own."""
        total = sa.select(sa.func.sum(usage_daily.c.cost_micros))
        with reading(self._engine) as connection:
            query = total.where(usage_daily.c.day == day, usage_daily.c.feature.in_(features))
            return int(connection.execute(query).scalar() or 0)

    def cost_micros(self, tenant: str, since_us: int, until_us: int, features: tuple[str, ...]) -> int | None:
        """Give what a tenant's calls of these features cost that began in a time; None where the price of one is unknown."""
        c = calls.c
        within = (c.tenant == tenant, c.feature.in_(features), c.started_us >= since_us, c.started_us < until_us)
        total, unpriced = 0, 0
        with reading(self._engine) as connection:
            for slot in slots_of(connection, tenant, since_us, until_us):
                query = sa.select(sa.func.sum(c.cost_micros), sa.func.count() - sa.func.count(c.cost_micros))
                cost, missing = connection.execute(query.where(c.slot == slot, *within)).one()
                total, unpriced = total + int(cost or 0), unpriced + int(missing or 0)
        return None if unpriced else total

    def list(self, tenant: str, *, limit: int = 50, cursor: str | None = None) -> Page[Cycle]:
        """Give cycles, the newest first; at most 500."""
        limit = page_size(limit)
        query = sa.select(cycles).where(_T.tenant == tenant)
        if cursor is not None:
            query = query.where(before(_T.opened_us, _T.id, decode(cursor, str)))
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(_T.opened_us.desc(), _T.id.desc()).limit(limit + 1)).all()
        found = tuple(_cycle(row) for row in rows[:limit])
        return Page(found, encode(found[-1].opened_us, found[-1].id) if len(rows) > limit else None)


_T = cycles.c


def _cycle(row: AnyRow) -> Cycle:
    values: dict[str, Any] = dict(row._mapping)
    origin = Origin(values.pop("origin_kind"), values.pop("origin_name"))
    values |= {"kinds": tuple(values["kinds"]), "notes": values["notes"] or {}}
    return Cycle(**values, origin=origin)


def _get(connection: sa.Connection, tenant: str, cycle: str) -> Cycle:
    row = connection.execute(sa.select(cycles).where(_T.tenant == tenant, _T.id == cycle)).one_or_none()
    if row is None:
        raise NotFound(f"There is no cycle {cycle!r}.", hint="`meliora loop history` lists them.")
    return _cycle(row)
