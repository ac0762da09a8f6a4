"""Searches explained, and the results of other engines put in order."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field

from meliora.knowledge.filters import read_filter
from meliora.knowledge.front import DEFAULT
from meliora.knowledge.search.explaining import ExplainedSearch, Method
from meliora.knowledge.search.foreign import Engine, Reordered, rerank
from meliora.knowledge.search.searcher import MOST_RESULTS, Request
from meliora.server.again import Again, repeatable
from meliora.server.auth import CallCaller, HereControl
from meliora.server.inputs import Body
from meliora.server.routers.knowledge import CollectionName
from meliora.server.shapes import Answer, knows

router = APIRouter(prefix="/api/v1/knowledge", tags=["knowledge"], route_class=Again)


class Explain(Body):
    """A search that is to be explained."""

    query: Annotated[str, Field(max_length=200_000)]
    collection: CollectionName = DEFAULT
    document: Annotated[str, Field(min_length=1, max_length=512)] | None = Field(
        default=None, description="One whose place is to be told, be it found or not."
    )
    method: Method = Field(
        default="shap",
        description="`shap` gives what each feature contributed to a reranker's score, exactly; `lime` adds which values of them, "
        "and of `document` which words, it rests on: estimates, some 30 ms a result and seconds for the words.",
    )
    limit: Annotated[int, Field(ge=1, le=MOST_RESULTS)] = 10
    filter: dict[str, Any] | None = None
    language: Annotated[str, Field(max_length=8)] = ""


class Foreign(Body):
    """The response of another engine."""

    query: Annotated[str, Field(max_length=200_000)]
    engine: Engine
    response: Any = Field(description="As the engine gave it.")
    fields: Annotated[list[Annotated[str, Field(min_length=1, max_length=200)]], Field(max_length=32)] = Field(
        default=[], description="Where the texts stand, `a.b` for what is nested; none: every text."
    )
    collection: CollectionName | None = Field(default=None, description="Whose reranker to use, where one serves.")
    language: Annotated[str, Field(max_length=8)] = ""


@router.post("/explain", **knows(ExplainedSearch, 404))
@repeatable
def explain_search_results(fields: Explain, caller: CallCaller, control: HereControl) -> Answer:
    """Explain a search: what each stage contributed, which terms matched; and where a document stands. It is not recorded."""
    control.knowledge.check(caller.tenant, fields.collection)
    request = Request(fields.query, fields.limit, read_filter(fields.filter), fields.language, explain=True)
    plane, document = control.knowledge, fields.document
    return Answer(plane.explain(caller.tenant, fields.collection, request, document, fields.method))


@router.post("/rerank", **knows(Reordered, 404))
@repeatable
def rerank_results(fields: Foreign, caller: CallCaller, control: HereControl) -> Answer:
    """Put the results of OpenSearch, Qdrant or another engine in a better order. Nothing of them is kept."""
    ranker, missing = None, {}
    if fields.collection is not None:
        control.knowledge.check(caller.tenant, fields.collection)
        ranker, missing = control.knowledge.ranker(caller.tenant, fields.collection)
    found = rerank(fields.query, fields.engine, fields.response, fields.fields, ranker, fields.language)
    return Answer(found if not missing else Reordered(**{**_plain(found), "skipped": {**missing, **found.skipped}}))


def _plain(found: Reordered) -> dict[str, Any]:
    return {name: getattr(found, name) for name in Reordered.__struct_fields__}
