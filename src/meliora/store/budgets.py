"""Budgets, leased in slices, so that gateways can spend without asking for each call.

For each key and period: spent (reported or, for dead gateways, recorded) + held by live gateways <= budget at each grant.
What goes past that is what a gateway spends beyond its own slice: at most the calls in flight when it ran out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from meliora.errors import NotFound
from meliora.gateway.state import SHADOW_KEY, LeaseGrant, LeaseWish
from meliora.store.calls.sums import day_of
from meliora.store.engine import reading, writing
from meliora.store.gateways import ALIVE_US
from meliora.store.rows import insert_into
from meliora.store.tables import budget_leases, budget_usage, gateways, keys, usage_daily, usage_gateways


class BudgetStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One period of a key's budget, in micro-dollars. `budget` None: no limit."""

    key_id: str
    period: str
    budget_micros: int | None
    spent_micros: int
    held_micros: int
    left_micros: int | None


class OwnBudget(msgspec.Struct, frozen=True):
    """What Meliora may spend a day on shadow calls, in micro-dollars: no more than is left of what the loop may spend."""

    shadow_micros: int = 0
    loop_micros: int | None = None
    """None: no limit."""
    features: tuple[str, ...] = ()
    """Of the calls that the loop's budget pays, too."""


class Budgets:
    """Lease slices and say how far a budget is used. `own` is Meliora's own; without it there are no shadow calls."""

    def __init__(self, engine: sa.Engine, slice_share: float, own: OwnBudget | None = None) -> None:
        self._engine = engine
        self._slice_share = slice_share
        self._own = own or OwnBudget()

    def lease(self, gateway: str, wishes: Sequence[LeaseWish], now_us: int) -> tuple[LeaseGrant, ...]:
        """Note what was spent and grant more, one answer a wish, in order. `granted_micros` adds to what the gateway holds.

        A key without budget for the period gets all it asks for; one that is unknown or revoked gets nothing.
        A wish for an earlier period is noted and granted nothing.
        """
        grants: dict[int, LeaseGrant] = {}
        with writing(self._engine) as connection:
            # In one order for all gateways, so that two of them cannot wait for each other.
            for place, wish in sorted(enumerate(wishes), key=lambda item: (item[1].key_id, item[1].period)):
                grants[place] = self._one(connection, gateway, wish, now_us)
        return tuple(grants[place] for place in range(len(wishes)))

    def _one(self, connection: sa.Connection, gateway: str, wish: LeaseWish, now_us: int) -> LeaseGrant:
        key: Any = connection.execute(_KEY.where(keys.c.id == wish.key_id)).one_or_none()
        if wish.key_id == SHADOW_KEY:
            key = self._shadows(connection, now_us)
        if key is None:
            return LeaseGrant(wish.key_id, wish.period, 0, exhausted=True)
        _lock(connection, key.tenant, wish, now_us)
        own = _report(connection, key.tenant, gateway, wish, now_us)
        current = wish.period in periods_of(now_us)
        budget = key.budget_day_micros if wish.period.startswith("day:") else key.budget_month_micros
        spent, held = _settle(connection, wish, now_us, but=gateway)
        want = max(0, wish.want_micros) if current and key.revoked_us is None else 0
        if budget is None:
            granted, exhausted = want, key.revoked_us is not None
        else:
            # What is left for this gateway, its own slice included; below zero it owes (`own` < 0) what it overdrew.
            left = budget - spent - held
            slice_micros = max(1, math.ceil(budget * self._slice_share))
            granted = max(0, min(want, slice_micros - min(own, 0), left - own))
            exhausted = left - max(0, own) <= 0 or key.revoked_us is not None
            if exhausted:
                granted = 0
        _set(connection, gateway, wish, own + granted, now_us)
        _note(connection, wish, spent, now_us)
        return LeaseGrant(wish.key_id, wish.period, granted, exhausted=exhausted, spent_micros=spent)

    def _shadows(self, connection: sa.Connection, now_us: int) -> _OwnKey:
        """Give what stands for the key of shadow calls: nobody's, of all tenants."""
        own, day = self._own, day_of(now_us)
        budget = own.shadow_micros
        if own.loop_micros is not None:
            u = usage_daily.c
            query = sa.select(sa.func.sum(u.cost_micros)).where(u.day == day, u.feature.in_(own.features))
            budget = min(budget, max(0, own.loop_micros - int(connection.execute(query).scalar() or 0)))
        return _OwnKey(budget_day_micros=budget)

    def status(self, tenant: str, key_id: str, now_us: int) -> tuple[BudgetStatus, ...]:
        """Give the current day's and month's budget (UTC). Raises `NotFound`."""
        with reading(self._engine) as connection:
            key = connection.execute(_KEY.where(keys.c.id == key_id, keys.c.tenant == tenant)).one_or_none()
            if key is None:
                raise NotFound(f"There is no key {key_id!r}.")
            found = []
            for period in periods_of(now_us):
                budget = key.budget_day_micros if period.startswith("day:") else key.budget_month_micros
                spent, held = _sums(connection, key_id, period)
                # Without a budget nothing is leased: what is recorded is then all that is known.
                spent = max(spent, _recorded(connection, key_id, period))
                left = None if budget is None else max(0, budget - spent - held)
                found.append(
                    BudgetStatus(
                        key_id=key_id,
                        period=period,
                        budget_micros=budget,
                        spent_micros=spent,
                        held_micros=held,
                        left_micros=left,
                    )
                )
            return tuple(found)


