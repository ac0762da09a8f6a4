"""Numbered policies of learned routing, and which one serves each tenant: one at most, changed in one transaction.

Implements `routing.learning.records.SnapshotShelf`. Whether a candidate deserves to serve is not asked here.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any

import sqlalchemy as sa

from meliora.errors import Conflict, NotFound
from meliora.routing.learning.records import Encode, Snapshot, SnapshotKind
from meliora.store.engine import reading, writing
from meliora.store.loop.trials import LEARNING_LOCK, frozen_in
from meliora.store.rows import AnyRow, hold
from meliora.store.tables import routing_outcomes, routing_snapshots


class RoutingSnapshots:
    """Keep the snapshots of a tenant."""

    def __init__(self, engine: sa.Engine, clock_us: Callable[[], int]) -> None:
        self._engine = engine
        self._clock_us = clock_us

    def list(self, tenant: str, *, limit: int = 100) -> tuple[Snapshot, ...]:
        """Give the snapshots, the newest first."""
        query = _SELECT.where(_T.tenant == tenant).order_by(_T.number.desc()).limit(limit)
        with reading(self._engine) as connection:
            return tuple(_snapshot(row) for row in connection.execute(query))

    def get(self, tenant: str, number: int) -> Snapshot:
        """Give one snapshot. Raises `NotFound`."""
        with reading(self._engine) as connection:
            return _get(connection, tenant, number)

    def serving(self, tenant: str) -> Snapshot | None:
        """Give what serves the tenant; None where no learned policy does."""
        with reading(self._engine) as connection:
            return _serving(connection, tenant)

    def blob(self, tenant: str, number: int) -> bytes:
        """Give a snapshot's bytes. Raises `NotFound`, also where they were let go."""
        query = sa.select(_T.blob).where(_T.tenant == tenant, _T.number == number)
        with reading(self._engine) as connection:
            found = connection.execute(query).scalar_one_or_none()
        if found is None:
            raise NotFound(f"There are no bytes of routing snapshot {number}.", hint=_LIST)
        return bytes(found)

    def add(
        self,
        tenant: str,
        encode: Encode,
        *,
        kind: SnapshotKind,
        made_by: str,
        evidence: dict[str, Any] | None = None,
        parent: int | None = None,
    ) -> Snapshot:
        """Keep a candidate under the tenant's next number, which `encode` is given."""
        with writing(self._engine) as connection:
            hold(connection, _LOCK)
            number = self._insert(
                connection, tenant, encode, kind=kind, made_by=made_by, evidence=evidence or {}, parent=parent
            )
            return _get(connection, tenant, number)

    def note(self, tenant: str, number: int, evidence: dict[str, Any]) -> Snapshot:
        """Add to what is known of a snapshot, name by name. Raises `NotFound`."""
        with writing(self._engine) as connection:
            hold(connection, _LOCK)
            found = _get(connection, tenant, number)
            _set(connection, tenant, number, evidence=found.evidence | evidence)
            return _get(connection, tenant, number)

    def promote(self, tenant: str, number: int, *, evidence: dict[str, Any] | None = None) -> Snapshot:
        """Let a snapshot serve, and note why. Raises `NotFound`, `Conflict` where it serves already or its bytes are gone."""
        with writing(self._engine) as connection:
            hold(connection, _LOCK)
            chosen = _ready(connection, tenant, number)
            before = _serving(connection, tenant)
            self._serve(
                connection,
                tenant,
                number,
                anchor=number,
                replaced=None if before is None else before.number,
                evidence=chosen.evidence | (evidence or {}),
            )
            return _get(connection, tenant, number)

    def rollback(
        self, tenant: str, number: int | None = None, *, evidence: dict[str, Any] | None = None
    ) -> Snapshot | None:
        """Let what served before the present policy serve again, or `number`; None where nothing did, and nothing does now.

        What came in until now is not learned anew: it may be what spoiled the policy that is left.
        Raises `NotFound` where nothing serves, `Conflict` where the bytes are gone.
        """
        with writing(self._engine) as connection:
            hold(connection, _LOCK)
            present = _serving(connection, tenant)
            if present is None and number is None:
                raise NotFound("No learned policy serves.", hint=_LIST)
            anchor = present if present is None else _get(connection, tenant, present.anchor)
            target = anchor.replaced if number is None and anchor is not None else number
            if target is None:
                self._retire(connection, tenant)
                return None
            chosen = _ready(connection, tenant, target)
            self._serve(
                connection,
                tenant,
                target,
                anchor=target,
                replaced=_get(connection, tenant, chosen.anchor).replaced,
                learned_seq=_last_seq(connection, tenant),
                evidence=chosen.evidence | (evidence or {}),
            )
            return _get(connection, tenant, target)

    def exchange(
        self,
        tenant: str,
        number: int | None,
        *,
        instead_of: int | None,
        evidence: dict[str, Any],
        is_return: bool,
        fenced: Callable[[sa.Connection], None],
    ) -> bool:
        """Let a snapshot (None: none) serve in place of what learning made of `instead_of` (None: nothing serves).

        False, and nothing changed, where that is no longer so. With `is_return`, what came in until now is not learned anew.
        `fenced` is called first in the transaction. Raises `NotFound`, `Conflict` where the bytes are gone.
        """
        with writing(self._engine) as connection:
            fenced(connection)
            hold(connection, _LOCK)
            present = _serving(connection, tenant)
            if (None if present is None else present.anchor) != instead_of:
                return False
            if number is None:
                self._retire(connection, tenant)
                return True
            chosen = _ready(connection, tenant, number)
            values: dict[str, Any] = {"anchor": number, "replaced": None if present is None else present.number}
            if is_return:
                replaced = _get(connection, tenant, chosen.anchor).replaced
                values |= {"replaced": replaced, "learned_seq": _last_seq(connection, tenant)}
            self._serve(connection, tenant, number, evidence=chosen.evidence | evidence, **values)
            return True

    def begin(
        self,
        tenant: str,
        expected: int | None,
        encode: Encode,
        *,
        made_by: str,
        evidence: dict[str, Any],
        first: bool = False,
    ) -> Snapshot | None:
        """Keep a policy that has seen no outcome and let it serve in place of `expected` (None: nothing serves).

        None, and nothing changed, where that is no longer so, or learning is frozen; with `first` also where the tenant has any
        snapshot. What came in before is not learned, unless it came in while `expected` served.
        """
        with writing(self._engine) as connection:
            hold(connection, _LOCK)
            present = _serving(connection, tenant)
            if (None if present is None else present.number) != expected or frozen_in(connection, tenant):
                return None
            any_number = sa.select(_T.number).where(_T.tenant == tenant).limit(1)
            if first and connection.execute(any_number).scalar() is not None:
                return None
            learned_seq = _last_seq(connection, tenant) if present is None else present.learned_seq
            number = self._insert(
                connection,
                tenant,
                encode,
                kind="prior",
                made_by=made_by,
                evidence=evidence,
                parent=expected,
                learned_seq=learned_seq,
            )
            replaced = None if present is None else present.replaced
            self._serve(connection, tenant, number, anchor=number, replaced=replaced)
            return _get(connection, tenant, number)

    def publish(
        self, tenant: str, expected: int, encode: Encode, *, learned_seq: int, evidence: dict[str, Any], keep: int
    ) -> Snapshot | None:
        """Let what was learned serve in place of `expected`; None, and nothing changed, where that serves no more, or learning is frozen.

        Of online snapshots the last `keep` keep their bytes, and those that a rollback leads to.
        """
        with writing(self._engine) as connection:
            hold(connection, _LOCK)
            present = _serving(connection, tenant)
            if present is None or present.number != expected or frozen_in(connection, tenant):
                return None
            number = self._insert(
                connection,
                tenant,
                encode,
                kind="online",
                made_by="learning",
                evidence=evidence,
                parent=present.number,
                anchor=present.anchor,
                learned_seq=learned_seq,
            )
            self._serve(connection, tenant, number, anchor=present.anchor, replaced=None, evidence=evidence)
            _let_go(connection, tenant, keep)
            return _get(connection, tenant, number)

    def tenants(self) -> tuple[str, ...]:
        """Give the tenants that a snapshot serves."""
        query = sa.select(_T.tenant).where(_T.state == "serving").order_by(_T.tenant)
        with reading(self._engine) as connection:
            return tuple(connection.execute(query).scalars())

    def _insert(self, connection: sa.Connection, tenant: str, encode: Encode, **fields: Any) -> int:
        last = sa.select(sa.func.max(_T.number)).where(_T.tenant == tenant)
        number = (connection.execute(last).scalar() or 0) + 1
        blob = encode(number)
        values = {"anchor": number, "learned_seq": 0, **fields}
        connection.execute(
            sa.insert(routing_snapshots).values(
                tenant=tenant,
                number=number,
                state="candidate",
                blob=blob,
                sha256=sha256(blob).hexdigest(),
                bytes=len(blob),
                made_us=self._clock_us(),
                **values,
            )
        )
        return number

    def _serve(self, connection: sa.Connection, tenant: str, number: int, **values: Any) -> None:
        self._retire(connection, tenant)
        _set(connection, tenant, number, state="serving", served_us=self._clock_us(), retired_us=None, **values)

    def _retire(self, connection: sa.Connection, tenant: str) -> None:
        retired = {"state": "retired", "retired_us": self._clock_us()}
        connection.execute(
            sa.update(routing_snapshots).where(_T.tenant == tenant, _T.state == "serving").values(**retired)
        )


