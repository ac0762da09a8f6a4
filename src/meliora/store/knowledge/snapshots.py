"""Numbered configurations of searches, which of them serves, and what they take besides themselves. Implements `SnapshotShelf`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Literal

import msgspec
import sqlalchemy as sa

from meliora.errors import NotFound, StoreError
from meliora.knowledge.config import SearchConfig, Snapshot
from meliora.knowledge.shelf import Fenced, unfenced
from meliora.store.engine import once_more, reading, writing
from meliora.store.knowledge.collections import hold_in, row_in, set_in
from meliora.store.knowledge.learned import kept_without
from meliora.store.rows import AnyRow, insert_into, page_size
from meliora.store.tables import knowledge_artifacts, knowledge_snapshots

_S = knowledge_snapshots.c
_A = knowledge_artifacts.c


class KnowledgeSnapshots:
    """Keep snapshots and artifacts. A snapshot's number is never given again, though its collection was dropped.

    Nothing changes a snapshot but the erasure of somebody from whom what it takes was learned (`store.knowledge.learned`).
    """

    def __init__(self, engine: sa.Engine, clock_us: Callable[[], int]) -> None:
        self._engine = engine
        self._clock_us = clock_us

    @once_more
    def serving(self, tenant: str, collection: str) -> Snapshot:
        """Give what serves; number 0 and `SearchConfig()` where nothing was kept."""
        with reading(self._engine) as connection:
            row = row_in(connection, tenant, collection)
            number = 0 if row is None else row.snapshot or 0
            return _get(connection, tenant, collection, number)

    @once_more
    def get(self, tenant: str, collection: str, number: int) -> Snapshot:
        """Give one. Raises `NotFound`; 0 is always there."""
        with reading(self._engine) as connection:
            return _get(connection, tenant, collection, number)

    def list(self, tenant: str, collection: str, *, limit: int = 50) -> Sequence[Snapshot]:
        """Give those kept, the newest first; at most 500."""
        query = sa.select(knowledge_snapshots).where(_own(tenant, collection)).order_by(_S.number.desc())
        with reading(self._engine) as connection:
            rows = connection.execute(query.limit(page_size(limit))).all()
        return tuple(_snapshot(row) for row in rows)

    def add(self, tenant: str, collection: str, config: SearchConfig, made_by: str) -> Snapshot:
        """Keep a configuration under the next number; the same configuration of the same maker is kept once.

        Raises `NotFound` for an unknown collection, and for an artifact that it takes and that is not kept.
        """
        text = msgspec.json.encode(config, order="deterministic").decode()
        digest = sha256(text.encode()).hexdigest()
        with writing(self._engine) as connection:
            hold_in(connection, tenant, collection)
            for artifact in config.artifacts:
                _kind(connection, tenant, artifact)
            own = _own(tenant, collection)
            same = sa.select(knowledge_snapshots).where(own, _S.sha256 == digest, _S.made_by == made_by)
            found = connection.execute(same.order_by(_S.number).limit(1)).one_or_none()
            if found is not None:
                return _snapshot(found)
            last = connection.execute(sa.select(sa.func.max(_S.number)).where(own)).scalar_one() or 0
            values = {"number": last + 1, "config": text, "sha256": digest}
            values |= {"made_by": made_by, "made_us": self._clock_us()}
            connection.execute(sa.insert(knowledge_snapshots).values(tenant=tenant, collection=collection, **values))
            return _get(connection, tenant, collection, last + 1)

    def exchange(
        self, tenant: str, collection: str, number: int, *, instead_of: int, fenced: Fenced = unfenced
    ) -> bool:
        """Let a snapshot serve in place of another; False, and nothing changed, where something else serves. Raises `NotFound`."""
        with writing(self._engine) as connection:
            fenced(connection)
            present = hold_in(connection, tenant, collection).snapshot or 0
            _get(connection, tenant, collection, number)
            if present != instead_of:
                return False
            set_in(connection, tenant, collection, snapshot=number or None)
        return True

    def keep(self, tenant: str, kind: Literal["expansion", "reranker", "vectors", "pruning"], data: bytes) -> str:
        """Keep an artifact and give its SHA-256; the same bytes are kept once. It is kept without people erased since it was learned."""
        with writing(self._engine) as connection:
            data = kept_without(connection, tenant, kind, data)
            digest = sha256(data).hexdigest()
            values = {"tenant": tenant, "sha256": digest, "kind": kind, "data": data, "made_us": self._clock_us()}
            connection.execute(insert_into(connection, knowledge_artifacts).values(**values).on_conflict_do_nothing())
        return digest

    @once_more
    def artifact(self, tenant: str, sha256: str) -> bytes:
        """Give an artifact. Raises `NotFound`, `StoreError` where its bytes are no longer those that were kept."""
        query = sa.select(_A.data).where(_A.tenant == tenant, _A.sha256 == sha256)
        with reading(self._engine) as connection:
            data = connection.execute(query).scalar_one_or_none()
        if data is None:
            raise _missing(sha256)
        if _digest(data) != sha256:
            raise StoreError(f"The artifact {sha256[:12]} is damaged.", hint="Make it again.")
        return bytes(data)


def _digest(data: bytes) -> str:
    return sha256(data).hexdigest()


def _own(tenant: str, collection: str) -> sa.ColumnElement[bool]:
    return sa.and_(_S.tenant == tenant, _S.collection == collection)


def _get(connection: sa.Connection, tenant: str, collection: str, number: int) -> Snapshot:
    if number == 0:
        return Snapshot(number=0, config=SearchConfig())
    query = sa.select(knowledge_snapshots).where(_own(tenant, collection), _S.number == number)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound(f"There is no snapshot {number} of {collection!r}.")
    return _snapshot(row)


def _kind(connection: sa.Connection, tenant: str, artifact: str) -> str:
    query = sa.select(_A.kind).where(_A.tenant == tenant, _A.sha256 == artifact)
    found = connection.execute(query).scalar_one_or_none()
    if found is None:
        raise _missing(artifact)
    return found


def _missing(artifact: str) -> NotFound:
    return NotFound(f"There is no artifact {artifact[:12]!r}.", hint="Keep it first.")


def _snapshot(row: AnyRow) -> Snapshot:
    config = msgspec.json.decode(row.config, type=SearchConfig)
    return Snapshot(number=row.number, config=config, made_by=row.made_by, made_us=row.made_us, sha256=row.sha256)
