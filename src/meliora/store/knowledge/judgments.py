"""Frozen sets of judgments: a version is written once and never changed. Implements `JudgmentShelf`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256

import msgspec
import sqlalchemy as sa

from meliora.errors import InvalidRequest, NotFound
from meliora.knowledge.shelf import Judgment, JudgmentSetInfo
from meliora.store.bulk import write_rows
from meliora.store.engine import reading, writing
from meliora.store.knowledge.collections import hold_in
from meliora.store.rows import AnyRow, page_size
from meliora.store.tables import judgment_sets, judgments

_S = judgment_sets.c
_J = judgments.c
_COLUMNS = tuple(column.name for column in judgments.columns)
MOST = 1_000_000
"""Judgments of one set."""
MOST_ID = 200
"""Characters of a query's id."""


class Judgments:
    """Keep judgment sets."""

    def __init__(self, engine: sa.Engine, clock_us: Callable[[], int]) -> None:
        self._engine = engine
        self._clock_us = clock_us

    def put(self, tenant: str, collection: str, name: str, rows: Sequence[Judgment], made_by: str) -> JudgmentSetInfo:
        """Keep a set under the next version of its name, unless the newest says the same, whatever its order.

        What an older version said becomes the newest again: what was imported last is what counts.

        Raises `InvalidRequest` for a set that says nothing or contradicts itself, `NotFound` for an unknown collection.
        """
        ordered = _checked(name, rows)
        digest = sha256(msgspec.json.encode([msgspec.structs.astuple(one) for one in ordered])).hexdigest()
        with writing(self._engine) as connection:
            hold_in(connection, tenant, collection)
            own = _own(tenant, collection, name)
            newest = sa.select(judgment_sets).where(own).order_by(_S.version.desc()).limit(1)
            found = connection.execute(newest).one_or_none()
            if found is not None and found.sha256 == digest:
                return _info(found)
            version = (0 if found is None else found.version) + 1
            values = {
                "tenant": tenant,
                "collection": collection,
                "name": name,
                "version": version,
                "sha256": digest,
                "made_by": made_by,
                "made_us": self._clock_us(),
                "queries": len({one.query_id for one in ordered}),
                "judgments": len(ordered),
            }
            connection.execute(sa.insert(judgment_sets).values(**values))
            head = (tenant, collection, name, version)
            rows_ = [(*head, one.query_id, one.document, one.query, one.grade) for one in ordered]
            write_rows(connection, judgments.name, _COLUMNS, rows_)
            return _info(connection.execute(sa.select(judgment_sets).where(own, _S.version == version)).one())

    def get(self, tenant: str, collection: str, name: str, version: int) -> tuple[JudgmentSetInfo, Sequence[Judgment]]:
        """Give a set by its version, its judgments by query and document. Raises `NotFound`."""
        own = _own(tenant, collection, name)
        with reading(self._engine) as connection:
            info = connection.execute(sa.select(judgment_sets).where(own, _S.version == version)).one_or_none()
            if info is None:
                raise _missing(collection, name, version)
            return _info(info), _rows(connection, tenant, collection, name, version)

    def newest(self, tenant: str, collection: str, name: str) -> tuple[JudgmentSetInfo, Sequence[Judgment]]:
        """Give the newest version of a set. Raises `NotFound`."""
        query = sa.select(judgment_sets).where(_own(tenant, collection, name)).order_by(_S.version.desc()).limit(1)
        with reading(self._engine) as connection:
            info = connection.execute(query).one_or_none()
            if info is None:
                raise _missing(collection, name)
            return _info(info), _rows(connection, tenant, collection, name, info.version)

    def list(self, tenant: str, collection: str, *, limit: int = 100) -> Sequence[JudgmentSetInfo]:
        """Give the sets of a collection, the newest first; at most 500."""
        query = sa.select(judgment_sets).where(_S.tenant == tenant, _S.collection == collection)
        query = query.order_by(_S.made_us.desc(), _S.name, _S.version.desc()).limit(page_size(limit))
        with reading(self._engine) as connection:
            return tuple(_info(row) for row in connection.execute(query))


def _checked(name: str, rows: Sequence[Judgment]) -> list[Judgment]:
    """Give the judgments in their one order. Raises `InvalidRequest`."""
    if not name or len(name) > MOST_ID:
        raise InvalidRequest(f"A judgment set's name has 1 to {MOST_ID} characters.", field="name")
    if not rows or len(rows) > MOST:
        raise InvalidRequest(f"{name!r} has {len(rows)} judgments; 1 to {MOST:,} are allowed.", field="judgments")
    queries: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    for one in rows:
        if not one.query_id or len(one.query_id) > MOST_ID or not one.document or "\0" in one.query_id + one.document:
            raise InvalidRequest(
                f"A judgment names no usable query or document: {one.query_id[:50]!r}, {one.document[:50]!r}.",
                hint=f"An id of a query has 1 to {MOST_ID} characters.",
                field="judgments",
            )
        if not one.query.strip():
            raise InvalidRequest(f"Query {one.query_id!r} has no text.", hint="Give what was asked.", field="query")
        if not (0 <= one.grade < 1e9):
            raise InvalidRequest(f"Query {one.query_id!r} has the grade {one.grade}.", hint="0 or more.", field="grade")
        if queries.setdefault(one.query_id, one.query) != one.query:
            raise InvalidRequest(f"Query {one.query_id!r} has two texts.", field="query")
        if (one.query_id, one.document) in seen:
            raise InvalidRequest(f"Query {one.query_id!r} grades {one.document!r} twice.", field="document")
        seen.add((one.query_id, one.document))
    return sorted(rows, key=lambda one: (one.query_id, one.document))


def _rows(connection: sa.Connection, tenant: str, collection: str, name: str, version: int) -> tuple[Judgment, ...]:
    own = sa.and_(_J.tenant == tenant, _J.collection == collection, _J.name == name, _J.version == version)
    rows = connection.execute(sa.select(_J.query_id, _J.query, _J.document, _J.grade).where(own))
    return tuple(sorted((Judgment(*row) for row in rows), key=lambda one: (one.query_id, one.document)))


def _own(tenant: str, collection: str, name: str) -> sa.ColumnElement[bool]:
    return sa.and_(_S.tenant == tenant, _S.collection == collection, _S.name == name)


def _missing(collection: str, name: str, version: int | None = None) -> NotFound:
    which = "" if version is None else f" of version {version}"
    return NotFound(f"There is no judgment set {name!r}{which} in {collection!r}.", hint="Import one first.")


def _info(row: AnyRow) -> JudgmentSetInfo:
    return JudgmentSetInfo(**{name: getattr(row, name) for name in JudgmentSetInfo.__struct_fields__})
