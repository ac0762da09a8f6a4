"""Erasure of a person's traces: in the tables at once, in the spool when its records are ingested."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa

from meliora.store.tables import erasures
from meliora.telemetry.ids import subject_of
from meliora.telemetry.records import CallBegun, CallFinished, SearchDone

ERASED = "erased"


class Erased:
    """The erased people of a deployment, and when each was erased last. False where there are none."""

    def __init__(self, secret: str, until_us: dict[str, int]) -> None:
        self._secret = secret
        self.until_us = until_us
        """When each subject was erased last."""

    def __bool__(self) -> bool:
        return bool(self.until_us)

    def since(self, tenant: str, user: str) -> int:
        """Give when a person was erased last; -1 for never."""
        return self.until_us.get(subject_of(self._secret, tenant, user), -1)

    def covers(self, tenant: str, user: str | None, started_us: int) -> bool:
        """Say whether a call of this person is to be stripped: it began before the erasure."""
        return user is not None and started_us <= self.since(tenant, user)

    def begun(self, record: CallBegun) -> CallBegun:
        """Strip a record where its person was erased."""
        if not self.covers(record.tenant, record.user, record.started_us):
            return record
        return msgspec.structs.replace(record, user=None, session=None)

    def finished(self, record: CallFinished) -> CallFinished:
        """Strip a record where its person was erased: who, what was said, and what was derived from it."""
        if not self.covers(record.tenant, record.user, record.started_us):
            return record
        return msgspec.structs.replace(
            record,
            user=None,
            session=None,
            tags={},
            request_text=None,
            response_text=None,
            error_message=None,
            prompt_hash=None,
            content="off",
            routing=None,
            trial_unit=None if record.trial_unit is None else f"e{record.id}",
        )

    def searched(self, record: SearchDone) -> SearchDone:
        """Strip a record where its person was erased: who, and what was asked."""
        if not self.covers(record.tenant, record.user, record.started_us):
            return record
        return msgspec.structs.replace(
            record,
            user=None,
            session=None,
            query_hash=None,
            content="off",
            query=None,
            terms=None,
            written=None,
            unknown=None,
            trial_unit=None if record.trial_unit is None else f"e{record.id}",
        )


def last_erasure(connection: sa.Connection) -> int:
    """Give when anybody was erased last; 0 for never."""
    return connection.execute(sa.select(sa.func.max(erasures.c.at))).scalar_one_or_none() or 0


def erased_subjects(connection: sa.Connection, secret: str) -> Erased:
    """Read who was erased. Within an ingest transaction, so that none is missed."""
    query = sa.select(erasures.c.subject, sa.func.max(erasures.c.at)).group_by(erasures.c.subject)
    return Erased(secret, {row[0]: row[1] for row in connection.execute(query)})
