"""What the parts of a diagnosis of searches find. What was not measured is None."""

from __future__ import annotations

from typing import Literal

import msgspec

Sort = Literal["index", "near", "far", "weak", "rest"]
"""Searches whose relevant documents the index lacks; with a slip of a known word; with a new word; with a known word that got worse;
all others. A search is of the first that fits."""
RepairKind = Literal["query_repair", "reindex", "reranker", "fusion_weights"]


class WeakToken(msgspec.Struct, frozen=True, kw_only=True):
    """A word whose searches got worse."""

    term: str
    known: bool
    """The passages have it."""
    searches_now: int
    searches_before: int
    growth_z: float
    """Log-odds of the traffic now against before."""
    gain: float | None
    """Mean gain now of its searches, shrunk; None where none was judged."""
    expected: float | None
    """What such searches had before: its own, shrunk to that of all."""
    p_value: float
    believed: bool
    """It holds among all words that might have been named (Benjamini-Hochberg)."""


class Unknown(msgspec.Struct, frozen=True, kw_only=True):
    """Searches with words that no passage has."""

    share_before: float | None
    share_now: float | None
    rise_z: float | None
    """None where a window has no searches, as all that is of both."""
    near_share_now: float | None
    """Of the unknown words now, those near a known one and rare themselves: slips."""
    new: tuple[str, ...]
    """Unknown words that recur now, the commonest first: words, not slips."""
    slips: int
    """Different slips now."""
    coverage: float | None
    """Part of the words now that the passages have."""


class Loss(msgspec.Struct, frozen=True, kw_only=True):
    """What searches of one sort add to the fall of the mean gain."""

    sort: Sort
    searches_before: int
    searches_now: int
    share_before: float | None
    """None where the window has no searches."""
    share_now: float | None
    share_z: float | None
    gain_before: float | None
    gain_now: float | None
    judged_now: int
    lost: float | None
    """Of the mean gain of all searches; None where none now was judged."""
    lost_z: float | None


class QueryLoss(msgspec.Struct, frozen=True, kw_only=True):
    """A query whose answers got worse."""

    query: str | None
    """As it was asked last; None where its words are not kept, or who asked with them was erased."""
    searches: tuple[str, ...]
    """Ids of the latest searches with it, at most three."""
    searches_before: int
    searches_now: int
    gain_before: float
    gain_now: float
    lost: float
    """Of the mean gain of all judged searches."""
    p_value: float


class CorpusChange(msgspec.Struct, frozen=True, kw_only=True):
    """How the corpus and its index changed, in shares of the documents now; None where not counted."""

    added: float | None
    """Since the window before ended, as the next."""
    deleted: float | None
    faults: float | None
    """Missing, stale and quarantined."""
    faults_before: float | None
    extra: float | None
    lag: int | None


class Drifted(msgspec.Struct, frozen=True, kw_only=True):
    """A feature of the reranker that moved."""

    name: str
    difference: float
    """In standard deviations before."""
    stability: float | None
    """Population stability index; None where no bins were given."""
    lost: float | None
    """Contribution to the score of good results that is gone; None where not known."""
    p_value: float


class Slower(msgspec.Struct, frozen=True, kw_only=True):
    """That searches got slower at their 95th percentile, and the stage that did, where one did more than the others."""

    stage: str | None
    """None where all got slower alike, or too few searches tell."""
    p95_before_us: int
    p95_now_us: int
    stage_before_us: int | None
    """Mean of the stage among the slowest twentieth."""
    stage_now_us: int | None
    share: float | None
    """Part of the growth of the slowest searches that it has."""


class StageTime(msgspec.Struct, frozen=True, kw_only=True):
    """The 95th percentile of what a stage took where it ran; None for a window in which too few searches ran it to tell."""

    stage: str | None
    """None: all stages of a search together."""
    p95_before_us: int | None
    p95_now_us: int | None


class Repair(msgspec.Struct, frozen=True, kw_only=True):
    """A repair to try."""

    kind: RepairKind
    method: Literal["spelling", "expansion"] | None = None
    reason: str
    tokens: tuple[str, ...] = ()
    searches: int | None = None
    """Searches now that have its tokens, or are of the sort it repairs."""
    expected: float | None = None
    """Mean gain a search that comes back where the repair undoes all of this loss; None where not known."""
