"""What was found when a collection's documents were last held against each other, and which worker is at it.

Implements `knowledge.upkeep.comparing.ComparisonShelf`. It holds ids and figures, no words of any document.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from meliora.knowledge.upkeep.comparing import Comparison
from meliora.knowledge.upkeep.redundancy import Pair
from meliora.store.engine import writing
from meliora.store.knowledge.collections import at_one_moment, hold_in, row_in
from meliora.store.knowledge.rows import BATCH
from meliora.store.rows import insert_into
from meliora.store.tables import knowledge_comparisons, knowledge_documents, knowledge_doubles

_C = knowledge_comparisons.c
_T = knowledge_doubles.c


class KnowledgeComparisons:
    """Keep the last comparison of each collection."""

    def __init__(self, engine: sa.Engine, clock_us: Callable[[], int]) -> None:
        self._engine = engine
        self._clock_us = clock_us

    def claim(self, tenant: str, collection: str, owner: str, every_us: int, lease_us: int) -> bool:
        """Take it upon oneself to compare a collection; False where it is not due, unchanged, or another is at it.

        Due is what was never compared, or not for `every_us`. Raises `NotFound`.
        """
        with writing(self._engine) as connection:
            latest = hold_in(connection, tenant, collection).latest
            keys = {"tenant": tenant, "collection": collection}
            connection.execute(insert_into(connection, knowledge_comparisons).values(**keys).on_conflict_do_nothing())
            now = self._clock_us()
            # A time that lies ahead was written before the clock was set back.
            due = sa.or_(_C.compared_us.is_(None), _C.compared_us <= now - every_us, _C.compared_us > now)
            changed = sa.or_(_C.compared_us.is_(None), _C.latest != latest)
            until = _C.lease_until_us
            free = sa.or_(until.is_(None), until <= now, until > now + lease_us, _C.lease_owner == owner)
            mine = {"lease_owner": owner, "lease_until_us": now + lease_us}
            update = sa.update(knowledge_comparisons).where(_own(_C, tenant, collection), due, changed, free)
            return connection.execute(update.values(**mine)).rowcount > 0

    def note(
        self, tenant: str, collection: str, latest: int, pairs: Sequence[Pair], documents: int, left_out: int
    ) -> bool:
        """Note what was found in a collection as it was at a change; False where it was compared as it is later already.

        Whoever was at it is so no longer. Raises `NotFound`.
        """
        with writing(self._engine) as connection:
            hold_in(connection, tenant, collection)
            keys = {"tenant": tenant, "collection": collection}
            found = {"latest": latest, "documents": documents, "left_out": left_out, "compared_us": self._clock_us()}
            row = found | {"lease_owner": None, "lease_until_us": None}
            insert = insert_into(connection, knowledge_comparisons).values(**keys, **row)
            later = sa.or_(_C.compared_us.is_(None), _C.latest <= latest)
            done = insert.on_conflict_do_update(index_elements=list(keys), set_=row, where=later)
            if connection.execute(done.returning(_C.latest)).first() is None:
                return False
            connection.execute(sa.delete(knowledge_doubles).where(_own(_T, tenant, collection)))
            rows = [
                {**keys, "archived": one.archived, "kept": one.kept, "containment": one.containment, "ratio": one.ratio}
                for one in pairs
            ]
            for at in range(0, len(rows), BATCH):
                connection.execute(sa.insert(knowledge_doubles), rows[at : at + BATCH])
            # It took a while: of a document that was erased meanwhile nothing is to be kept here.
            connection.execute(sa.delete(knowledge_doubles).where(_own(_T, tenant, collection), ~_standing(latest)))
        return True

    def last(self, tenant: str, collection: str, limit: int) -> Comparison | None:
        """Give the last comparison with the surest of its pairs, equal ones by id; None where there was none.

        A pair stands while both documents can be found and are as they were.
        """
        with at_one_moment(self._engine) as connection:
            row = connection.execute(sa.select(knowledge_comparisons).where(_own(_C, tenant, collection))).one_or_none()
            if row is None or row.compared_us is None:
                return None
            now = row_in(connection, tenant, collection)
            standing = sa.and_(_own(_T, tenant, collection), _standing(row.latest))
            total = sa.select(sa.func.count()).select_from(knowledge_doubles).where(standing)
            surest = sa.select(knowledge_doubles).where(standing).order_by(_T.ratio.desc(), _T.archived).limit(limit)
            return Comparison(
                compared_us=row.compared_us,
                documents=row.documents,
                left_out=row.left_out,
                total=connection.execute(total).scalar_one(),
                pairs=tuple(
                    Pair(kept=one.kept, archived=one.archived, containment=one.containment, ratio=one.ratio)
                    for one in connection.execute(surest)
                ),
                changed=now is None or now.latest != row.latest,
            )


def _own(columns: Any, tenant: str, collection: str) -> sa.ColumnElement[bool]:
    return sa.and_(columns.tenant == tenant, columns.collection == collection)


def _standing(latest: int) -> sa.ColumnElement[bool]:
    """Keep pairs of which both documents are as the comparison knew them."""
    return sa.and_(_as_then(_T.kept, latest), _as_then(_T.archived, latest))


def _as_then(id: sa.ColumnElement[str], latest: int) -> sa.ColumnElement[bool]:
    """Keep pairs of which a document is live and was changed last by a change that the comparison knew."""
    one = knowledge_documents.alias().c
    here = sa.and_(one.tenant == _T.tenant, one.collection == _T.collection, one.id == id)
    return sa.exists().where(here, one.state == "live", one.seq <= latest)
