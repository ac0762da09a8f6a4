"""Six-hour slots, which begin the indexes over values that come in no order (users, message ids, costs).

An index over such values takes each new row at another page; with a million rows a batch of two thousand would then rewrite
a hundred megabytes. Behind a slot, new rows fall into the few pages of the present. A look-up names the slots that have calls.
"""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from meliora.store.tables import call_slots

SLOT_US = 6 * 3_600_000_000


def slot_of(time_us: int) -> int:
    """Give the number of the slot that a time falls into."""
    return time_us // SLOT_US


def note_slots(connection: sa.Connection, slots: Iterable[tuple[str, int]]) -> None:
    """Note that these slots of these tenants have calls."""
    mark = "%s" if connection.dialect.name == "postgresql" else "?"
    connection.exec_driver_sql(
        f"INSERT INTO {call_slots.name} (tenant, slot) VALUES ({mark}, {mark}) ON CONFLICT DO NOTHING", sorted(slots)
    )


def slots_of(
    connection: sa.Connection, tenant: str, since_us: int | None = None, until_us: int | None = None
) -> list[int]:
    """Give the slots of a tenant that have calls and touch the interval, the newest first."""
    query = sa.select(call_slots.c.slot).where(call_slots.c.tenant == tenant)
    if since_us is not None:
        query = query.where(call_slots.c.slot >= slot_of(since_us))
    if until_us is not None:
        query = query.where(call_slots.c.slot <= slot_of(until_us - 1))
    return list(connection.execute(query.order_by(call_slots.c.slot.desc())).scalars())
