"""Alerts and their outbox. What is to be told is planned under one lock, so that of several workers one tells; each sending has a lease.

A worker killed between sending and noting it sends twice: told twice is better than never.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from meliora.loop.alerts import RANK, Alert, AlertRow, Message, Sending, Telling
from meliora.store.cursors import Page, decode, encode
from meliora.store.engine import reading, writing
from meliora.store.rows import AnyRow, before, hold, insert_into, page_size
from meliora.store.tables import alert_outbox, alerts

HOUR_US = 3_600_000_000
KEEP_US = 30 * 86_400_000_000
"""What ended, or happened, so long ago is forgotten."""
MOST_LEASE_US = HOUR_US
"""A lease that ends later than this from now was made before the clock was set back: it is over."""
_BATCH = 500


class Incoming(msgspec.Struct, frozen=True, kw_only=True):
    """An alert of somebody else's: a signal, by its name and labels. Its texts are not kept."""

    fingerprint: str
    name: str
    severity: str
    firing: bool
    labels: dict[str, str]
    began_us: int


class Alerts:
    """Keep alerts, plan what is told of them, and hand it out."""

    def __init__(self, engine: sa.Engine, clock_us: Callable[[], int]) -> None:
        self._engine = engine
        self._clock_us = clock_us

    def happened(self, tenant: str, alert: Alert, quiet_us: int) -> None:
        """Note that it happened; within `quiet_us` of the last time it was told it is only counted."""
        with writing(self._engine) as connection:
            hold(connection, "alerts")
            now = self._clock_us()
            known = connection.execute(_one(tenant, alert.fingerprint)).one_or_none()
            if known is None:
                self._begin(connection, tenant, alert, now)
                return
            quiet = known.told_us is not None and 0 <= now - known.told_us < quiet_us
            values = {"seen": _A.seen + 1, "seen_us": now, "summary": alert.summary}
            if not quiet:
                values |= {"told": None}
            connection.execute(sa.update(alerts).where(*_key(tenant, alert.fingerprint)).values(**values))

    def hold(self, tenant: str, found: Sequence[Alert]) -> None:
        """Note which lasting alerts hold now: those that are new begin, those that are not among them end."""
        wanted = {one.fingerprint: one for one in found}
        if self._firing(tenant) == set(wanted):
            return
        with writing(self._engine) as connection:
            hold(connection, "alerts")
            now = self._clock_us()
            mine = sa.select(alerts).where(_A.tenant == tenant, _A.source == "meliora", _A.lasting)
            known = {row.fingerprint: row for row in connection.execute(mine)}
            for fingerprint, alert in wanted.items():
                if fingerprint not in known:
                    self._begin(connection, tenant, alert, now)
                elif known[fingerprint].status != "firing":
                    again = {"status": "firing", "seen": _A.seen + 1, "began_us": now, "seen_us": now, "ended_us": None}
                    again |= {"summary": alert.summary, "severity": alert.severity}
                    connection.execute(sa.update(alerts).where(*_key(tenant, fingerprint)).values(**again))
            for fingerprint, row in known.items():
                if row.status == "firing" and fingerprint not in wanted:
                    ended = {"status": "resolved", "ended_us": now}
                    connection.execute(sa.update(alerts).where(*_key(tenant, fingerprint)).values(**ended))

    def came(self, tenant: str, found: Sequence[Incoming]) -> None:
        """Note alerts that came in. The same one again is counted as the same."""
        with writing(self._engine) as connection:
            hold(connection, "alerts")
            now = self._clock_us()
            for one in found:
                status = "firing" if one.firing else "resolved"
                values: dict[str, Any] = {
                    "name": one.name,
                    "severity": one.severity,
                    "status": status,
                    "labels": one.labels,
                    "began_us": one.began_us,
                    "seen_us": now,
                    "ended_us": None if one.firing else now,
                }
                fixed = {"source": "alertmanager", "lasting": True, "summary": "", "seen": 1, "told": None}
                insert = insert_into(connection, alerts).values(
                    tenant=tenant, fingerprint=f"am:{one.fingerprint}", **values, **fixed
                )
                again = values | {"seen": _A.seen + 1}
                connection.execute(insert.on_conflict_do_update(index_elements=["tenant", "fingerprint"], set_=again))

    def list(
        self, tenant: str, *, status: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[AlertRow]:
        """Give alerts, the last seen first; at most 500."""
        limit = page_size(limit)
        query = sa.select(alerts).where(_A.tenant == tenant)
        if status is not None:
            query = query.where(_A.status == status)
        if cursor is not None:
            query = query.where(before(_A.seen_us, _A.fingerprint, decode(cursor, str)))
        with reading(self._engine) as connection:
            order = query.order_by(_A.seen_us.desc(), _A.fingerprint.desc())
            rows = connection.execute(order.limit(limit + 1)).all()
        found = tuple(AlertRow(**row._mapping) for row in rows[:limit])
        return Page(found, encode(found[-1].seen_us, found[-1].fingerprint) if len(rows) > limit else None)

    # The outbox

    def plan(self, telling: Telling, sinks: Sequence[str]) -> int:
        """Put what is to be told now into the outbox, and give how many alerts that were."""
        if not self._to_plan(telling):
            return 0
        with writing(self._engine) as connection:
            hold(connection, "alerts")
            now = self._clock_us()
            self._tidy(connection, sinks, now, telling)
            self._again(connection, now, telling)
            left = telling.per_hour - self._told_lately(connection, now, len(sinks))
            told = 0
            for row in connection.execute(_UNTOLD.limit(_BATCH)).all():
                wanted = RANK.get(row.severity, 0) >= RANK[telling.severity]
                ends = row.status == "resolved"
                if not wanted or (ends and row.told != "firing"):
                    self._mark(connection, row, row.told_us)
                    continue
                quiet = row.told_us is not None and 0 <= now - row.told_us < telling.quiet_us
                if not ends and ((quiet and row.told is not None) or (left <= 0 and row.severity != "critical")):
                    continue
                message = _message(row, now, telling)
                for sink in sinks:
                    values = {"tenant": row.tenant, "sink": sink, "message": msgspec.to_builtins(message)}
                    connection.execute(sa.insert(alert_outbox).values(**values, made_us=now, due_us=now))
                self._mark(connection, row, row.told_us if ends else now)
                told, left = told + 1, left - (not ends)
            return told

    def claim(self, sink: str, owner: str, lease_us: int, limit: int = 20) -> tuple[Sending, ...]:
        """Take up what a sink has to send."""
        with reading(self._engine) as connection:
            now = self._clock_us()
            if connection.execute(_due(sink, now).limit(1)).first() is None:
                return ()
        taken = []
        with writing(self._engine) as connection:
            hold(connection, "alerts")
            for row in connection.execute(_due(sink, now).order_by(_O.id).limit(limit)).all():
                mine = {"lease_owner": owner, "lease_until_us": now + lease_us}
                connection.execute(sa.update(alert_outbox).where(_O.id == row.id).values(**mine))
                message = msgspec.convert(row.message, Message)
                taken.append(Sending(id=row.id, message=message, attempts=row.attempts, made_us=row.made_us))
        return tuple(taken)

    def sent(self, sending: Sending) -> None:
        """Note that it is sent."""
        self._settle(sending, due_us=None, sent_us=self._clock_us(), error=None)

    def failed(self, sending: Sending, error: str, retry_us: int, give_up_us: int) -> None:
        """Note that it was not, and when it is tried again; one older than `give_up_us` is given up."""
        now = self._clock_us()
        self._settle(sending, due_us=None if now - sending.made_us > give_up_us else now + retry_us, error=error)

    def _settle(self, sending: Sending, **values: Any) -> None:
        free = {"attempts": _O.attempts + 1, "lease_owner": None, "lease_until_us": None}
        with writing(self._engine) as connection:
            connection.execute(sa.update(alert_outbox).where(_O.id == sending.id).values(**values, **free))

    def _firing(self, tenant: str) -> set[str]:
        mine = (_A.tenant == tenant, _A.source == "meliora", _A.lasting, _A.status == "firing")
        with reading(self._engine) as connection:
            return set(connection.execute(sa.select(_A.fingerprint).where(*mine)).scalars())

    def _begin(self, connection: sa.Connection, tenant: str, alert: Alert, now: int) -> None:
        row = {
            name: getattr(alert, name) for name in ("fingerprint", "name", "severity", "summary", "labels", "lasting")
        }
        row |= {"tenant": tenant, "source": "meliora", "status": "firing", "seen": 1, "began_us": now, "seen_us": now}
        connection.execute(sa.insert(alerts).values(**row))

    def _to_plan(self, telling: Telling) -> bool:
        """Look whether there is anything to plan, without a lock."""
        now = self._clock_us()
        with reading(self._engine) as connection:
            if connection.execute(_UNTOLD.limit(1)).first() is not None:
                return True
            queries = (
                sa.select(_A.tenant).where(*_stale(now, telling)),
                sa.select(_O.id).where(_O.made_us < now - KEEP_US),
            )
            return any(connection.execute(query.limit(1)).first() is not None for query in queries)

    def _again(self, connection: sa.Connection, now: int, telling: Telling) -> None:
        """Let what still holds be told again."""
        connection.execute(sa.update(alerts).where(*_stale(now, telling)).values(told=None, told_us=None))

    def _told_lately(self, connection: sa.Connection, now: int, sinks: int) -> int:
        lately = sa.select(sa.func.count()).where(_A.source == "meliora", _A.told_us > now - HOUR_US, _A.told_us <= now)
        return connection.execute(lately).scalar_one() if sinks else 0

    def _tidy(self, connection: sa.Connection, sinks: Sequence[str], now: int, telling: Telling) -> None:
        """Give up what no sink will send, and forget what is long over."""
        old = (_O.due_us.is_not(None), _O.sink.not_in(sinks), _O.made_us < now - telling.give_up_us)
        gone = {"due_us": None, "error": "this sink is not set up any more"}
        connection.execute(sa.update(alert_outbox).where(*old).values(**gone))
        connection.execute(sa.delete(alert_outbox).where(_O.due_us.is_(None), _O.made_us < now - KEEP_US))
        over = sa.or_(_A.status == "resolved", sa.not_(_A.lasting), _A.source != "meliora")
        connection.execute(sa.delete(alerts).where(over, _A.seen_us < now - KEEP_US))

    def _mark(self, connection: sa.Connection, row: AnyRow, told_us: int | None) -> None:
        values = {"told": row.status, "told_us": told_us}
        connection.execute(sa.update(alerts).where(*_key(row.tenant, row.fingerprint)).values(**values))


_A = alerts.c
_O = alert_outbox.c
_UNTOLD = (
    sa.select(alerts)
    .where(sa.text("source = 'meliora' AND (told IS NULL OR told <> status)"))
    .order_by(sa.case((_A.severity == "critical", 0), else_=1), _A.seen_us, _A.fingerprint)
)


def _key(tenant: str, fingerprint: str) -> tuple[sa.ColumnElement[bool], ...]:
    return _A.tenant == tenant, _A.fingerprint == fingerprint


def _one(tenant: str, fingerprint: str) -> sa.Select[Any]:
    return sa.select(alerts).where(*_key(tenant, fingerprint)).with_for_update()


def _stale(now: int, telling: Telling) -> tuple[sa.ColumnElement[bool], ...]:
    told = (_A.source == "meliora", _A.lasting, _A.status == "firing", _A.told == "firing")
    return *told, _A.told_us <= now - telling.repeat_us


def _due(sink: str, now: int) -> sa.Select[Any]:
    free = sa.or_(_O.lease_until_us.is_(None), _O.lease_until_us <= now, _O.lease_until_us > now + MOST_LEASE_US)
    ripe = sa.or_(_O.due_us <= now, _O.made_us > now)
    return sa.select(alert_outbox).where(_O.sink == sink, _O.due_us.is_not(None), ripe, free)


def _message(row: AnyRow, now: int, telling: Telling) -> Message:
    names = ("tenant", "fingerprint", "status", "name", "severity", "summary", "labels", "ended_us")
    until = now + (2 * telling.repeat_us if row.lasting else telling.quiet_us)
    began = row.began_us if row.lasting else row.seen_us
    return Message(**{name: row._mapping[name] for name in names}, began_us=began, until_us=until)
