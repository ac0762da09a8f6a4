"""A search as it was logged, with what became of it. Small, and no more of a person than who and in which session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec


class Searched(msgspec.Struct, frozen=True, kw_only=True):
    """A search, what it showed, and what was done with it."""

    id: str
    at_us: int
    query: str
    terms: tuple[str, ...] = ()
    """Analysed words of the query."""
    shown: tuple[str, ...] = ()
    """Ids of documents, best first."""
    clicked: tuple[str, ...] = ()
    """Those opened, or said to be good, in the order of that."""
    accepted: bool | None = None
    """Whether the answer was taken; None: nobody said."""
    user: str | None = None
    session: str | None = None
    snapshot: int = 0
    arm: str = ""
    """`candidate` or `baseline` of a trial; empty: of none."""
    error: str | None = None

    @property
    def person(self) -> str:
        """Give who asked, as far as is known: user, session, or this search alone."""
        return f"u:{self.user}" if self.user else f"s:{self.session}" if self.session else f"q:{self.id}"


class SearchLog(Protocol):
    """Reads what was searched. The store implements it; methods raise `StoreError`."""

    def searches(
        self, tenant: str, collection: str, since_us: int, until_us: int, limit: int = 100_000
    ) -> Sequence[Searched]:
        """Give the searches of a stretch of time in its order; of more than `limit`, the newest."""
        ...