class _OwnKey(msgspec.Struct, frozen=True):
    """A key as far as leases look at it."""

    budget_day_micros: int
    budget_month_micros: int = 0
    tenant: str = ""
    revoked_us: int | None = None


_L = budget_leases.c
_KEY = sa.select(keys.c.tenant, keys.c.budget_day_micros, keys.c.budget_month_micros, keys.c.revoked_us)


def periods_of(now_us: int) -> tuple[str, str]:
    """Give the day and the month (UTC) that a time falls into, as budgets name them."""
    day = day_of(now_us)
    return f"day:{day}", f"month:{day[:7]}"


def _lock(connection: sa.Connection, tenant: str, wish: LeaseWish, now_us: int) -> None:
    """Hold the period's row: leases of one key and period are decided one after the other."""
    row = {"key_id": wish.key_id, "period": wish.period, "tenant": tenant, "updated_us": now_us}
    insert = insert_into(connection, budget_usage).values(**row)
    held = insert.on_conflict_do_update(index_elements=["key_id", "period"], set_={"updated_us": now_us})
    connection.execute(held)


def _lease_of(wish: LeaseWish, gateway: str) -> sa.ColumnElement[bool]:
    return sa.and_(_L.key_id == wish.key_id, _L.period == wish.period, _L.gateway == gateway)


def _report(connection: sa.Connection, tenant: str, gateway: str, wish: LeaseWish, now_us: int) -> int:
    """Note what the gateway spent; give what it holds after that, below zero where it overdrew."""
    lease = connection.execute(sa.select(budget_leases).where(_lease_of(wish, gateway))).one_or_none()
    spent = max(0, wish.spent_micros)
    reported, held = (0, 0) if lease is None else (lease.reported_micros, lease.held_micros)
    if wish.total_micros is not None:
        # The gateway's running total makes a report that is repeated harmless.
        spent = max(0, wish.total_micros - reported)
    held = held - spent if wish.held_micros is None else wish.held_micros
    row = {"reported_micros": reported + spent, "held_micros": held, "updated_us": now_us}
    insert = insert_into(connection, budget_leases).values(
        key_id=wish.key_id, period=wish.period, gateway=gateway, tenant=tenant, **row
    )
    connection.execute(insert.on_conflict_do_update(index_elements=["key_id", "period", "gateway"], set_=row))
    return held


def _settle(connection: sa.Connection, wish: LeaseWish, now_us: int, *, but: str) -> tuple[int, int]:
    """Take back the slices of dead gateways; give what is spent in all, and what the living others hold."""
    beats = connection.execute(sa.select(gateways.c.id).where(gateways.c.seen_us >= now_us - ALIVE_US)).scalars()
    alive = {but, *beats}
    here = sa.and_(_L.key_id == wish.key_id, _L.period == wish.period)
    spent = held = 0
    for lease in connection.execute(sa.select(budget_leases).where(here)).all():
        recorded = lease.recorded_micros
        # A lease younger than the patience with heartbeats may belong to a gateway that has not beaten yet.
        if lease.gateway not in alive and lease.updated_us < now_us - ALIVE_US:
            recorded = max(recorded, _recorded(connection, wish.key_id, wish.period, lease.gateway))
            if recorded != lease.recorded_micros or lease.held_micros:
                taken_back = sa.update(budget_leases).where(_lease_of(wish, lease.gateway))
                connection.execute(taken_back.values(held_micros=0, recorded_micros=recorded))
        elif lease.gateway != but:
            held += max(0, lease.held_micros)
        spent += max(lease.reported_micros, recorded)
    return spent, held


def _recorded(connection: sa.Connection, key_id: str, period: str, gateway: str | None = None) -> int:
    """Give what the recorded calls of a key cost in a period."""
    table = usage_gateways.c
    kind, _, name = period.partition(":")
    days = table.day == name if kind == "day" else sa.and_(table.day >= f"{name}-00", table.day <= f"{name}-99")
    query = sa.select(sa.func.coalesce(sa.func.sum(table.cost_micros), 0)).where(table.key_id == key_id, days)
    if gateway is not None:
        query = query.where(table.gateway == gateway)
    return int(connection.execute(query).scalar_one())


def _sums(connection: sa.Connection, key_id: str, period: str) -> tuple[int, int]:
    """Give what is spent and what is held in a period, as of the last lease."""
    query = sa.select(_L.reported_micros, _L.recorded_micros, _L.held_micros)
    rows = connection.execute(query.where(_L.key_id == key_id, _L.period == period)).all()
    return sum(max(row[0], row[1]) for row in rows), sum(max(0, row[2]) for row in rows)


def _set(connection: sa.Connection, gateway: str, wish: LeaseWish, held: int, now_us: int) -> None:
    lease = sa.update(budget_leases).where(_lease_of(wish, gateway))
    connection.execute(lease.values(held_micros=held, updated_us=now_us))


def _note(connection: sa.Connection, wish: LeaseWish, spent: int, now_us: int) -> None:
    usage = budget_usage.c
    here = sa.and_(usage.key_id == wish.key_id, usage.period == wish.period)
    connection.execute(sa.update(budget_usage).where(here).values(spent_micros=spent, updated_us=now_us))
