"""Gates as they stand, and their readings. An evaluation is written where nobody has evaluated the gate since it was read.

A baseline decides for long what passes, so the audit has an entry of each, in the transaction that freezes it.
"""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa

from meliora.loop.audit.entry import AuditNote, word
from meliora.loop.gates.board import GateReading, GateRow
from meliora.loop.gates.gate import Baseline, Gate
from meliora.loop.gates.standing import Standing
from meliora.loop.record import evidence_hash
from meliora.store.cursors import Page, decode, encode
from meliora.store.engine import reading, writing
from meliora.store.loop.audit import Audit
from meliora.store.rows import AnyRow, before, insert_into, page_size
from meliora.store.tables import gate_readings, gates


class Gates:
    """Implement `loop.gates.board.GateRows` on the store, and give readings back."""

    def __init__(self, engine: sa.Engine, audit: Audit) -> None:
        self._engine = engine
        self._audit = audit

    def rows(self, tenant: str) -> tuple[GateRow, ...]:
        """Give all that are kept, by name."""
        query = sa.select(gates).where(_G.tenant == tenant).order_by(_G.name)
        with reading(self._engine) as connection:
            return tuple(_row(row) for row in connection.execute(query))

    def record(self, tenant: str, gate: Gate, before: Standing, after: Standing, reading: GateReading) -> bool:
        """Keep an evaluation; False, and nothing kept, where another has evaluated the gate since `before`."""
        here = sa.and_(_G.tenant == tenant, _G.name == gate.name)
        values = msgspec.structs.asdict(after) | {
            "definition": msgspec.to_builtins(gate),
            "last": msgspec.to_builtins(reading),
        }
        seen = _G.evaluated_us.is_(None) if before.evaluated_us is None else _G.evaluated_us == before.evaluated_us
        with writing(self._engine) as connection:
            if before.evaluated_us is None:
                blank = values | {"evaluated_us": None}
                made = insert_into(connection, gates).values(tenant=tenant, name=gate.name, **blank)
                connection.execute(made.on_conflict_do_nothing())
            if connection.execute(sa.update(gates).where(here, seen).values(**values)).rowcount != 1:
                return False
            connection.execute(sa.insert(gate_readings).values(tenant=tenant, **msgspec.structs.asdict(reading)))
        return True

    def freeze(self, tenant: str, gate: Gate, baseline: Baseline, by: str) -> None:
        """Keep a baseline in the place of the one before; what is remembered of the gate begins anew with its next evaluation.

        The audit is told who froze it, its figures, the hash of all of it, and which one it takes the place of.
        """
        fresh = msgspec.structs.asdict(Standing(since_us=baseline.until_us, changed_us=baseline.until_us))
        values = fresh | {"definition": msgspec.to_builtins(gate), "baseline": msgspec.to_builtins(baseline)}
        with self._audit.recording() as recording:
            connection = recording.connection
            here = sa.select(_G.baseline).where(_G.tenant == tenant, _G.name == gate.name).with_for_update()
            before = connection.execute(here).scalar_one_or_none()
            insert = insert_into(connection, gates).values(tenant=tenant, name=gate.name, **values)
            connection.execute(insert.on_conflict_do_update(index_elements=["tenant", "name"], set_=values))
            recording.append(_noted(tenant, gate, baseline, before, by))

    def bound(self, tenant: str, gate: Gate, threshold: float | None, by: str) -> None:
        """Keep a bound in place of the settings', or forget it; what is remembered of the gate begins anew with its next evaluation."""
        values: dict[str, Any] = {"threshold": threshold, "threshold_by": None if threshold is None else by}
        blank = msgspec.structs.asdict(Standing()) | {"definition": msgspec.to_builtins(gate)}
        with writing(self._engine) as connection:
            insert = insert_into(connection, gates).values(tenant=tenant, name=gate.name, **blank, **values)
            connection.execute(insert.on_conflict_do_update(index_elements=["tenant", "name"], set_=values))

    def readings(
        self, tenant: str, gate: str | None = None, *, limit: int = 100, cursor: str | None = None
    ) -> Page[GateReading]:
        """Give evaluations, the newest first; at most 500."""
        limit = page_size(limit)
        query = sa.select(gate_readings).where(_R.tenant == tenant)
        if gate is not None:
            query = query.where(_R.gate == gate)
        if cursor is not None:
            query = query.where(before(_R.at_us, _R.id, decode(cursor, int)))
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(_R.at_us.desc(), _R.id.desc()).limit(limit + 1)).all()
        found = tuple(_reading(row) for row in rows[:limit])
        return Page(found, encode(rows[limit - 1].at_us, rows[limit - 1].id) if len(rows) > limit else None)

    def prune(self, before_us: int, limit: int) -> int:
        """Delete readings of all tenants that are older; give how many."""
        old = sa.select(_R.id).where(_R.at_us < before_us).order_by(_R.at_us).limit(limit)
        with writing(self._engine) as connection:
            return connection.execute(sa.delete(gate_readings).where(_R.id.in_(old.scalar_subquery()))).rowcount


_G = gates.c
_R = gate_readings.c


def _noted(tenant: str, gate: Gate, baseline: Baseline, before: dict[str, Any] | None, by: str) -> AuditNote:
    """Give the audit's note of a baseline; what each query came to stands in it by hash alone."""
    figures = {name: getattr(baseline, name) for name in ("value", "n", "since_us", "until_us")}
    return AuditNote(
        tenant=tenant,
        actor=word(by),
        action="gate.frozen",
        subject=word(f"gate:{gate.name}"),
        body={
            "baseline": word(baseline.id),
            "instead_of": None if before is None else word(str(before["id"])),
            "metric": word(baseline.metric),
            "sha256": evidence_hash(msgspec.to_builtins(baseline)),
            **figures,
        },
    )


def _row(row: AnyRow) -> GateRow:
    standing = {name: row._mapping[name] for name in Standing.__struct_fields__}
    return GateRow(
        name=row.name,
        definition=msgspec.convert(row.definition, Gate),
        baseline=None if row.baseline is None else msgspec.convert(row.baseline, Baseline),
        standing=Standing(**standing),
        last=None if row.last is None else msgspec.convert(row.last, GateReading),
        threshold=row.threshold,
        threshold_by=row.threshold_by,
    )


def _reading(row: AnyRow) -> GateReading:
    plain: dict[str, Any] = {name: row._mapping[name] for name in GateReading.__struct_fields__}
    return GateReading(**plain)
