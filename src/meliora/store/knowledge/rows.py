"""Documents as rows, and back: many at a time, as tuples straight to the driver."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from meliora.errors import InvalidRequest
from meliora.knowledge.documents import Document, Kept, Metadata
from meliora.knowledge.shelf import ToKeep
from meliora.store.bulk import Row, write_rows
from meliora.store.rows import AnyRow, insert_into
from meliora.store.tables import knowledge_deletions, knowledge_documents, knowledge_doubles, knowledge_pairs

COLUMNS = tuple(column.name for column in knowledge_documents.columns)
BATCH = 500
"""Ids that one statement names."""
D = knowledge_documents.c
_encode = msgspec.json.Encoder().encode


def chunks(ids: Iterable[str]) -> Iterator[list[str]]:
    """Give ids without repetition, as many at a time as one statement names."""
    unlike = list(dict.fromkeys(ids))
    for at in range(0, len(unlike), BATCH):
        yield unlike[at : at + BATCH]


def of_collection(tenant: str, collection: str) -> sa.ColumnElement[bool]:
    """Keep the documents of a collection."""
    return sa.and_(D.tenant == tenant, D.collection == collection)


def hashes_in(connection: sa.Connection, tenant: str, collection: str, ids: Sequence[str]) -> dict[str, str]:
    """Give the hashes of those of these documents that are there."""
    found: dict[str, str] = {}
    for some in chunks(ids):
        query = sa.select(D.id, D.hash).where(of_collection(tenant, collection), D.id.in_(some))
        found.update((row[0], row[1]) for row in connection.execute(query))
    return found


def insert_in(connection: sa.Connection, tenant: str, collection: str, rows: Iterable[tuple[int, ToKeep]], now: int):
    """Insert documents that are not there, each with its number."""
    made = [_row(tenant, collection, seq, one, now) for seq, one in rows]
    if made:
        try:
            write_rows(connection, knowledge_documents.name, COLUMNS, made)
        except UnicodeError as error:
            raise _unwritable(error) from error


def update_in(connection: sa.Connection, tenant: str, collection: str, rows: Iterable[tuple[int, ToKeep]], now: int):
    """Write documents in the place of those of their ids."""
    b = sa.bindparam
    values = {name: b(f"v_{name}") for name in _REPLACED}
    query = sa.update(knowledge_documents).where(of_collection(tenant, collection), D.id == b("v_id")).values(**values)
    made = [{f"v_{name}": value for name, value in _values(seq, one, now).items()} for seq, one in rows]
    if made:
        try:
            connection.execute(query, made)
        except UnicodeError as error:
            raise _unwritable(error) from error


def delete_in(
    connection: sa.Connection, tenant: str, collection: str, ids: Sequence[str], latest: int, now: int
) -> tuple[int, int]:
    """Delete documents and note their deletions; give how many were there, and the number of the last change."""
    count = 0
    for some in chunks(ids):
        own = sa.and_(of_collection(tenant, collection), D.id.in_(some))
        there = sorted(connection.execute(sa.select(D.id).where(own)).scalars())
        if not there:
            continue
        connection.execute(sa.delete(knowledge_documents).where(own))
        forget_pairs_in(connection, tenant, collection, there)
        rows = [
            {"tenant": tenant, "collection": collection, "id": id, "seq": latest + at, "at_us": now}
            for at, id in enumerate(there, 1)
        ]
        latest, count = latest + len(there), count + len(there)
        connection.execute(insert_into(connection, knowledge_deletions), rows)
    return count, latest


def forget_pairs_in(
    connection: sa.Connection, tenant: str, collection: str, ids: Sequence[str], *, undecided: bool = False
) -> None:
    """Delete the pairs that documents are in, which hold words of them; with `undecided` those alone that nobody decided."""
    _forget_doubles_in(connection, tenant, collection, ids)
    t = knowledge_pairs.c
    own = sa.and_(t.tenant == tenant, t.collection == collection)
    own = sa.and_(own, t.state == "open") if undecided else own
    if connection.execute(sa.select(sa.literal(1)).where(own).limit(1)).first() is None:
        return
    for some in chunks(ids):
        connection.execute(sa.delete(knowledge_pairs).where(own, sa.or_(t.a.in_(some), t.b.in_(some))))


def _forget_doubles_in(connection: sa.Connection, tenant: str, collection: str, ids: Sequence[str]) -> None:
    t = knowledge_doubles.c
    own = sa.and_(t.tenant == tenant, t.collection == collection)
    if connection.execute(sa.select(sa.literal(1)).where(own).limit(1)).first() is None:
        return
    for some in chunks(ids):
        # two statements: each has an index of its own
        connection.execute(sa.delete(knowledge_doubles).where(own, t.archived.in_(some)))
        connection.execute(sa.delete(knowledge_doubles).where(own, t.kept.in_(some)))


def forget_deletions_in(connection: sa.Connection, tenant: str, collection: str, ids: Sequence[str]) -> None:
    """Forget that these were deleted: they are there again."""
    t = knowledge_deletions.c
    own = sa.and_(t.tenant == tenant, t.collection == collection)
    if connection.execute(sa.select(sa.literal(1)).where(own).limit(1)).first() is None:
        return
    for some in chunks(ids):
        connection.execute(sa.delete(knowledge_deletions).where(own, t.id.in_(some)))


def kept(row: AnyRow) -> Kept:
    """Read a row."""
    return Kept(
        document=Document(
            id=row.id,
            text=row.text,
            title=row.title,
            source=row.source,
            category=row.category,
            language=row.language,
            user=row.user_id or "",
            metadata=_metadata(row.metadata),
        ),
        seq=row.seq,
        hash=row.hash,
        state=row.state,
        marks=tuple(row.marks or ()),
        added_us=row.added_us,
        updated_us=row.updated_us,
        accessed_us=row.accessed_us,
        accesses=row.accesses,
    )


def unique(documents: Sequence[ToKeep]) -> Iterator[ToKeep]:
    """Give the last one of each id, in order."""
    yield from {one.document.id: one for one in documents}.values()


def _values(seq: int, one: ToKeep, now: int) -> dict[str, Any]:
    document = one.document
    return {
        "id": document.id,
        "seq": seq,
        "hash": one.hash,
        "state": one.state,
        "marks": list(one.marks) or None,
        "title": _clean(document.title),
        "text": _clean(document.text),
        "source": _clean(document.source),
        "category": document.category,
        "language": document.language,
        "user_id": document.user or None,
        "metadata": clean(document.metadata) or None,
        "updated_us": now,
    }


_REPLACED = (
    *("seq", "hash", "state", "marks", "title", "text", "source", "category"),
    *("language", "user_id", "metadata", "updated_us"),
)


def _row(tenant: str, collection: str, seq: int, one: ToKeep, now: int) -> Row:
    """In the order of the table's columns."""
    document = one.document
    metadata = clean(document.metadata)
    return (
        tenant,
        collection,
        document.id,
        seq,
        one.hash,
        one.state,
        _encode(one.marks).decode() if one.marks else None,
        _clean(document.title),
        _clean(document.text),
        _clean(document.source),
        document.category,
        document.language,
        document.user or None,
        _encode(metadata).decode() if metadata else None,
        now,
        now,
        None,
        0,
    )


def _clean(text: str) -> str:
    return text.replace("\0", "\ufffd") if "\0" in text else text


def clean(value: Any) -> Any:
    """Replace NUL characters, which PostgreSQL cannot keep, by U+FFFD, in whatever JSON holds."""
    if isinstance(value, str):
        return _clean(value)
    if isinstance(value, dict):
        return {_clean(name): clean(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(inner) for inner in value]
    return value


def _metadata(found: dict[str, Any] | None) -> Metadata:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in (found or {}).items()}


def _unwritable(error: UnicodeError) -> InvalidRequest:
    return InvalidRequest(f"A document cannot be kept: {error}.", hint="Send text in UTF-8.", field="text")
