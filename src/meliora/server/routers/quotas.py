"""How far each key's budget is used, and setting it."""

from __future__ import annotations

import msgspec
from fastapi import APIRouter

from meliora.server.again import Again
from meliora.server.auth import AdminCaller, HereControl, ReadCaller
from meliora.server.inputs import Body, Count, Limit, Name
from meliora.server.shapes import Answer, says
from meliora.store import Store
from meliora.store.budgets import BudgetStatus
from meliora.store.keys import Key

router = APIRouter(prefix="/api/v1/quotas", tags=["quotas"], route_class=Again)


class Quota(msgspec.Struct, frozen=True, kw_only=True):
    """A key's limits and how far the current day's and month's budgets are used. Null limits nothing."""

    key_id: str
    name: str
    requests_per_minute: int | None
    tokens_per_minute: int | None
    concurrent: int | None
    budgets: tuple[BudgetStatus, ...]


class Quotas(msgspec.Struct, frozen=True):
    """The quotas of a tenant's keys that are not revoked."""

    items: tuple[Quota, ...]


class QuotaFields(Body):
    """The limits to set; what is left out stays, null takes a limit away. Budgets in micro-dollars."""

    key_id: Name
    budget_day_micros: Count | None = None
    budget_month_micros: Count | None = None
    requests_per_minute: Limit | None = None
    tokens_per_minute: Limit | None = None
    concurrent: Limit | None = None


@router.get("", **says(Quotas))
def listed(caller: ReadCaller, control: HereControl) -> Answer:
    """List the quotas of all keys."""
    keys = control.store.keys.list(caller.tenant, revoked=False)
    return Answer(Quotas(tuple(_quota(control.store, key, control.now_us()) for key in keys)))


@router.get("/{key_id}", **says(Quota, 404))
def show(key_id: str, caller: ReadCaller, control: HereControl) -> Answer:
    """Show the quota of one key."""
    return Answer(_quota(control.store, control.store.keys.get(caller.tenant, key_id), control.now_us()))


@router.post("", **says(Quota, 404, 409))
def update(fields: QuotaFields, caller: AdminCaller, control: HereControl) -> Answer:
    """Set the limits of a key."""
    wished = fields.model_dump(exclude_unset=True, exclude={"key_id"})
    key = control.store.keys.update(caller.tenant, fields.key_id, wished)
    control.keyring.forget()
    control.changed(caller.tenant, caller.key_id, "quota.update", fields.key_id, wished)
    return Answer(_quota(control.store, key, control.now_us()))


def _quota(store: Store, key: Key, now_us: int) -> Quota:
    return Quota(
        key_id=key.id,
        name=key.name,
        requests_per_minute=key.requests_per_minute,
        tokens_per_minute=key.tokens_per_minute,
        concurrent=key.concurrent,
        budgets=store.budgets.status(key.tenant, key.id, now_us),
    )
