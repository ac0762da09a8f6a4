"""Keep the tables of offsets current: compute a user's again when something new was heard of them. Done by the worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from meliora.routing.preferences.interactions import Evidence
from meliora.routing.preferences.offsets import Offsets, offsets

BATCH = 50
"""Users of one step: a fraction of a second, so that ingest gets its turn."""


class Tables(Protocol):
    """Keeps each tenant's table of offsets."""

    def touched(self) -> tuple[list[tuple[str, str]], int]:
        """Give tenant and name of users of whom something was heard, and the time to note once that is dealt with."""
        ...

    def looked(self, at_us: int) -> None:
        """Note that everything heard up to then is dealt with."""
        ...

    def put(self, tenant: str, given: Mapping[str, Offsets], read_us: int) -> int | None:
        """Give users these offsets, computed from what was read at `read_us`."""
        ...


class Refresh:
    """Do it step by step. What is left undone when the process dies is found again by the next."""

    def __init__(
        self, evidence: Evidence, tables: Tables, now_us: Callable[[], int], *, rate: float, largest: float
    ) -> None:
        self._evidence = evidence
        self._tables = tables
        self._now_us = now_us
        self._rate = rate
        self._largest = largest
        self._waiting: list[tuple[str, str]] = []
        self._until_us: int | None = None

    def step(self) -> bool:
        """Compute the offsets of some users; say whether more are waiting."""
        if not self._waiting:
            self._waiting, self._until_us = self._tables.touched()
        batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
        read_us = self._now_us()
        by_tenant: dict[str, list[str]] = {}
        for tenant, user in batch:
            by_tenant.setdefault(tenant, []).append(user)
        for tenant, users in by_tenant.items():
            marks = self._evidence.marks(tenant)
            given = {
                user: offsets(self._evidence.interactions(tenant, user), marks, rate=self._rate, largest=self._largest)
                for user in users
            }
            self._tables.put(tenant, given, read_us)
        if not self._waiting and self._until_us is not None:
            self._tables.looked(self._until_us)
            self._until_us = None
        return bool(self._waiting)
