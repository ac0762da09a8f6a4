"""What was learned, event by event: a preference that moved, a pattern that was found, an improvement that was kept."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import msgspec
import sqlalchemy as sa

from meliora.errors import InvalidRequest
from meliora.store.cursors import Page, decode, encode
from meliora.store.engine import reading, writing
from meliora.store.rows import page_size
from meliora.store.tables import learning_events

LearningKind = Literal["preference_update", "pattern_learned", "improvement_applied"]


class Learned(msgspec.Struct, frozen=True, kw_only=True):
    """What was learned. States hold ids and numbers; nothing of a person, since nothing here is erased by person."""

    event_type: LearningKind
    category: str
    before_state: dict[str, Any] | None = None
    after_state: dict[str, Any] | None = None
    impact_score: float | None
    """0..1; None where it was not measured."""


class LearningEvent(Learned, frozen=True, kw_only=True):
    """A row of `learning_events`."""

    id: int
    at_us: int


class LearningEvents:
    """Keep learning events."""

    def __init__(self, engine: sa.Engine, clock_us: Callable[[], int]) -> None:
        self._engine = engine
        self._clock_us = clock_us

    def record(self, tenant: str, learned: Learned) -> LearningEvent:
        """Note one in a transaction of its own."""
        with writing(self._engine) as connection:
            return self.add(tenant, connection, learned)

    def add(self, tenant: str, connection: sa.Connection, learned: Learned) -> LearningEvent:
        """Note one within a write transaction. Raises `InvalidRequest` for an impact that is not within 0 and 1."""
        impact = learned.impact_score
        if impact is not None and not (math.isfinite(impact) and 0 <= impact <= 1):
            raise InvalidRequest(f"impact_score is {impact}.", hint="Write 0 to 1, or null.", field="impact_score")
        row = {"tenant": tenant, "at_us": self._clock_us(), **msgspec.structs.asdict(learned)}
        insert = sa.insert(learning_events).values(**row).returning(*_COLUMNS)
        return LearningEvent(**connection.execute(insert).one()._mapping)

    def list(
        self, tenant: str, *, event_type: LearningKind | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[LearningEvent]:
        """Give events, the newest first; at most 500."""
        limit = page_size(limit)
        query = sa.select(*_COLUMNS).where(_T.tenant == tenant)
        if event_type is not None:
            query = query.where(_T.event_type == event_type)
        if cursor is not None:
            query = query.where(_T.id < decode(cursor, int)[1])
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(_T.id.desc()).limit(limit + 1)).all()
        found = tuple(LearningEvent(**row._mapping) for row in rows[:limit])
        return Page(found, encode(0, found[-1].id) if len(rows) > limit else None)


_T = learning_events.c
_COLUMNS = [_T[name] for name in LearningEvent.__struct_fields__]
