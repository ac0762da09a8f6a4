"""The audit as it is kept: one chain for the deployment, appended to in the transaction of what it records.

The head row is locked for as long as that transaction lasts, so that entries stand in the order of their commits. After the
commit the head goes outside the database (`loop.audit.heads`); a transaction that fails leaves neither entry nor head.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import msgspec
import sqlalchemy as sa
import structlog

from meliora.errors import StoreError, StoreUnavailable
from meliora.loop.audit.chain import Verified, verify
from meliora.loop.audit.entry import START, AuditEntry, AuditNote, Row, digest, sealed
from meliora.loop.audit.heads import Head, Heads, Outside
from meliora.store.cursors import Page, decode, encode
from meliora.store.engine import reading, writing
from meliora.store.rows import insert_into, page_size
from meliora.store.tables import audit_entries, audit_head

log = structlog.get_logger(__name__)

_BATCH = 5000


@dataclass(slots=True)
class Recording:
    """A transaction that records what it does."""

    connection: sa.Connection
    _append: Callable[[sa.Connection, AuditNote], AuditEntry]
    entries: list[AuditEntry] = field(default_factory=list)

    def append(self, note: AuditNote) -> AuditEntry:
        """Append an entry. It is there when the transaction is committed, and else never was."""
        entry = self._append(self.connection, note)
        self.entries.append(entry)
        return entry


class Audit:
    """Append to the chain, read it, verify it. `heads` is where heads go; without it a cut tail does not show."""

    def __init__(self, engine: sa.Engine, secret: str, clock_us: Callable[[], int], heads: Heads | None = None) -> None:
        self._engine = engine
        self._secret = secret
        self._clock_us = clock_us
        self.heads = heads

    @contextmanager
    def recording(self) -> Iterator[Recording]:
        """Hold a transaction that writes; after its commit the heads of what it appended are written outside."""
        with writing(self._engine) as connection:
            recording = Recording(connection, self.append)
            yield recording
        self.publish(*recording.entries)

    def append(self, connection: sa.Connection, note: AuditNote) -> AuditEntry:
        """Append within a write transaction; call `publish` after its commit. Raises `InvalidRequest` for what may not stand there."""
        head = _locked_head(connection)
        row = sealed(note, seq=head.seq + 1, at_us=self._clock_us(), prev=head.hash)
        connection.execute(sa.insert(audit_entries).values(**msgspec.structs.asdict(row)))
        connection.execute(sa.update(audit_head).where(audit_head.c.id == 1).values(seq=row.seq, hash=row.hash))
        return row.entry()

    def publish(self, *entries: AuditEntry) -> None:
        """Write the heads of committed entries outside the database, which is on the disk before them.

        Where that fails it is logged: what was committed must not look as if it were not. The next head covers these.
        """
        if self.heads is None or not entries:
            return
        try:
            _sync_log(self._engine)
            self.heads.note(*(Head(entry.seq, entry.hash, entry.at_us) for entry in entries))
        except OSError as error:
            log.error("the head of the audit cannot be written outside the database", error=str(error))

    def record(self, note: AuditNote) -> AuditEntry:
        """Append in a transaction of its own."""
        with self.recording() as recording:
            return recording.append(note)

    def digest(self, text: str) -> str:
        """Give the keyed hash that stands in the audit for a text that must not."""
        return digest(self._secret, text)

    def head(self) -> Head | None:
        """Give the head row; None before the first entry."""
        with reading(self._engine) as connection:
            return head_of(connection)

    def list(
        self, tenant: str, *, subject: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[AuditEntry]:
        """Give entries of a tenant, the newest first; at most 500."""
        limit = page_size(limit)
        query = _SELECT.where(_T.tenant == tenant)
        if subject is not None:
            query = query.where(_T.subject == subject)
        if cursor is not None:
            query = query.where(_T.seq < decode(cursor, int)[1])
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(_T.seq.desc()).limit(limit + 1)).all()
        found = tuple(Row(*row).entry() for row in rows[:limit])
        return Page(found, encode(0, found[-1].seq) if len(rows) > limit else None)

    def of(self, tenant: str, subject: str) -> tuple[AuditEntry, ...]:
        """Give all entries about a subject, the oldest first."""
        query = _SELECT.where(_T.tenant == tenant, _T.subject == subject).order_by(_T.seq)
        with reading(self._engine) as connection:
            return tuple(Row(*row).entry() for row in connection.execute(query))

    def export(self, tenant: str | None, *, since_us: int = 0, action: str | None = None) -> Iterator[AuditEntry]:
        """Give entries from a time on, the oldest first; None: of all tenants."""
        query = _SELECT.where(_T.at_us >= since_us)
        if tenant is not None:
            query = query.where(_T.tenant == tenant)
        if action is not None:
            query = query.where(_T.action == action)
        for row in self._rows(query):
            yield row.entry()

    def verify(self) -> Verified:
        """Walk the whole chain. Raises `StoreError` only where it cannot be read."""
        try:
            outside = Outside() if self.heads is None else self.heads.read()  # first: an entry may come in between
        except OSError as error:
            raise StoreUnavailable(f"The heads outside the database cannot be read: {error}.") from error
        with reading(self._engine) as connection:
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            head = head_of(connection)
            rows = connection.execution_options(yield_per=_BATCH).execute(_SELECT.order_by(_T.seq))
            return verify((Row(*row) for row in rows), head, outside, self._secret)

    def _rows(self, query: sa.Select[Any]) -> Iterator[Row]:
        after = 0
        while True:
            with reading(self._engine) as connection:
                rows = connection.execute(query.where(_T.seq > after).order_by(_T.seq).limit(_BATCH)).all()
            for row in rows:
                yield Row(*row)
            if len(rows) < _BATCH:
                return
            after = rows[-1].seq


_T = audit_entries.c
_SELECT = sa.select(*[_T[name] for name in Row.__struct_fields__])


def head_of(connection: sa.Connection) -> Head | None:
    """Give the head row; None where there is none."""
    found = connection.execute(sa.select(audit_head.c.seq, audit_head.c.hash)).one_or_none()
    return None if found is None else Head(found.seq, found.hash)


def audit_secret(deployment: str, key: str) -> str:
    """Give the hex under which the audit signs: of a key of its own where there is one, else the deployment's secret."""
    return sha256(b"meliora audit key\n" + key.encode()).hexdigest() if key else deployment


