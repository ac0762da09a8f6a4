"""What a search takes besides index and configuration: a repairer of queries and a ranker of results, behind two protocols."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from meliora.knowledge.answers import Nearby, Rewrite, Words
from meliora.knowledge.index.base import Asked, Stored, View
from meliora.knowledge.search.fusion import Candidate
from meliora.knowledge.text.analysis import Analysed


class Origin(msgspec.Struct, frozen=True):
    """Where a term that is asked for comes from."""

    stage: str
    """`query`, `spelling` or `expansion`."""
    written: str
    """The word of the query."""


class Rewritten(msgspec.Struct, frozen=True, kw_only=True):
    """A query as it is asked after a repair."""

    terms: Mapping[str, float]
    words: tuple[str, ...]
    """As written, repaired ones in the place of what they repair: what character n-grams are made of."""
    origins: Mapping[str, Origin] = {}
    """Of terms that the query did not have itself."""
    rewrites: tuple[Rewrite, ...] = ()


class Repairer(Protocol):
    """Repairs queries."""

    def __call__(self, query: Analysed, /) -> Rewritten:
        """Give the query as it is to be asked; as it is, where there is nothing to repair."""
        ...


@dataclass(frozen=True, slots=True)
class Pool:
    """What a ranker puts in order: the first candidates of the fusion, with all that is known of them."""

    view: View
    query: Analysed
    asked: Asked
    candidates: Sequence[Candidate]
    stored: Sequence[Stored]
    """One for each candidate."""


class Near(Protocol):
    """Explains single candidates of a pool by a linear model of the ranker near them."""

    def features(self, at: int, /) -> Nearby:
        """Tell which features carry the score of a candidate, by its place in the pool. Raises `MissingExtra`."""
        ...

    def words(self, at: int, /) -> Words:
        """Tell which words carry it. Raises `MissingExtra`."""
        ...


@dataclass(frozen=True, slots=True)
class Ranked:
    """A ranker's word on each candidate of a pool, in the pool's order."""

    scores: Sequence[float]
    features: Sequence[Mapping[str, float]] = ()
    contributions: Sequence[Mapping[str, float]] = ()
    """By feature; only where they were asked for."""
    near: Near | None = None
    """Only where reasons were asked for: nothing is worked out before it is asked."""
    skipped: Mapping[str, str] = field(default_factory=dict)
    """Stages of its own that could not run, with the reason."""


class Ranker(Protocol):
    """Puts the first candidates in a better order."""

    def __call__(self, pool: Pool, /, *, explain: bool = False) -> Ranked:
        """Score each candidate. Raises what it cannot do without; the search then stands on the fusion and says so."""
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """The loaded parts of a snapshot. What should be there and could not be loaded stands in `missing`, with the reason."""

    repairers: Sequence[tuple[str, Repairer]] = ()
    """By the stage's name, in order."""
    ranker: Ranker | None = None
    missing: Mapping[str, str] = field(default_factory=dict)
