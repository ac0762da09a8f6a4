"""Searches as rows: kept at ingest, each once; what was asked goes first, then the search, and a person's whenever they wish."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from meliora.store.bulk import Row, write_rows
from meliora.store.erasures import ERASED, Erased
from meliora.store.knowledge.rows import chunks
from meliora.store.tables import search_feedback, searches
from meliora.telemetry.records import SearchDone

S = searches.c
F = search_feedback.c
_COLUMNS = tuple(column.name for column in searches.columns)
_HELD = sa.text("content IN ('redacted', 'full')")
_encode = msgspec.json.Encoder().encode


def keep_searches(connection: sa.Connection, records: Sequence[SearchDone], erased: Erased) -> None:
    """Keep searches that are not known, and look at the words that came before them."""
    fresh = {record.id: record for record in records}
    for some in chunks(fresh):
        for id in connection.execute(sa.select(S.id).where(S.id.in_(some))).scalars().all():
            del fresh[id]
    if not fresh:
        return
    rows = [_row(erased.searched(record) if erased else record) for record in fresh.values()]
    write_rows(connection, searches.name, _COLUMNS, rows)
    for tenant in {record.tenant for record in fresh.values()}:
        _hold_to_what_was_shown(connection, tenant, {id: one for id, one in fresh.items() if one.tenant == tenant})


def drop_search_contents(connection: sa.Connection, before_us: int, limit: int) -> int:
    """Delete what was asked in searches that began earlier; they then say that it is erased."""
    old = sa.select(S.id).where(_HELD, S.at_us < before_us).order_by(S.at_us).limit(limit)
    ids = connection.execute(old).scalars().all()
    for some in chunks(ids):
        connection.execute(sa.update(searches).where(S.id.in_(some)).values(**_UNSAID, content=ERASED))
    return len(ids)


def drop_searches(connection: sa.Connection, before_us: int, limit: int) -> int:
    """Delete searches that began earlier with what was said of them, and words of that time on searches that never came."""
    old = sa.select(S.tenant, S.id).where(S.at_us < before_us).order_by(S.at_us).limit(limit)
    rows = connection.execute(old).all()
    for tenant in {row.tenant for row in rows}:
        for some in chunks(row.id for row in rows if row.tenant == tenant):
            connection.execute(sa.delete(search_feedback).where(F.tenant == tenant, F.search_id.in_(some)))
            connection.execute(sa.delete(searches).where(S.id.in_(some)))
    if len(rows) < limit:
        there = sa.select(S.id).where(S.id == F.search_id, S.tenant == F.tenant).exists()
        lone = sa.select(F.id).where(F.at_us < before_us, ~there).limit(limit)
        ids = connection.execute(lone).scalars().all()
        for at in range(0, len(ids), 500):
            connection.execute(sa.delete(search_feedback).where(F.id.in_(ids[at : at + 500])))
    return len(rows)


def erase_searches(connection: sa.Connection, tenant: str, user: str, nobody: str) -> int:
    """Take a person out of their searches, and their name off what they said; `nobody` is the unit that stands for them then."""
    own = sa.and_(S.tenant == tenant, S.user_id == user)
    said = sa.and_(F.tenant == tenant, sa.or_(F.user_id == user, F.search_id.in_(sa.select(S.id).where(own))))
    connection.execute(sa.update(search_feedback).where(said).values(user_id=None))
    stays = sa.or_(S.trial_unit.is_(None), S.trial_unit.startswith("k"))
    values = {
        "user_id": None,
        "session_id": None,
        "query_hash": None,
        "trial_unit": sa.case((stays, S.trial_unit), else_=nobody),
        "content": sa.case((S.content.in_(("redacted", "full")), ERASED), else_=S.content),
    }
    return connection.execute(sa.update(searches).where(own).values(**_UNSAID, **values)).rowcount


_UNSAID: dict[str, Any] = {"query": None, "terms": sa.null(), "written": sa.null(), "unknown": sa.null()}


def _hold_to_what_was_shown(connection: sa.Connection, tenant: str, records: dict[str, SearchDone]) -> None:
    """Let words that came before their search stand only for documents that it showed, each at its place."""
    wrong: list[int] = []
    for some in chunks(records):
        query = sa.select(F.id, F.search_id, F.document).where(F.tenant == tenant, F.search_id.in_(some))
        for id, search, document in connection.execute(query.where(F.document != "")).all():
            shown = records[search].shown
            if document not in shown:
                wrong.append(id)
            else:
                place = {"position": shown.index(document) + 1}
                connection.execute(sa.update(search_feedback).where(F.id == id).values(**place))
    for at in range(0, len(wrong), 500):
        connection.execute(sa.delete(search_feedback).where(F.id.in_(wrong[at : at + 500])))


def _row(r: SearchDone) -> Row:
    """In the order of the table's columns; a test holds the two together."""
    return (
        r.id,
        r.tenant,
        r.key_id,
        r.gateway,
        r.collection,
        r.started_us,
        r.ended_us,
        r.user,
        r.session,
        r.feature,
        r.snapshot,
        r.generation,
        r.query_hash,
        r.content,
        r.query,
        _words(r.terms),
        _words(r.written),
        _words(r.unknown),
        _encode(r.shown).decode(),
        len(r.shown),
        r.outcome,
        r.error_code,
        _encode(r.stages_us).decode() if r.stages_us else None,
        _encode(r.skipped).decode() if r.skipped else None,
        r.trial,
        r.trial_phase,
        r.trial_stage,
        r.arm,
        r.trial_unit,
    )


def _words(words: Iterable[str] | None) -> str | None:
    return None if words is None else _encode(tuple(words)).decode()
