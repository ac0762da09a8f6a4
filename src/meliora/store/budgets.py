"""Budgets, leased in slices, so that gateways can spend without asking for each call.

For each key and period: spent (reported or, for dead gateways, recorded) + held by live gateways <= budget at each grant.
What goes past that is what a gateway spends beyond its own slice: at most the calls in flight when it ran out.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from meliora.gateway.state import LeaseGrant, LeaseWish


class BudgetStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One period of a key's budget, in micro-dollars. `budget` None: no limit."""

    key_id: str
    period: str
    budget_micros: int | None
    spent_micros: int
    held_micros: int
    left_micros: int | None


class Budgets:
    """Lease slices and say how far a budget is used."""

    def __init__(self, engine: sa.Engine, slice_share: float) -> None:
        self._engine = engine
        self._slice_share = slice_share

    def lease(self, gateway: str, wishes: Sequence[LeaseWish], now_us: int) -> tuple[LeaseGrant, ...]:
        """Note what was spent and grant more, one answer a wish, in order. `granted_micros` adds to what the gateway holds.

        A key without budget for the period gets all it asks for; one that is unknown or revoked gets nothing.
        A wish for an earlier period is noted and granted nothing.
        """
        raise NotImplementedError

    def status(self, tenant: str, key_id: str, now_us: int) -> tuple[BudgetStatus, ...]:
        """Give the current day's and month's budget (UTC). Raises `NotFound`."""
        raise NotImplementedError
