"""How the searches of a collection are configured: the content of a snapshot, which is numbered, immutable and switched whole.

A first snapshot has words, character n-grams and vectors, fused. Spelling, expansion and a reranker enter by a change that was proved.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Leg = Literal["words", "grams", "dense"]
LEGS: tuple[Leg, ...] = ("words", "grams", "dense")


class Fusion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Reciprocal rank fusion, weighted: a result's score is the sum of weight / (k + rank), ranks from 1 (Cormack et al., SIGIR 2009)."""

    k: float = 60.0
    words: float = 1.0
    grams: float = 0.5
    dense: float = 1.0
    """A leg of weight 0 is not asked."""
    depth: int = 100
    """Passages that each leg gives."""


class Spelling(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Repair of words that the index does not know."""

    distance: int = 2
    """Most edits (Damerau-Levenshtein); 1 for words below `long` letters."""
    long: int = 6
    least: int = 4
    """Letters of the shortest word that is repaired."""
    documents: int = 1
    """Passages that must have the word it is repaired to."""


class Expansion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Words that are added for words of the query, as learned."""

    table: str
    """SHA-256 of the kept table (`repair.expansion.Table`)."""
    weight: float = 1.0


class Reranking(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A learned order of the first results of the fusion."""

    model: str
    """SHA-256 of the kept model file (`ranking.model`)."""
    depth: int = 50


class SearchConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of a snapshot."""

    fusion: Fusion = Fusion()
    spelling: Spelling | None = None
    expansion: Expansion | None = None
    reranking: Reranking | None = None

    @property
    def artifacts(self) -> tuple[str, ...]:
        """Give the hashes of all that it takes besides itself."""
        kept = (self.expansion and self.expansion.table, self.reranking and self.reranking.model)
        return tuple(one for one in kept if one)


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A numbered, immutable configuration of one collection's searches."""

    number: int
    """From 1 in its collection; 0 is what serves before anything was kept."""
    config: SearchConfig
    made_by: str = ""
    """Id of the change, or the actor."""
    made_us: int = 0
    sha256: str = ""
    """Of the configuration."""
