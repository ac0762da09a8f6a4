"""What a comparison of a whole collection leaves behind: made by a worker, read by whoever asks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from meliora.knowledge.upkeep.redundancy import Pair


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What was found when a collection was last compared, as far as it still holds."""

    compared_us: int
    documents: int
    """That were compared."""
    left_out: int
    """Alike pairs that were not noted, since each document had enough."""
    total: int
    """Pairs of documents that say the same."""
    pairs: tuple[Pair, ...]
    """The surest of them."""
    changed: bool
    """Whether any document came, went or changed since."""


class ComparisonShelf(Protocol):
    """Keeps the last comparison of each collection. Every method raises `StoreError` where the store fails."""

    def claim(self, tenant: str, collection: str, owner: str, every_us: int, lease_us: int) -> bool:
        """Take it upon oneself to compare a collection; False where it is not due, unchanged, or another is at it."""
        ...

    def note(
        self, tenant: str, collection: str, latest: int, pairs: Sequence[Pair], documents: int, left_out: int
    ) -> bool:
        """Note what was found in a collection as it was at a change; False where it was compared as it is later already."""
        ...

    def last(self, tenant: str, collection: str, limit: int) -> Comparison | None:
        """Give the last comparison with the surest of its pairs; None where there was none."""
        ...