_T = routing_snapshots.c
_LOCK = LEARNING_LOCK
_LIST = "`meliora routing snapshots` lists them."
_SELECT = sa.select(
    *[_T[name] for name in Snapshot.__struct_fields__ if name != "kept"], _T.blob.is_not(None).label("kept")
)


def _snapshot(row: AnyRow) -> Snapshot:
    values = dict(row._mapping)
    return Snapshot(**values | {"evidence": values["evidence"] or {}, "kept": bool(values["kept"])})


def _get(connection: sa.Connection, tenant: str, number: int) -> Snapshot:
    row = connection.execute(_SELECT.where(_T.tenant == tenant, _T.number == number)).one_or_none()
    if row is None:
        raise NotFound(f"There is no routing snapshot {number}.", hint=_LIST)
    return _snapshot(row)


def _serving(connection: sa.Connection, tenant: str) -> Snapshot | None:
    row = connection.execute(_SELECT.where(_T.tenant == tenant, _T.state == "serving")).one_or_none()
    return None if row is None else _snapshot(row)


def _last_seq(connection: sa.Connection, tenant: str) -> int:
    """Give the number of the tenant's last outcome; 0 where there is none."""
    last = sa.select(sa.func.max(routing_outcomes.c.seq)).where(routing_outcomes.c.tenant == tenant)
    return connection.execute(last).scalar() or 0


