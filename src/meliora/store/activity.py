"""Who did what, append-only: keys made and revoked, rules changed, people erased."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import sqlalchemy as sa

from meliora.store.cursors import Page, decode, encode
from meliora.store.engine import reading, writing
from meliora.store.rows import page_size
from meliora.store.tables import activity_log


class ActivityEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One act. `actor` is a key id, `cli` or `system`; `detail` holds ids and settings, never content or secrets."""

    id: int
    at_us: int
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]


class Activity:
    """Append acts and read them."""

    def __init__(self, engine: sa.Engine, clock_us: Callable[[], int]) -> None:
        self._engine = engine
        self._clock_us = clock_us

    def append(
        self, tenant: str, actor: str, action: str, subject: str = "", detail: dict[str, Any] | None = None
    ) -> ActivityEntry:
        """Note an act, e.g. `key.create`."""
        row = {"tenant": tenant, "at": self._clock_us(), "actor": actor, "action": action, "subject": subject}
        with writing(self._engine) as connection:
            insert = sa.insert(activity_log).values(**row, detail=detail or {}).returning(*_COLUMNS)
            return ActivityEntry(**connection.execute(insert).one()._mapping)

    def list(
        self, tenant: str, *, action: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[ActivityEntry]:
        """Give acts, the newest first; at most 500."""
        limit = page_size(limit)
        query = sa.select(*_COLUMNS).where(_T.tenant == tenant)
        if action is not None:
            query = query.where(_T.action == action)
        if cursor is not None:
            query = query.where(_T.id < decode(cursor, int)[1])
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(_T.id.desc()).limit(limit + 1)).all()
        found = tuple(ActivityEntry(**row._mapping) for row in rows[:limit])
        return Page(found, encode(0, found[-1].id) if len(rows) > limit else None)


_T = activity_log.c
_COLUMNS = [_T.id, _T.at.label("at_us"), _T.actor, _T.action, _T.subject, _T.detail]
