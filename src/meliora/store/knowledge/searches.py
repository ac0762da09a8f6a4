"""What was searched, with what people made of it. Implements `knowledge.front.Opinions`.

Of what is said of one document of one search, each kind counts once, and between accepted and rejected the last word stands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec
import sqlalchemy as sa

from meliora.errors import InvalidRequest, NotFound
from meliora.knowledge.front import Opinion
from meliora.store.calls.sink import next_sequence
from meliora.store.engine import reading, writing
from meliora.store.knowledge.rows import chunks
from meliora.store.knowledge.search_rows import F, S
from meliora.store.rows import AnyRow, insert_into
from meliora.store.tables import search_feedback, searches
from meliora.telemetry.ids import SEARCH_PREFIX, made_us

FeedbackKind = Literal["click", "accept", "reject", "rating", "reformulated"]
VALUES: dict[str, float] = {"click": 1.0, "accept": 1.0, "reject": 0.0, "reformulated": 0.0}
"""What each kind is worth; a rating is worth what it says."""
ON_ITS_WAY_US = 86_400_000_000
"""How long a search may lie in the spool and be spoken of already."""
MOST = 100_000
"""Searches that one window gives."""


class SearchFeedback(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody did with a result, or said of a search."""

    kind: FeedbackKind
    document: str | None
    """None: of the search as a whole."""
    value: float
    position: int | None
    """At which it was shown, from 1."""
    user: str | None
    at_us: int


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """A search as it is kept."""

    id: str
    key_id: str
    collection: str
    at_us: int
    ended_us: int
    user: str | None
    session: str | None
    feature: str | None
    snapshot: int
    generation: str
    query_hash: str | None
    content: str
    """`off`, `redacted`, `full`; `erased` where a person's wish or the retention took it."""
    query: str | None
    terms: tuple[str, ...] | None
    """Analysed words; None where content is off, as are the two below."""
    written: tuple[str, ...] | None
    unknown: tuple[str, ...] | None
    shown: tuple[str, ...]
    """Ids of documents, in order."""
    outcome: Literal["ok", "error"]
    error_code: str | None
    stages_us: dict[str, int]
    skipped: dict[str, str]
    trial: str | None
    trial_phase: str | None
    trial_stage: int | None
    arm: str | None
    trial_unit: str | None
    feedback: tuple[SearchFeedback, ...] = ()
    """In order of time."""