def _ready(connection: sa.Connection, tenant: str, number: int) -> Snapshot:
    """Give a snapshot that can be put in service."""
    found = _get(connection, tenant, number)
    if found.state == "serving":
        raise Conflict(f"Routing snapshot {number} serves already.")
    if not found.kept:
        raise Conflict(f"The bytes of routing snapshot {number} were let go.", hint=f"Choose one that is kept: {_LIST}")
    return found


def _set(connection: sa.Connection, tenant: str, number: int, **values: Any) -> None:
    connection.execute(sa.update(routing_snapshots).where(_T.tenant == tenant, _T.number == number).values(**values))


def _let_go(connection: sa.Connection, tenant: str, keep: int) -> None:
    """Drop the bytes of online snapshots that are long superseded."""
    online = sa.and_(_T.tenant == tenant, _T.kind == "online", _T.blob.is_not(None))
    kept = sa.select(_T.number).where(online).order_by(_T.number.desc()).limit(keep)
    numbers = connection.execute(kept).scalars().all()
    led_to = sa.select(_T.replaced).where(_T.tenant == tenant, _T.replaced.is_not(None))
    needed = {*numbers, *connection.execute(led_to).scalars()}
    old = sa.and_(online, _T.state != "serving", _T.number.not_in(needed))
    connection.execute(sa.update(routing_snapshots).where(old).values(blob=None))
