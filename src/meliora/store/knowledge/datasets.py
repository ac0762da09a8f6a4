"""Data sets of made queries: each kept once by its content, and gone with whoever's words are in it. Implements `DataSetShelf`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256

import msgspec
import sqlalchemy as sa

from meliora.errors import Conflict, NotFound, StoreError
from meliora.knowledge.augment.examples import Example
from meliora.knowledge.augment.manifest import from_jsonl, to_jsonl
from meliora.knowledge.augment.shelf import DataSet, ToKeepSet
from meliora.store.engine import reading, writing
from meliora.store.knowledge.collections import hold_in
from meliora.store.rows import AnyRow, hold, insert_into, page_size
from meliora.store.tables import augmented_datasets, augmented_examples, augmented_people, erasures
from meliora.telemetry.ids import subject_of

_D = augmented_datasets.c
_E = augmented_examples.c
_P = augmented_people.c
_TURN = "datasets"
"""What one transaction at a time holds that keeps or deletes sets: examples may be shared by several."""


class DataSets:
    """Keep data sets."""

    def __init__(self, engine: sa.Engine, secret: str, clock_us: Callable[[], int]) -> None:
        self._engine = engine
        self._secret = secret
        self._clock_us = clock_us

    def put(self, tenant: str, made: ToKeepSet) -> tuple[DataSet, bool]:
        """Keep a set, and say whether it is new; one of the same content stays as it is.

        Raises `NotFound` for an unknown collection, `Conflict` where a person whose words are in it was erased meanwhile.
        """
        manifest, data = made.manifest, to_jsonl(made.examples)
        people = {subject_of(self._secret, tenant, user) for user in made.users}
        values = {
            "id": manifest.dataset_id,
            "collection": made.collection,
            "made_us": self._clock_us(),
            "made_by": made.made_by,
            "methods": list(manifest.method),
            "target_tokens": list(manifest.target_tokens),
            "examples": len(made.examples),
            "quality_score": sum(one.quality for one in made.examples) / max(1, len(made.examples)),
            "diversity_score": manifest.statistics.diversity_score,
            "sha256": sha256(data).hexdigest(),
            "searched_us": made.searched_us,
            "manifest": msgspec.to_builtins(manifest),
        }
        with writing(self._engine) as connection:
            hold_in(connection, tenant, made.collection)
            hold(connection, _TURN)
            _refuse_erased(connection, tenant, people, made.read_us)
            found = connection.execute(_query(tenant, manifest.dataset_id)).one_or_none()
            if found is not None:
                _name(connection, tenant, manifest.dataset_id, people)
                _age(connection, found, made.searched_us)
                return _set(found), False
            kept = {"tenant": tenant, "sha256": values["sha256"], "data": data}
            connection.execute(insert_into(connection, augmented_examples).values(**kept).on_conflict_do_nothing())
            connection.execute(sa.insert(augmented_datasets).values(tenant=tenant, **values))
            _name(connection, tenant, manifest.dataset_id, people)
            return _set(connection.execute(_query(tenant, manifest.dataset_id)).one()), True

    def get(self, tenant: str, id: str) -> DataSet:
        """Give one. Raises `NotFound`."""
        with reading(self._engine) as connection:
            return _set(_known(connection, tenant, id))

    def examples(self, tenant: str, id: str) -> tuple[Example, ...]:
        """Give the examples of one, in their order. Raises `NotFound`, `StoreError` where they are not what was kept."""
        with reading(self._engine) as connection:
            row = _known(connection, tenant, id)
            query = sa.select(_E.data).where(_E.tenant == tenant, _E.sha256 == row.sha256)
            data = connection.execute(query).scalar_one_or_none()
        if data is None or sha256(data).hexdigest() != row.sha256:
            raise StoreError(f"The examples of {id} are damaged.", hint="Delete the data set and make it again.")
        return from_jsonl(bytes(data))

    def list(self, tenant: str, collection: str | None = None, *, limit: int = 100) -> Sequence[DataSet]:
        """Give them, the newest first; at most 500."""
        query = sa.select(augmented_datasets).where(_D.tenant == tenant).order_by(_D.made_us.desc(), _D.id)
        query = query if collection is None else query.where(_D.collection == collection)
        with reading(self._engine) as connection:
            return tuple(_set(row) for row in connection.execute(query.limit(page_size(limit))))

    def mark(self, tenant: str, id: str, by: str) -> None:
        """Note that something was trained on it. Raises `NotFound`."""
        own = sa.and_(_D.tenant == tenant, _D.id == id)
        with writing(self._engine) as connection:
            _known(connection, tenant, id)
            done = sa.update(augmented_datasets).where(own).values(used_for_training=True, used_by=by)
            connection.execute(done)

    def delete(self, tenant: str, id: str) -> None:
        """Delete one, with its examples. Raises `NotFound`."""
        with writing(self._engine) as connection:
            hold(connection, _TURN)
            _known(connection, tenant, id)
            _delete(connection, tenant, [id])


def erase_datasets(connection: sa.Connection, tenant: str, subject: str) -> int:
    """Delete the sets that have a person's words."""
    hold(connection, _TURN)
    query = sa.select(_P.dataset).where(_P.tenant == tenant, _P.subject == subject)
    return _delete(connection, tenant, connection.execute(query).scalars().all())


