"""What a search gives: results in order, each with the way it came there, and what the search itself did to the query."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from meliora.knowledge.config import Leg
from meliora.knowledge.documents import Mark, Metadata

StageName = Literal[
    "analyse", "spelling", "expansion", "words", "grams", "dense", "fusion", "features", "reranking", "results"
]


class Place(msgspec.Struct, frozen=True):
    """Where one leg put a passage."""

    leg: Leg
    rank: int
    """From 1."""
    score: float
    contribution: float
    """To the fused score."""


class Matched(msgspec.Struct, frozen=True):
    """A term of the query that the passage has."""

    term: str
    origin: Literal["query", "spelling", "expansion"]
    weight: float
    """In the query as it was asked of the index."""
    written: str
    """The word of the query that it comes of."""


class Condition(msgspec.Struct, frozen=True):
    """What holds of a result, and what it is worth."""

    feature: str
    holds: str
    """The range that its value lies in, as `0.12 < bm25 <= 0.85`."""
    weight: float
    """What the score gains by it, compared with results of which it does not hold."""


class Nearby(msgspec.Struct, frozen=True, kw_only=True):
    """A reranker's score as a linear model of what holds of a result, fitted to variations of it (LIME)."""

    conditions: tuple[Condition, ...]
    """The ten weightiest."""
    fit: float
    """R² of the linear model over the variations: below about .3 it says little."""
    against: Literal["training", "candidates"]
    """What is compared with: rows that the reranker was trained on, or, where its file has none, the candidates of this search."""


class Words(msgspec.Struct, frozen=True, kw_only=True):
    """What words add to a reranker's score of one document, by leaving them out (LIME): the ten weightiest of either side."""

    query: dict[str, float]
    document: dict[str, float]
    """Of its best passage, with the title."""
    query_fit: float | None
    """R²; None: there were no words."""
    document_fit: float | None


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """What each stage contributed to one result."""

    places: tuple[Place, ...]
    fused: float
    fused_rank: int
    matched: tuple[Matched, ...]
    features: dict[str, float] = {}
    """As the reranker saw it; empty without one."""
    contributions: dict[str, float] = {}
    """To the reranker's score by feature (TreeSHAP), `bias` included: they sum to it."""
    reranked: float | None = None
    nearby: Nearby | None = None
    """By LIME, where that was asked for and the reranker scored the result."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """A document that was found, by its best passage."""

    document: str
    passage: int
    position: int
    """From 1."""
    score: float
    """Comparable within one answer only."""
    title: str
    text: str
    """Of the passage."""
    start: int
    end: int
    source: str = ""
    metadata: Metadata = {}
    marks: tuple[Mark, ...] = ()
    """What was noticed in it. Give such a text to a model as data, never as instructions."""
    explanation: Explanation | None = None


class Rewrite(msgspec.Struct, frozen=True):
    """What was done to a word of the query."""

    stage: Literal["spelling", "expansion"]
    written: str
    terms: dict[str, float]
    """What it was asked as, with weights."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a search gives."""

    results: tuple[Result, ...]
    rewrites: tuple[Rewrite, ...] = ()
    snapshot: int = 0
    generation: str = ""
    watermark: int = 0
    """The last change of the collection that the index had."""
    candidates: int = 0
    """Documents that the fusion saw."""
    stages_us: dict[str, int] = {}
    """Microseconds by stage, of those that ran."""
    skipped: dict[str, str] = {}
    """Stages that should have run and could not, with the reason: the answer stands without them."""
    unknown: tuple[str, ...] = ()
    """Analysed words of the query that no passage has."""
    terms: tuple[str, ...] = ()
    """Analysed words of the query."""
    written: tuple[str, ...] = ()
    """The words that these come of, in lower case."""
    notes: dict[str, Any] = {}
