"""How calls were decided, and what people said of the answers, by what decided. Looks at the newest only, and says how many."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa

from meliora.store.engine import reading
from meliora.store.tables import calls, feedback

LOOKED_AT = 10_000
"""Newest calls, and newest words of feedback, that are counted."""
GOOD = 0.5
"""Worth from which feedback counts as good: a thumb up, or three stars of five."""


class Decided(msgspec.Struct, frozen=True):
    """Calls that were decided for one reason, as it stands in their records, in one tier."""

    reason: str
    tier: str | None
    calls: int


class Judged(msgspec.Struct, frozen=True):
    """Words of feedback on calls that were decided for one reason."""

    reason: str
    judged: int
    good: int


class Decisions:
    """Count decisions and judgements of a tenant. `since_us` and `until_us` are half-open; None leaves them open."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def decided(self, tenant: str, *, since_us: int | None = None, until_us: int | None = None) -> tuple[Decided, ...]:
        """Count the newest finished calls by reason and tier, the most frequent first."""
        c = calls.c
        newest = sa.select(c.reason, c.tier).where(c.tenant == tenant, c.state == "finished")
        newest = newest.where(*_within(c.started_us, since_us, until_us))
        newest = newest.order_by(c.started_us.desc()).limit(LOOKED_AT)
        part = newest.subquery()
        count = sa.func.count().label("calls")
        query = sa.select(sa.func.coalesce(part.c.reason, ""), part.c.tier, count)
        query = query.group_by(part.c.reason, part.c.tier).order_by(count.desc(), part.c.reason, part.c.tier)
        with reading(self._engine) as connection:
            return tuple(Decided(*row) for row in connection.execute(query))

    def judged(self, tenant: str, *, since_us: int | None = None, until_us: int | None = None) -> tuple[Judged, ...]:
        """Count the newest feedback that stands, by the reason of the calls it is on."""
        f, c = feedback.c, calls.c
        newest = sa.select(f.call_id, f.value).where(f.tenant == tenant, *_within(f.updated_at, since_us, until_us))
        newest = newest.order_by(f.updated_at.desc()).limit(LOOKED_AT)
        part = newest.subquery()
        good = sa.func.sum(sa.case((part.c.value >= GOOD, 1), else_=0))
        query = sa.select(sa.func.coalesce(c.reason, ""), sa.func.count(), sa.cast(good, sa.BigInteger))
        query = query.select_from(part.join(calls, sa.and_(c.id == part.c.call_id, c.tenant == tenant)))
        query = query.group_by(c.reason).order_by(c.reason)
        with reading(self._engine) as connection:
            return tuple(Judged(*row) for row in connection.execute(query))


def _within(column: sa.Column[int], since_us: int | None, until_us: int | None) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if since_us is not None:
        found.append(column >= since_us)
    if until_us is not None:
        found.append(column < until_us)
    return found
