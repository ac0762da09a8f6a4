"""How good a collection's searches are, in one report; and configurations as a person writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, Literal, Protocol

import msgspec

from meliora.errors import InvalidRequest, NotFound
from meliora.knowledge.answers import Answer
from meliora.knowledge.config import SearchConfig
from meliora.knowledge.quality.figures import evaluate
from meliora.knowledge.quality.judgments import Judgment, frozen
from meliora.knowledge.quality.proxies import Proxies, proxies
from meliora.knowledge.quality.records import SearchLog
from meliora.knowledge.search.searcher import Request
from meliora.knowledge.shelf import Judgment as KeptJudgment
from meliora.knowledge.shelf import JudgmentSetInfo, JudgmentShelf
from meliora.stats.ranking import MeanFigure

FROZEN = "frozen"
"""Name of the judgment set that proofs are held to; without one of that name, the newest of any."""
MOST_QUERIES = 500
"""Queries that are asked for one report: of a larger set, the first by id."""


class JudgedFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Figures by a frozen set of judgments, each with its 95% interval and number of queries."""

    set: JudgmentSetInfo
    k: int
    asked: int
    """Queries that were asked."""
    ndcg: MeanFigure
    recall: MeanFigure
    precision: MeanFigure
    reciprocal_rank: MeanFigure
    average_precision: MeanFigure
    unanswerable: int
    unjudged: float | None


class QualityReport(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of how good a collection's searches are. `judged` is null where nobody judged: that says nothing good."""

    collection: str
    judged: JudgedFigures | None
    proxies: Proxies
    """From what people did: none of it is a judgment."""
    searches: int
    since_us: int
    until_us: int


class _Plane(Protocol):
    @property
    def judgments(self) -> JudgmentShelf: ...

    @property
    def evidence(self) -> SearchLog: ...

    def look(self, tenant: str, collection: str, request: Request) -> Answer: ...


def quality(plane: _Plane, tenant: str, collection: str, since_us: int, until_us: int, k: int = 10) -> QualityReport:
    """Ask the judged queries of what serves now, and read what people did from `since_us` on."""
    searches = plane.evidence.searches(tenant, collection, since_us, until_us)
    return QualityReport(
        collection=collection,
        judged=_judged(plane, tenant, collection, k),
        proxies=proxies(searches),
        searches=len(searches),
        since_us=since_us,
        until_us=until_us,
    )


def held_to(
    shelf: JudgmentShelf, tenant: str, collection: str
) -> tuple[JudgmentSetInfo, Sequence[KeptJudgment]] | None:
    """Give the set that proofs are held to, however many of other names were made since; None where nobody judged."""
    try:
        return shelf.newest(tenant, collection, FROZEN)
    except NotFound:
        newest = next(iter(shelf.list(tenant, collection, limit=1)), None)
    return None if newest is None else shelf.get(tenant, collection, newest.name, newest.version)


def _judged(plane: _Plane, tenant: str, collection: str, k: int) -> JudgedFigures | None:
    found = held_to(plane.judgments, tenant, collection)
    if found is None:
        return None
    newest, rows = found
    texts = {one.query_id: one.query for one in rows if one.query.strip()}
    asked = dict(sorted(texts.items())[:MOST_QUERIES])
    kept = [Judgment(one.query_id, one.document, min(one.grade, 100.0)) for one in rows if one.query_id in asked]

    def search(query: str) -> Sequence[str]:
        return [one.document for one in plane.look(tenant, collection, Request(query, k)).results]

    told = evaluate(search, frozen(newest.name, newest.version, asked, kept), k)
    return JudgedFigures(
        set=newest,
        k=k,
        asked=len(asked),
        ndcg=told.ndcg,
        recall=told.recall,
        precision=told.precision,
        reciprocal_rank=told.reciprocal_rank,
        average_precision=told.average_precision,
        unanswerable=told.unanswerable,
        unjudged=told.unjudged,
    )


def configured(said: Mapping[str, Any]) -> SearchConfig:
    """Read a configuration that a person wrote. Raises `InvalidRequest` for what is none, or out of its bounds."""
    try:
        config = msgspec.convert(dict(said), SearchConfig)
    except (msgspec.ValidationError, RecursionError) as error:
        raise InvalidRequest(f"This is no configuration of searches: {error}"[:300], field="config") from error
    checked(config)
    return config


def checked(config: SearchConfig) -> None:
    """Raise `InvalidRequest` for a number that no search can be done by."""
    fusion, spelling, expansion, reranking = config.fusion, config.spelling, config.expansion, config.reranking
    weights = {"words": fusion.words, "grams": fusion.grams, "dense": fusion.dense}
    wrong = [f"fusion.{name}" for name, one in weights.items() if not (isfinite(one) and 0 <= one <= 1000)]
    wrong += ["fusion.k"] * (not (isfinite(fusion.k) and 0 < fusion.k <= 1e6))
    wrong += ["fusion.depth"] * (not 1 <= fusion.depth <= 1000)
    wrong += ["fusion"] * (not any(weights.values()))
    if spelling is not None:
        wrong += ["spelling.distance"] * (not 1 <= spelling.distance <= 2)
        wrong += ["spelling"] * (
            not (1 <= spelling.least <= 100 and 1 <= spelling.long <= 100 and spelling.documents >= 1)
        )
    wrong += ["expansion.weight"] * (
        expansion is not None and not (isfinite(expansion.weight) and 0 <= expansion.weight <= 10)
    )
    wrong += ["reranking.depth"] * (reranking is not None and not 1 <= reranking.depth <= 1000)
    if wrong:
        raise InvalidRequest(f"{wrong[0]} is out of its bounds.", field=f"config.{wrong[0]}")


def kind_of(serving: SearchConfig, candidate: SearchConfig) -> Literal["reranker", "query_repair", "fusion_weights"]:
    """Give the kind of change that delivers a configuration, by what differs."""
    if serving.reranking != candidate.reranking:
        return "reranker"
    if (serving.spelling, serving.expansion) != (candidate.spelling, candidate.expansion):
        return "query_repair"
    return "fusion_weights"