class Searches:
    """Read searches, and take what is said of them."""

    def __init__(self, engine: sa.Engine, clock_us: Callable[[], int], issued: Callable[[str], bool]) -> None:
        self._engine = engine
        self._clock_us = clock_us
        self._issued = issued

    def get(self, tenant: str, search: str) -> Search:
        """Give a search. Raises `NotFound`."""
        query = sa.select(searches).where(S.id == search, S.tenant == tenant)
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
            if not rows:
                raise _missing(search)
            return _read(connection, tenant, rows)[0]

    def window(
        self, tenant: str, collection: str, since_us: int, until_us: int, limit: int = 10_000
    ) -> tuple[Search, ...]:
        """Give the searches of a stretch of time, `until_us` not included, in its order; where there are more, the latest."""
        query = sa.select(searches).where(S.tenant == tenant, S.collection == collection)
        query = query.where(S.at_us >= since_us, S.at_us < until_us).order_by(S.at_us.desc(), S.id.desc())
        with reading(self._engine) as connection:
            rows = connection.execute(query.limit(min(limit, MOST))).all()
            return _read(connection, tenant, rows[::-1])

    def give(self, tenant: str, opinion: Opinion) -> None:
        """Keep an opinion; of a search that this deployment made and has not ingested yet, too.

        Raises `NotFound` for a search that is not known, `InvalidRequest` for a document that it did not show.
        """
        value = VALUES.get(opinion.said, opinion.value)
        if value is None or not 0 <= value <= 1:
            raise InvalidRequest(f"The value {opinion.value} is not from 0 to 1.", field="value")
        with writing(self._engine) as connection:
            row = self._row(connection, tenant, opinion.search)
            document, position = opinion.document or "", opinion.position
            if row is not None and document:
                if document not in row.shown:
                    raise InvalidRequest(
                        f"Search {opinion.search} did not show the document {document!r}.",
                        hint="Name one of its results.",
                        field="document",
                    )
                position = row.shown.index(document) + 1
            other = {"accept": "reject", "reject": "accept"}.get(opinion.said)
            own = sa.and_(F.tenant == tenant, F.search_id == opinion.search, F.document == document)
            connection.execute(sa.delete(search_feedback).where(own, F.kind == other))
            said = {"value": value, "position": position, "user_id": opinion.user, "at_us": self._clock_us()}
            _put(connection, tenant, opinion.search, document, opinion.said, said)

    def reformulated(self, tenant: str, ids: Sequence[str]) -> int:
        """Note that people asked again in other words, instead of using what these searches gave; give how many are known."""
        count = 0
        with writing(self._engine) as connection:
            for some in chunks(ids):
                known = sa.select(S.id).where(S.id.in_(some), S.tenant == tenant).order_by(S.id)
                for id in connection.execute(known).scalars().all():
                    said = {"value": 0.0, "position": None, "user_id": None, "at_us": self._clock_us()}
                    _put(connection, tenant, id, "", "reformulated", said)
                    count += 1
        return count

    def _row(self, connection: sa.Connection, tenant: str, search: str) -> AnyRow | None:
        """Give the search; None for one that is on its way. Raises `NotFound`."""
        query = sa.select(S.tenant, S.shown).where(S.id == search)
        row = connection.execute(query).one_or_none()
        if row is None:
            next_sequence(
                connection, 0
            )  # an ingest that begins later must see what is written now, to hold it to what was shown
            row = connection.execute(query).one_or_none()
        if row is None:
            made = made_us(search, SEARCH_PREFIX)
            late = made is None or made < self._clock_us() - ON_ITS_WAY_US
            if late or not self._issued(search):
                raise _missing(search)
            return None
        if row.tenant != tenant:
            raise _missing(search)
        return row


def _put(connection: sa.Connection, tenant: str, search: str, document: str, kind: str, said: dict[str, Any]) -> None:
    keys = {"tenant": tenant, "search_id": search, "document": document, "kind": kind}
    insert = insert_into(connection, search_feedback).values(**keys, **said)
    connection.execute(insert.on_conflict_do_update(index_elements=list(keys), set_=said))


def _read(connection: sa.Connection, tenant: str, rows: Sequence[AnyRow]) -> tuple[Search, ...]:
    said: dict[str, list[SearchFeedback]] = {}
    for some in chunks(row.id for row in rows):
        query = sa.select(search_feedback).where(F.tenant == tenant, F.search_id.in_(some)).order_by(F.at_us, F.id)
        for row in connection.execute(query):
            said.setdefault(row.search_id, []).append(
                SearchFeedback(
                    kind=row.kind,
                    document=row.document or None,
                    value=row.value,
                    position=row.position,
                    user=row.user_id,
                    at_us=row.at_us,
                )
            )
    return tuple(_search(row, said.get(row.id, ())) for row in rows)


_COPIED = (
    *("id", "key_id", "collection", "at_us", "ended_us", "feature", "snapshot", "generation", "query_hash", "content"),
    *("query", "outcome", "error_code", "trial", "trial_phase", "trial_stage", "arm", "trial_unit"),
)


def _search(row: AnyRow, feedback: Sequence[SearchFeedback]) -> Search:
    values: dict[str, Any] = {name: getattr(row, name) for name in _COPIED}
    for name in ("terms", "written", "unknown"):
        words = getattr(row, name)
        values[name] = None if words is None else tuple(words)
    values |= {"user": row.user_id, "session": row.session_id, "shown": tuple(row.shown)}
    values |= {"stages_us": row.stages_us or {}, "skipped": row.skipped or {}, "feedback": tuple(feedback)}
    return Search(**values)


def _missing(search: str) -> NotFound:
    return NotFound(f"There is no search {search!r}.", hint="Its id is in its answer.")
