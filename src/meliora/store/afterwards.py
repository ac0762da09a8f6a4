"""What a restore must not undo: people erased and keys revoked after the backup was made. Read before it, done again behind it.

Refuses to guess: where the database that is replaced cannot be read, nothing of it is known, and the caller says so.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import msgspec
import sqlalchemy as sa

from meliora.store.engine import reading, writing
from meliora.store.erasures import Erased, erased_subjects
from meliora.store.housekeeping import StoreHousekeeping
from meliora.store.keys import Keys
from meliora.store.preferences import drop_offsets
from meliora.store.tables import deployment, erasures, keys, metadata


class Afterwards(msgspec.Struct, frozen=True):
    """What a database knows of erasures and revocations."""

    secret: str
    erased: Erased
    subjects: tuple[tuple[str, str, int], ...]
    """Tenant, subject and when it was erased last."""
    revoked: tuple[tuple[str, str], ...]
    """Tenant and id of each revoked key."""


class Redone(msgspec.Struct, frozen=True):
    """How much was done again."""

    erased: int = 0
    revoked: int = 0


def known_in(engine: sa.Engine) -> Afterwards:
    """Read it. Raises `StoreError` where the database cannot be read."""
    with reading(engine) as connection:
        secret = _secret(connection)
        last = sa.select(erasures.c.tenant, erasures.c.subject, sa.func.max(erasures.c.at))
        gone = sa.select(keys.c.tenant, keys.c.id).where(keys.c.revoked_us.is_not(None))
        return Afterwards(
            secret,
            erased_subjects(connection, secret),
            tuple((row[0], row[1], row[2]) for row in connection.execute(last.group_by(*last.selected_columns[:2]))),
            tuple((row[0], row[1]) for row in connection.execute(gone)),
        )


def do_again(engine: sa.Engine, before: Afterwards, clock_us: Callable[[], int]) -> Redone:
    """Erase and revoke in a restored database what was erased and revoked in the one that it replaces."""
    now = known_in(engine)
    later = [one for one in before.subjects if one[2] > now.erased.until_us.get(one[1], -1)]
    housekeeping = StoreHousekeeping(engine, now.secret, clock_us)
    for tenant, user in list(_people(engine)):
        if before.erased.since(tenant, user) > now.erased.since(tenant, user):
            housekeeping.erase(tenant, user)
    if before.secret == now.secret:
        _remember(engine, later, clock_us())
    return Redone(len(later), _revoke(engine, set(before.revoked) - set(now.revoked), clock_us))


def _secret(connection: sa.Connection) -> str:
    """Give the deployment's secret; of a database that has none yet, one that stands for nothing."""
    query = sa.select(deployment.c.value).where(deployment.c.name == "secret")
    return connection.execute(query).scalar_one_or_none() or "00" * 32


def _people(engine: sa.Engine) -> Iterator[tuple[str, str]]:
    """Give every user whom a table names."""
    naming = [table.c for table in metadata.sorted_tables if {"tenant", "user_id"} <= set(table.c.keys())]
    query = sa.union(*(sa.select(c.tenant, c.user_id).where(c.user_id.is_not(None)) for c in naming))
    with reading(engine) as connection:
        for row in connection.execute(query):
            yield row[0], row[1]


def _remember(engine: sa.Engine, subjects: list[tuple[str, str, int]], now_us: int) -> None:
    """Keep the erasures themselves, for records in the restored spool, and drop what is kept by subject alone."""
    with writing(engine) as connection:
        for tenant, subject, at in subjects:
            connection.execute(sa.insert(erasures).values(tenant=tenant, subject=subject, at=at, counts=None))
            drop_offsets(connection, tenant, subject, now_us)


def _revoke(engine: sa.Engine, revoked: set[tuple[str, str]], clock_us: Callable[[], int]) -> int:
    own = Keys(engine, clock_us, os.urandom)
    with reading(engine) as connection:
        there = {(row[0], row[1]) for row in connection.execute(sa.select(keys.c.tenant, keys.c.id))}
    for tenant, key_id in sorted(revoked & there):
        own.revoke(tenant, key_id)
    return len(revoked & there)
