"""What a diagnosis of searches reads. Queries are data: words are counted and compared, never run as a pattern."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from typing import Protocol

import msgspec

from meliora.diagnosis.records import Window


class SearchSeen(msgspec.Struct, frozen=True, kw_only=True):
    """One search, as it was served."""

    id: str
    at_us: int
    terms: tuple[str, ...]
    """Analysed words of the query."""
    worded: bool = True
    """False where its words are not kept: then it is of no sort, and says nothing of words."""
    written: tuple[str, ...] = ()
    """The words they come of; where there are not as many, terms stand for themselves."""
    query: str = ""
    """The same for equal queries, and told nowhere; empty where not known."""
    text: str | None = None
    """The query as it was asked, for a finding to name; None where its words are not kept."""
    answer: dict[str, str] = {}
    """Source, category and state of the document that should answer it, as told by anything but itself; empty where not known."""
    language: str | None = None
    attributes: dict[str, str] = {}
    """Source, feature, tenant and the like."""
    results: int | None = None
    gain: float | None = None
    """Quality of its answer, 0 to 1; None where nobody judged it."""
    weight: float = 1.0
    relevant_lost: float | None = None
    """Part of its judged-relevant documents that the index lacks or holds in an old version; None where not known."""
    stages_us: dict[str, int] = {}
    """What each stage took; a search with a negative one is not timed, as its clock jumped."""


class CorpusSeen(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of a corpus and of an audit of its index; None where not counted."""

    documents: int
    added: int | None = None
    deleted: int | None = None
    missing: int | None = None
    """Documents that the index lacks."""
    stale: int | None = None
    extra: int | None = None
    """Documents that only the index still has."""
    quarantined: int | None = None
    lag: int | None = None
    """Changes that the index is behind."""


class FeatureSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A feature of the reranker in both windows."""

    name: str
    mean_before: float
    mean_now: float
    deviation: float
    """Standard deviation before."""
    n_before: int
    """How many independent numbers the mean is of: searches, and not their results."""
    n_now: int
    contribution_before: float | None = None
    """Mean contribution to the score of the results that were good."""
    contribution_now: float | None = None
    bins_before: tuple[float, ...] = ()
    """Counts in bins that both windows share; empty where not counted."""
    bins_now: tuple[float, ...] = ()


class Vocabulary(Protocol):
    """What is asked of the words that the passages have."""

    def frequency(self, term: str) -> int:
        """Count the passages that have an analysed term."""
        ...

    def meant(self, word: str) -> Collection[str]:
        """Give the terms of known words that an unknown written one is a slip or two from; empty for none."""
        ...


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """Two windows of searches, and what was counted beside them."""

    before: tuple[SearchSeen, ...]
    now: tuple[SearchSeen, ...]
    window_before: Window
    window_now: Window
    corpus_before: CorpusSeen | None = None
    corpus_now: CorpusSeen | None = None
    features: tuple[FeatureSeen, ...] = ()


def usable(searches: Iterable[SearchSeen]) -> tuple[SearchSeen, ...]:
    """Leave out searches without a weight above 0 and those told before, and make unknown what is no number from 0 to 1."""
    kept: dict[str, SearchSeen] = {}
    for one in searches:
        if math.isfinite(one.weight) and one.weight > 0:
            kept.setdefault(one.id, one)
    return tuple(
        msgspec.structs.replace(one, gain=_part(one.gain), relevant_lost=_part(one.relevant_lost))
        for one in kept.values()
    )


def _part(number: float | None) -> float | None:
    return number if number is not None and 0 <= number <= 1 else None
