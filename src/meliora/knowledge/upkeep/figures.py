"""What upkeep asks of the store about a whole collection, so that nobody has to read it: sums, and the few documents that matter."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

import msgspec

from meliora.knowledge.documents import Kept


class Ageing(msgspec.Struct, frozen=True, kw_only=True):
    """When a document is stale, as of a moment."""

    now_us: int
    days: Mapping[str, float]
    """By category."""
    others: float
    """Of a category that is not among them."""
    never_used: float
    """Confidence where nobody used it in twice the days."""


class CategoryFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Live documents of one category."""

    category: str
    documents: int
    accesses: int
    never_accessed: int
    stale: int


class Figures(msgspec.Struct, frozen=True):
    """The live documents of a collection by category, that of the least id first."""

    categories: tuple[CategoryFigures, ...]

    @property
    def documents(self) -> int:
        """Give how many there are."""
        return sum(one.documents for one in self.categories)

    @property
    def accesses(self) -> int:
        """Give how often somebody used one."""
        return sum(one.accesses for one in self.categories)

    @property
    def never_accessed(self) -> int:
        """Give how many nobody ever used."""
        return sum(one.never_accessed for one in self.categories)

    @property
    def stale(self) -> int:
        """Give how many are too old."""
        return sum(one.stale for one in self.categories)


class FigureShelf(Protocol):
    """Sums over the live documents of a collection. Every method raises `StoreError` where the store fails."""

    def figures(self, tenant: str, collection: str, ageing: Ageing) -> Figures:
        """Sum up."""
        ...

    def sources(
        self, tenant: str, collection: str, known: Collection[str], more: int, nameless: str
    ) -> Mapping[str, int]:
        """Count documents by source: of those known, and of so many others, those of the least ids first.

        Documents of no source are counted as of one with the name `nameless`.
        """
        ...

    def stalest(
        self,
        tenant: str,
        collection: str,
        ageing: Ageing,
        *,
        least: float = 0.0,
        without: Collection[str] = (),
        oldest: bool = True,
        limit: int | None = None,
    ) -> Sequence[Kept]:
        """Give stale documents without their texts, the surest first, of equally sure ones the `oldest`, and then those of the least id.

        Those of a confidence below `least` and of the categories `without` are left out.
        """
        ...

    def characters(self, tenant: str, collection: str) -> int:
        """Count the characters of their texts."""
        ...

    def count_stale(self, tenant: str, collection: str, ageing: Ageing, least: float, within: Collection[str]) -> int:
        """Count stale documents of a confidence of at least so much, of some categories."""
        ...

    def light(self, tenant: str, collection: str, ids: Collection[str]) -> Mapping[str, Kept]:
        """Give those of these documents that are live, without their texts."""
        ...
