"""What a restore must not undo: people erased, keys revoked, a kill, and the audit's memory. Read before it, done again behind it.

Refuses to guess: where the database that is replaced cannot be read, nothing of it is known, and the caller says so.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import sqlalchemy as sa

from meliora.loop.audit.chain import RESTORED, Lost, lost_by, strangers
from meliora.loop.audit.entry import AuditNote, Row
from meliora.loop.audit.heads import Head, Heads
from meliora.store.engine import reading, writing
from meliora.store.erasures import Erased, erased_subjects
from meliora.store.housekeeping import StoreHousekeeping
from meliora.store.keys import Keys
from meliora.store.knowledge.datasets import erase_datasets
from meliora.store.knowledge.learned import forget_learned
from meliora.store.loop.audit import Audit, audit_secret, hashes_of, head_of
from meliora.store.loop.control import Control
from meliora.store.routing.preferences import drop_offsets
from meliora.store.tables import audit_entries, deployment, erasures, keys, loop_control, metadata


class Afterwards(msgspec.Struct, frozen=True):
    """What a database knows of erasures and revocations."""

    secret: str
    erased: Erased
    subjects: tuple[tuple[str, str, int], ...]
    """Tenant, subject and when it was erased last."""
    revoked: tuple[tuple[str, str], ...]
    """Tenant and id of each revoked key."""
    head: Head | None = None
    """Of the audit."""
    halted: bool = False
    """The kill switch is on."""


class Telling(msgspec.Struct, frozen=True):
    """What the audit is told of a restore."""

    before: Afterwards | None
    made_us: int
    """When the backup was made."""
    audit_key: str
    clock_us: Callable[[], int]


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
            head_of(connection) if sa.inspect(connection).has_table(audit_entries.name) else None,
            _halted(connection) if sa.inspect(connection).has_table(loop_control.name) else False,
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


def tell(engine: sa.Engine, state: Path, replaced: Path, telling: Telling) -> int:
    """Append to the restored chain that it went back, sign its head, kill again what was killed; give how many entries went.

    `state` is the restored state directory, `replaced` the one that was there. Where neither knew an audit, nothing is told.
    """
    before, made_us, audit_key, clock_us = msgspec.structs.astuple(telling)
    with reading(engine) as connection:
        secret = audit_secret(_secret(connection), audit_key)
        now = head_of(connection) or Head(0, "")
        old = Heads(replaced, secret).read()
        if before is not None and before.head is not None:
            old = msgspec.structs.replace(old, heads=(*old.heads, before.head))
        if not (now.seq or old.heads or old.signed):
            return 0
        signed = () if old.signed is None else (old.signed,)
        gone = strangers(
            old, hashes_of(connection, {one.seq for one in (*old.heads, *signed)}), _told(connection, secret)
        )
    last = gone[-1] if gone else now
    lost = Lost(gone[0].seq - 1 if gone else now.seq, last.seq, last.hash, (0, ""))
    audit = Audit(engine, secret, clock_us)
    body = {
        "kept": lost.kept,
        "lost_seq": lost.seq,
        "lost_hash": lost.hash,
        "mac": lost.mac(secret),
        "made_us": made_us,
    }
    heads = Heads(state, secret)
    heads.adopt(Heads(replaced, secret))
    entry = audit.record(AuditNote(tenant="default", actor="cli", action=RESTORED, subject="audit", body=body))
    heads.begin_again(Head(entry.seq, entry.hash, entry.at_us))
    if before is not None and before.halted:
        audit.heads = heads
        Control(engine, audit, clock_us).kill("system:restore", "killed before the restore")
    return len(gone)


def _told(connection: sa.Connection, secret: str) -> list[Lost]:
    """Give what earlier restores, as the chain tells of them, took away."""
    query = sa.select(*[audit_entries.c[name] for name in Row.__struct_fields__])
    found = connection.execute(query.where(audit_entries.c.action == RESTORED)).all()
    known: list[Lost | None] = []
    for row in found:
        with suppress(ValueError):  # one that cannot be read is for `verify` to tell; it explains nothing
            known.append(lost_by(Row(*row), secret))
    return [lost for lost in known if lost is not None]


def _halted(connection: sa.Connection) -> bool:
    query = sa.select(loop_control.c.value).where(loop_control.c.name == "halted")
    return connection.execute(query).scalar_one_or_none() == "1"


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
            forget_learned(connection, tenant, subject)
            erase_datasets(connection, tenant, subject)


def _revoke(engine: sa.Engine, revoked: set[tuple[str, str]], clock_us: Callable[[], int]) -> int:
    own = Keys(engine, clock_us, os.urandom)
    with reading(engine) as connection:
        there = {(row[0], row[1]) for row in connection.execute(sa.select(keys.c.tenant, keys.c.id))}
    for tenant, key_id in sorted(revoked & there):
        own.revoke(tenant, key_id)
    return len(revoked & there)
