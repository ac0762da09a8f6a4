"""Why a search answers as it does: each stage's part in every result, and the place of one document, be it found or not."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Literal

import msgspec

from meliora.errors import InvalidRequest, NotFound
from meliora.knowledge.answers import Answer, Matched, Result, Words
from meliora.knowledge.config import LEGS, Leg, Snapshot
from meliora.knowledge.filters import Condition, Filter
from meliora.knowledge.index.base import Hit, Stored, View
from meliora.knowledge.search.asking import Question, as_it_is, question, read
from meliora.knowledge.search.fusion import FIRST, weight_of, weights_of
from meliora.knowledge.search.parts import Near, Parts, Ranked
from meliora.knowledge.search.searcher import MOST_RESULTS, Request, searched

Method = Literal["shap", "lime"]
"""How a reranker's scores are explained: exactly, by TreeSHAP; or by LIME as well."""
DEEP = 1000
"""Passages of a leg among which a document's place is looked for."""
_PAGE = 100
"""Passages of a document that are read at a time."""


class LegPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Where one leg puts a document."""

    leg: Leg
    weight: float
    """In the fusion of this query; of weight 0, the leg is not asked."""
    rank: int | None
    """Of its best passage, from 1; None: not among the first thousand."""
    score: float | None
    """None: the leg does not find it at all."""


class DocumentPlace(msgspec.Struct, frozen=True, kw_only=True):
    """What the search makes of one document."""

    document: str
    position: int | None
    """Among the first hundred results; None: it is not there."""
    legs: tuple[LegPlace, ...]
    matched: tuple[Matched, ...]
    """Terms of the query that it has."""
    lacking: tuple[str, ...]
    """Terms that were asked for and that it has not."""
    said: str
    """In a sentence."""
    words: Words | None = None
    """By LIME, where that was asked for and the reranker scored the document."""


class ExplainedSearch(msgspec.Struct, frozen=True, kw_only=True):
    """An answer with its reasons."""

    answer: Answer
    document: DocumentPlace | None = None


def explain(
    request: Request,
    view: View,
    snapshot: Snapshot,
    parts: Parts,
    document: str | None = None,
    method: Method = "shap",
) -> ExplainedSearch:
    """Answer with reasons; of a document that is named, tell its place by leg.

    Raises `NotFound` where the index has it not; for `lime`, `MissingExtra` without the package, and `InvalidRequest` where no
    reranker serves.
    """
    wanted = _deep(request) if document is not None else request
    answer, ranked = searched(wanted, view, snapshot, parts)
    near = _near(parts, ranked) if method == "lime" else None
    results = answer.results[: request.limit]
    if ranked is not None and near is not None:
        results = tuple(_nearby(one, ranked, near) for one in results)
    shown = msgspec.structs.replace(answer, results=results)
    if document is None:
        return ExplainedSearch(answer=shown)
    passages = _passages(view, document)
    if not passages:
        raise NotFound(f"The index has no document {document!r}.", hint="It may be archived, or not indexed yet.")
    asked = _asked(request, view, parts)
    found = next((one for one in answer.results if one.document == document), None)
    position = None if found is None else found.position
    at = None if found is None or ranked is None else _scored(found, ranked)
    weights = _weights(request, view, snapshot, asked)
    legs = tuple(_leg(view, weights[leg], asked, leg, document) for leg in LEGS)
    terms = frozenset(term for one in passages for term in (*one.terms, *one.title_terms))
    place = DocumentPlace(
        document=document,
        position=position,
        legs=legs,
        matched=asked.matched(terms),
        lacking=tuple(term for term in asked.asked.terms if term not in terms),
        said=_said(position, legs),
        words=None if at is None or near is None else near.words(at),
    )
    return ExplainedSearch(answer=shown, document=place)


def _near(parts: Parts, ranked: Ranked | None) -> Near | None:
    """Give what explains by LIME; None where a reranker serves, but scored nothing this time: the answer says why."""
    untrained = ranked is not None and ranked.near is None
    if untrained or (parts.ranker is None and "reranking" not in parts.missing):
        raise InvalidRequest(
            "No trained reranker serves this collection, so there is nothing that LIME could explain.",
            hint="Ask by the method `shap`: a fused score is the sum of its `places`, exactly.",
            field="method",
        )
    return None if ranked is None else ranked.near


def _scored(result: Result, ranked: Ranked) -> int | None:
    """Give a result's place in the pool that was reranked; None where it was not in it."""
    why = result.explanation
    return why.fused_rank - 1 if why is not None and why.fused_rank <= len(ranked.scores) else None


def _nearby(result: Result, ranked: Ranked, near: Near) -> Result:
    at = _scored(result, ranked)
    if at is None or result.explanation is None:
        return result
    why = msgspec.structs.replace(result.explanation, nearby=near.features(at))
    return msgspec.structs.replace(result, explanation=why)


def _deep(request: Request) -> Request:
    """Give the request with as many results as a search can give."""
    return Request(request.text, MOST_RESULTS, request.where, request.language, explain=True)


def _passages(view: View, document: str) -> list[Stored]:
    """Give all passages of a document, which are numbered without gaps."""
    found: list[Stored] = []
    for first in count(0, _PAGE):
        page = view.stored([f"{document}#{number}" for number in range(first, first + _PAGE)])
        found.extend(one for one in page if one is not None)
        if None in page:
            break
    return found


def _asked(request: Request, view: View, parts: Parts) -> Question:
    query, cut = read(request.text, view, request.language)
    rewritten = as_it_is(query)
    for name, repairer in parts.repairers:
        try:
            rewritten = repairer(query)
        except Exception:  # noqa: BLE001 - the answer beside this one names the stage that failed, and why
            assert name
    return question(query, rewritten, view, cut)


def _weights(request: Request, view: View, snapshot: Snapshot, asked: Question) -> dict[Leg, float]:
    rules = snapshot.config.fusion
    weights: dict[Leg, float] = {leg: weight_of(rules, leg) for leg in LEGS}
    first: dict[Leg, Sequence[Hit]] = {
        leg: view.retrieve(leg, asked.asked, FIRST, request.where) for leg, weight in weights.items() if weight
    }
    return weights | weights_of(rules, first, fitted=view.fitted)


def _leg(view: View, weight: float, asked: Question, leg: Leg, document: str) -> LegPlace:
    own = Filter((Condition("id", "in", (document,)),))
    best = next(iter(view.retrieve(leg, asked.asked, 1, own)), None)
    rank = None
    if best is not None:
        hits = view.retrieve(leg, asked.asked, DEEP)
        rank = next((at for at, hit in enumerate(hits, 1) if hit.passage.rpartition("#")[0] == document), None)
    return LegPlace(leg=leg, weight=weight, rank=rank, score=None if best is None else best.score)


def _said(position: int | None, legs: tuple[LegPlace, ...]) -> str:
    if position is not None:
        return f"It is result {position}."
    found = [one for one in legs if one.score is not None and one.weight]
    if not found:
        return "No leg finds it: it has nothing of what was asked."
    places = ", ".join(f"{one.leg} {f'at {one.rank}' if one.rank else f'after the first {DEEP}'}" for one in found)
    return f"It is not among the first {MOST_RESULTS} results; found by {places}."