def hashes_of(connection: sa.Connection, numbers: Iterable[int]) -> dict[int, str]:
    """Give the hashes of these entries, as far as they are there."""
    found: dict[int, str] = {}
    wanted = sorted(numbers)
    for start in range(0, len(wanted), 500):
        query = sa.select(_T.seq, _T.hash).where(_T.seq.in_(wanted[start : start + 500]))
        found.update((row.seq, row.hash) for row in connection.execute(query))
    return found


def allow_replacing(connection: sa.Connection) -> None:
    """Let this transaction, a restore's, delete entries on PostgreSQL; SQLite is replaced as a file."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL meliora.restoring = 'on'")


def _sync_log(engine: sa.Engine) -> None:
    """Put SQLite's log on the disk: it is not synced at each commit, and after a power cut a head must not know more than it."""
    if engine.dialect.name != "sqlite" or not engine.url.database:
        return
    with suppress(FileNotFoundError):  # taken into the database, which syncs it
        descriptor = os.open(f"{engine.url.database}-wal", os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _locked_head(connection: sa.Connection) -> Head:
    query = sa.select(audit_head.c.seq, audit_head.c.hash).with_for_update()
    found = connection.execute(query).one_or_none()
    if found is None:
        insert = insert_into(connection, audit_head).values(id=1, seq=0, hash=START)
        connection.execute(insert.on_conflict_do_nothing())
        found = connection.execute(query).one()
    if found.seq == 0 and connection.execute(sa.select(audit_entries.c.seq).limit(1)).first() is not None:
        raise StoreError(
            "The audit has entries and no head, so nothing can be appended.", hint="See `meliora audit verify`."
        )
    return Head(found.seq, found.hash)