def drop_datasets(connection: sa.Connection, tenant: str, collection: str) -> int:
    """Delete the sets of a collection."""
    hold(connection, _TURN)
    query = sa.select(_D.id).where(_D.tenant == tenant, _D.collection == collection)
    return _delete(connection, tenant, connection.execute(query).scalars().all())


def drop_old_searches(connection: sa.Connection, before_us: int, limit: int) -> int:
    """Delete sets that have words of searches which are to be kept no longer."""
    query = sa.select(_D.tenant, _D.id).where(_D.searched_us < before_us).limit(limit)
    found = connection.execute(query).all()
    if found:
        hold(connection, _TURN)
    return sum(_delete(connection, row.tenant, [row.id]) for row in found)


def _delete(connection: sa.Connection, tenant: str, ids: Iterable[str]) -> int:
    gone = 0
    for id in ids:
        own = sa.and_(_D.tenant == tenant, _D.id == id)
        digest = connection.execute(sa.select(_D.sha256).where(own)).scalar_one_or_none()
        gone += connection.execute(sa.delete(augmented_datasets).where(own)).rowcount
        connection.execute(sa.delete(augmented_people).where(_P.tenant == tenant, _P.dataset == id))
        others = sa.select(_D.id).where(_D.tenant == tenant, _D.sha256 == digest)
        if connection.execute(others.limit(1)).one_or_none() is None:
            connection.execute(sa.delete(augmented_examples).where(_E.tenant == tenant, _E.sha256 == digest))
    return gone


def _refuse_erased(connection: sa.Connection, tenant: str, people: set[str], read_us: int) -> None:
    if not people:
        return
    gone = sa.select(erasures.c.subject).where(erasures.c.tenant == tenant, erasures.c.at >= read_us)
    if people & set(connection.execute(gone).scalars()):
        raise Conflict("Somebody whose words would be in the data set was erased meanwhile.", hint="Make it again.")


def _name(connection: sa.Connection, tenant: str, id: str, people: set[str]) -> None:
    for subject in sorted(people):
        values = {"tenant": tenant, "subject": subject, "dataset": id}
        connection.execute(insert_into(connection, augmented_people).values(**values).on_conflict_do_nothing())


def _age(connection: sa.Connection, row: AnyRow, searched_us: int | None) -> None:
    """Let a set go as early as the oldest searches that it was ever made of."""
    if searched_us is not None and (row.searched_us is None or searched_us < row.searched_us):
        own = sa.and_(_D.tenant == row.tenant, _D.id == row.id)
        connection.execute(sa.update(augmented_datasets).where(own).values(searched_us=searched_us))


def _query(tenant: str, id: str) -> sa.Select[tuple[object, ...]]:
    return sa.select(augmented_datasets).where(_D.tenant == tenant, _D.id == id)


def _known(connection: sa.Connection, tenant: str, id: str) -> AnyRow:
    row = connection.execute(_query(tenant, id)).one_or_none()
    if row is None:
        raise NotFound(f"There is no data set {id!r}.", hint="`meliora knowledge datasets` lists them.")
    return row


def _set(row: AnyRow) -> DataSet:
    return DataSet(
        id=row.id,
        collection=row.collection,
        made_us=row.made_us,
        made_by=row.made_by,
        methods=tuple(row.methods),
        target_tokens=tuple(row.target_tokens),
        examples=row.examples,
        quality_score=row.quality_score,
        diversity_score=row.diversity_score,
        sha256=row.sha256,
        used_for_training=bool(row.used_for_training),
        used_by=row.used_by,
        manifest=row.manifest,
    )
