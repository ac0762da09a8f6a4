"""Reading changes, the edges they took, and who holds which surface. Leases and dates run on the database's clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import sqlalchemy as sa

from meliora.loop.change import Change, Edge
from meliora.loop.shelf import Due, Tally
from meliora.loop.states import ENDED, State
from meliora.store.cursors import Page, decode, encode
from meliora.store.engine import reading
from meliora.store.loop.change_rows import EDGE, change_of, edge_of, holder_of, read_change
from meliora.store.rows import before, page_size
from meliora.store.tables import change_edges, changes

MOST_LEASE_US = 3_600_000_000
"""A lease that ends later than this from now was made before the clock was set back: it is over."""


class ChangesRead:
    """Read the changes of all tenants."""

    def __init__(self, engine: sa.Engine, clock_us: Callable[[], int], *, database_clock: bool = True) -> None:
        self._engine = engine
        self._clock_us = clock_us
        self._database_clock = database_clock and engine.dialect.name == "postgresql"

    def now_us(self, connection: sa.Connection | None = None) -> int:
        """Give the time that leases and dates run on."""
        if not self._database_clock:
            return self._clock_us()
        if connection is None:
            with reading(self._engine) as own:
                return self.now_us(own)
        return round(float(connection.execute(_DATABASE_NOW).scalar_one()) * 1e6)

    def get(self, tenant: str, change: str) -> Change:
        """Give one change. Raises `NotFound`."""
        with reading(self._engine) as connection:
            return read_change(connection, tenant, change)

    def edges(self, tenant: str, change: str) -> tuple[Edge, ...]:
        """Give the edges that a change took, the first one first. Raises `NotFound`."""
        query = sa.select(*EDGE).where(_E.tenant == tenant, _E.change == change).order_by(_E.seq)
        with reading(self._engine) as connection:
            read_change(connection, tenant, change)
            return tuple(edge_of(row) for row in connection.execute(query))

    def list(
        self,
        tenant: str,
        *,
        state: Sequence[State] = (),
        kind: str | None = None,
        cycle: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Change]:
        """Give changes, the newest first; at most 500."""
        limit = page_size(limit)
        query = sa.select(changes).where(_T.tenant == tenant)
        if state:
            query = query.where(_T.state.in_([str(one) for one in state]))
        if kind is not None:
            query = query.where(_T.kind == kind)
        if cycle is not None:
            query = query.where(_T.cycle == cycle)
        if cursor is not None:
            query = query.where(before(_T.created_us, _T.id, decode(cursor, str)))
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(_T.created_us.desc(), _T.id.desc()).limit(limit + 1)).all()
        found = tuple(change_of(row) for row in rows[:limit])
        return Page(found, encode(found[-1].created_us, found[-1].id) if len(rows) > limit else None)

    def of_cycle(self, tenant: str, cycle: str) -> tuple[Change, ...]:
        """Give a cycle's changes, the oldest first."""
        query = sa.select(changes).where(_T.tenant == tenant, _T.cycle == cycle).order_by(_T.created_us, _T.id)
        with reading(self._engine) as connection:
            return tuple(change_of(row) for row in connection.execute(query))

    def moved(self, tenant: str, since_us: int, until_us: int, limit: int = 1000) -> tuple[Change, ...]:
        """Give the changes that took an edge in a time, the oldest first; at most `limit`, the newest ones."""
        ids = sa.select(_E.change).where(_E.tenant == tenant, _E.at_us >= since_us, _E.at_us < until_us)
        query = sa.select(changes).where(_T.tenant == tenant, _T.id.in_(ids.scalar_subquery()))
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(_T.created_us.desc(), _T.id.desc()).limit(limit)).all()
        return tuple(change_of(row) for row in reversed(rows))

    def counts(self, tenant: str, since_us: int) -> dict[str, dict[str, int]]:
        """Count the changes made since, by kind and state."""
        query = (
            sa.select(_T.kind, _T.state, sa.func.count())
            .where(_T.tenant == tenant, _T.created_us >= since_us)
            .group_by(_T.kind, _T.state)
        )
        found: dict[str, dict[str, int]] = {}
        with reading(self._engine) as connection:
            for kind, state, count in connection.execute(query):
                found.setdefault(kind, {})[state] = count
        return found

    def tally(self, tenant: str, target: str, since_us: int, but: str) -> Tally:
        """Count what was delivered since, over all tenants, and say when the last other change of a target ended."""
        delivered = (
            sa.select(sa.func.count()).select_from(change_edges).where(_E.target == "delivering", _E.at_us >= since_us)
        )
        ended = sa.select(sa.func.max(_T.updated_us)).where(
            _T.tenant == tenant, _T.target == target, _T.id != but, _T.state.in_([str(one) for one in ENDED])
        )
        with reading(self._engine) as connection:
            return Tally(connection.execute(delivered).scalar_one(), connection.execute(ended).scalar())

    def earlier_trials(self, change: str) -> tuple[bool, ...]:
        """Give, of all trials that began before a change's, in their order, whether each ended in a delivery."""
        began = (
            sa.select(_E.change, sa.func.min(_E.at_us).label("at")).where(_E.target == "trying").group_by(_E.change)
        ).subquery()
        delivered = sa.exists().where(_E.change == began.c.change, _E.target == "delivering")
        own = sa.select(began.c.at).where(began.c.change == change).scalar_subquery()
        query = sa.select(delivered).select_from(began).where(began.c.change != change)
        query = query.where(sa.or_(own.is_(None), began.c.at < own)).order_by(began.c.at, began.c.change)
        with reading(self._engine) as connection:
            return tuple(bool(one) for one in connection.execute(query).scalars())

    def holder(self, tenant: str, surface: str) -> str | None:
        """Give the change that holds a surface."""
        with reading(self._engine) as connection:
            return holder_of(connection, tenant, surface)

    def due(self, limit: int = 20, *, restoring_only: bool = False) -> tuple[Due, ...]:
        """Give the changes that have something to do and nobody at it, the longest due first."""
        with reading(self._engine) as connection:
            now = self.now_us(connection)
            query = (
                sa.select(_T.tenant, _T.id, _T.state)
                .where(_T.due_us.is_not(None), ripe(now), free(now))
                .order_by(_T.due_us)
                .limit(limit)
            )
            if restoring_only:
                query = query.where(_T.state.in_(_RESTORED))
            return tuple(Due(row.tenant, row.id, State(row.state)) for row in connection.execute(query))


def ripe(now: int) -> sa.ColumnElement[bool]:
    """Due by now, or due by a clock that has been set back since."""
    return sa.or_(_T.due_us <= now, _T.updated_us > now + 60_000_000)


def free(now: int) -> sa.ColumnElement[bool]:
    """Under nobody's lease."""
    return sa.or_(_T.lease_until_us.is_(None), _T.lease_until_us <= now, _T.lease_until_us > now + MOST_LEASE_US)


_T = changes.c
_E = change_edges.c
_DATABASE_NOW = sa.text("SELECT extract(epoch FROM clock_timestamp())")
_RESTORED = [str(one) for one in (State.STOPPING, State.ROLLING_BACK, State.DELIVERING)]
