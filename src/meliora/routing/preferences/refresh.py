"""Keep the tables of offsets current: compute a user's again when something new was heard of them. Done by the worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from meliora.routing.preferences.interactions import Evidence
from meliora.routing.preferences.offsets import Offsets, offsets
from meliora.routing.preferences.profile import Marks

BATCH = 50
"""Users of one step: a fraction of a second, so that ingest gets its turn."""
MARKS_US = 300_000_000
"""How old the look at what all users say may be: it reads the feedback of three months."""


Touched = Mapping[tuple[str, str], tuple[int, ...]]
"""Users by tenant and name, each with numbers that differ whenever something new was heard."""


class Tables(Protocol):
    """Keeps each tenant's table of offsets."""

    def touched(self) -> tuple[Touched, int]:
        """Give the users of whom something was heard lately, and the time to note once that is dealt with."""
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
        self._met: Touched = {}
        self._until_us: int | None = None
        self._marks: dict[str, tuple[int, Marks]] = {}

    def step(self) -> bool:
        """Compute the offsets of some users; say whether more are waiting."""
        if not self._waiting:
            touched, self._until_us = self._tables.touched()
            self._waiting = sorted(one for one, heard in touched.items() if self._met.get(one) != heard)
            self._met = touched
        batch = self._waiting[:BATCH]
        read_us = self._now_us()
        by_tenant: dict[str, list[str]] = {}
        for tenant, user in batch:
            by_tenant.setdefault(tenant, []).append(user)
        for tenant, users in by_tenant.items():
            marks = self._said(tenant, read_us)
            given = {
                user: offsets(
                    self._evidence.interactions(tenant, user, rated=True), marks, rate=self._rate, largest=self._largest
                )
                for user in users
            }
            self._tables.put(tenant, given, read_us)
        self._waiting = self._waiting[BATCH:]  # now, and not before: what failed is tried again
        if not self._waiting and self._until_us is not None:
            self._tables.looked(self._until_us)
            self._until_us = None
        return bool(self._waiting)

    def _said(self, tenant: str, now_us: int) -> Marks:
        held = self._marks.get(tenant)
        if held is None or not 0 <= now_us - held[0] < MARKS_US:
            held = self._marks[tenant] = (now_us, self._evidence.marks(tenant))
        return held[1]
