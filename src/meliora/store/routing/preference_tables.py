"""Each tenant's numbered table of offsets, and which users' offsets are to be computed again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256

import sqlalchemy as sa

from meliora.errors import NotFound
from meliora.routing.preferences.offsets import Offsets, OffsetTable, decode, encode
from meliora.routing.preferences.refresh import Touched
from meliora.store.engine import reading, writing
from meliora.store.rows import hold, insert_into
from meliora.store.tables import (
    deployment,
    erasures,
    feedback,
    preference_interactions,
    preference_resets,
    preference_tables,
)
from meliora.telemetry.ids import subject_of

_CURSOR = "preferences_looked_us"
_SLACK_US = 60_000_000
"""Clocks of several control processes differ, and a word may be committed a little after its time."""
_PENDING_US = 86_400_000_000
"""How long feedback waits for its call before nobody looks for it any more."""
_T = preference_tables.c


class PreferenceTables:
    """Keep the tables."""

    def __init__(self, engine: sa.Engine, secret: str, clock_us: Callable[[], int]) -> None:
        self._engine = engine
        self._secret = secret
        self._clock_us = clock_us

    def touched(self) -> tuple[Touched, int]:
        """Give the users of whom something was heard lately, and the time to note by `looked` once it is dealt with.

        Feedback whose call is not ingested yet is met again until it is.
        """
        now = self._clock_us()
        found: dict[tuple[str, str], tuple[int, ...]] = {}
        with reading(self._engine) as connection:
            since = _cursor(connection) - _SLACK_US
            for table, time, known in (
                (feedback, feedback.c.updated_at, feedback.c.model_used),
                (preference_interactions, preference_interactions.c.kept_us, preference_interactions.c.model),
            ):
                for tenant in _tenants(connection, table):
                    query = sa.select(table.c.user_id, sa.func.max(time), sa.func.count(known))
                    query = query.where(table.c.tenant == tenant, time >= since, table.c.user_id.is_not(None))
                    for user, last, count in connection.execute(query.group_by(table.c.user_id)):
                        found[tenant, user] = (*found.get((tenant, user), ()), last, count)
            pending = sa.and_(sa.text("pending"), feedback.c.updated_at > now - _PENDING_US)
            waiting = connection.execute(sa.select(sa.func.min(feedback.c.updated_at)).where(pending)).scalar()
        return found, now if waiting is None else min(now, waiting)

    def looked(self, at_us: int) -> None:
        """Note that everything heard up to then is dealt with."""
        with writing(self._engine) as connection:
            insert = insert_into(connection, deployment).values(name=_CURSOR, value=str(at_us))
            connection.execute(insert.on_conflict_do_update(index_elements=["name"], set_={"value": str(at_us)}))

    def put(self, tenant: str, given: Mapping[str, Offsets], read_us: int) -> int | None:
        """Give users (by name) these offsets; the table's new number, None where nothing changed.

        `read_us` is when what they were computed from was read: who was erased or forgotten since is left out.
        """
        subjects = {subject_of(self._secret, tenant, user): offsets for user, offsets in given.items()}
        with writing(self._engine) as connection:
            for table, at in ((erasures, erasures.c.at), (preference_resets, preference_resets.c.at_us)):
                gone = sa.select(table.c.subject).where(table.c.tenant == tenant, at >= read_us)
                for subject in connection.execute(gone).scalars():
                    subjects.pop(subject, None)
            return _change(connection, tenant, subjects, self._clock_us())

    def blob(self, tenant: str, number: int) -> bytes:
        """Give a table's bytes. Raises `NotFound` unless it is the newest or the one before."""
        with reading(self._engine) as connection:
            query = sa.select(_T.blob).where(_T.tenant == tenant, _T.number == number)
            found = connection.execute(query).scalar_one_or_none()
        if found is None:
            raise NotFound(f"Table {number} of preferences is not kept any more.", hint="Ask for the state again.")
        return bytes(found)

    def table(self, tenant: str) -> OffsetTable:
        """Give a tenant's table."""
        with reading(self._engine) as connection:
            query = sa.select(_T.blob).where(_T.tenant == tenant).order_by(_T.number.desc()).limit(1)
            found = connection.execute(query).scalar_one_or_none()
        return OffsetTable() if found is None else decode(bytes(found))


def numbers(connection: sa.Connection) -> dict[str, tuple[int, str]]:
    """Give number and SHA-256 (hex) of each tenant's newest table."""
    rows = connection.execute(sa.select(_T.tenant, _T.number, _T.sha256).order_by(_T.tenant, _T.number))
    return {row.tenant: (row.number, row.sha256) for row in rows}


def drop_offsets(connection: sa.Connection, tenant: str, subject: str, now_us: int) -> None:
    """Take a person out of the table, and its older version with them."""
    if _change(connection, tenant, {subject: {}}, now_us) is not None:
        newest = sa.select(sa.func.max(_T.number)).where(_T.tenant == tenant).scalar_subquery()
        connection.execute(sa.delete(preference_tables).where(_T.tenant == tenant, _T.number < newest))


def _change(connection: sa.Connection, tenant: str, subjects: Mapping[str, Offsets], now_us: int) -> int | None:
    """Write the next version where it differs; the one before stays for gateways that are just fetching it."""
    hold(connection, f"preferences:{tenant}")
    newest = sa.select(_T.number, _T.blob).where(_T.tenant == tenant).order_by(_T.number.desc()).limit(1)
    row = connection.execute(newest).one_or_none()
    number, before = (0, encode(OffsetTable())) if row is None else (row.number, bytes(row.blob))
    body = encode(decode(before).changed(subjects))
    if body == before:
        return None
    number += 1
    values = {"number": number, "sha256": sha256(body).hexdigest(), "blob": body, "made_us": now_us}
    connection.execute(sa.insert(preference_tables).values(tenant=tenant, **values))
    connection.execute(sa.delete(preference_tables).where(_T.tenant == tenant, _T.number < number - 1))
    return number


def _cursor(connection: sa.Connection) -> int:
    query = sa.select(deployment.c.value).where(deployment.c.name == _CURSOR)
    return int(connection.execute(query).scalar_one_or_none() or 0)


def _tenants(connection: sa.Connection, table: sa.Table) -> Iterator[str]:
    """Give the tenants that a table has rows of, hopping through its index from one to the next."""
    query = sa.select(sa.func.min(table.c.tenant))
    last: str | None = connection.execute(query).scalar()
    while last is not None:
        yield last
        last = connection.execute(query.where(table.c.tenant > last)).scalar()
