"""What upkeep sees of a collection, and what it did there."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from meliora.knowledge.upkeep.figures import Figures
from meliora.knowledge.upkeep.plan import Pruning
from meliora.knowledge.upkeep.redundancy import Redundancy
from meliora.knowledge.upkeep.relevance import Relevance


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """A collection as upkeep sees it."""

    figures: Figures
    doubles: Doubles | None
    """None: they were never compared, and there are too many to do it while somebody waits."""
    relevances: Mapping[str, Relevance]
    """Of live documents that were shown. Empty where nobody says what they used."""


class Doubles(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a collection's near-duplicates."""

    found: Redundancy
    """Of the pairs that say the same the surest, where they were compared by the worker."""
    total: int
    """Pairs that say the same."""
    compared_us: int
    changed: bool = False
    """Whether any document came, went or changed since: those that did are in no pair."""
    recorded: bool = False
    """Whether the worker compared them, and not whoever asked."""


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """A plan, and what came of it."""

    plan: str
    """Its hash: what it archived is restored by this name."""
    pruning: Pruning
    applied: bool
    archived: int
    left: tuple[str, ...] = ()
    """Changed or gone since it was planned."""
