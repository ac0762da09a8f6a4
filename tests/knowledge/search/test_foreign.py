"""Results of other engines: as they really answer, put in a better order, and nothing else in them changed."""

from __future__ import annotations

from typing import Any

import pytest

from meliora.errors import InvalidRequest
from meliora.knowledge.search.foreign import MOST_HITS, Engine, rerank
from meliora.knowledge.search.parts import Pool, Ranked

HITS = [
    {
        "_index": "docs",
        "_id": "1",
        "_score": 2.1,
        "_source": {"title": "Opening hours", "body": "The office opens at nine."},
    },
    {
        "_index": "docs",
        "_id": "2",
        "_score": 2.0,
        "_source": {"title": "Reset a password", "body": "On the login page."},
    },
    {"_index": "docs", "_id": "3", "_score": None, "_source": {"body": None, "price": 3}, "sort": [1]},
]
OPENSEARCH = {
    "took": 5,
    "timed_out": False,
    "_shards": {"total": 1, "successful": 1, "skipped": 0, "failed": 0},
    "hits": {"total": {"value": 3, "relation": "eq"}, "max_score": 2.1, "hits": HITS},
    "aggregations": {"teams": {"buckets": []}},
}
POINTS = [
    {"id": 1, "version": 3, "score": 0.81, "payload": {"text": "The office opens at nine."}},
    {
        "id": "5c56c793-69f3-4fbf-87e6-c4bf54c28c26",
        "version": 0,
        "score": 0.8,
        "payload": {"text": "Reset a password."},
    },
    {"id": 7, "version": 1, "score": 0.7, "payload": None},
]


def test_opensearch_keeps_all_but_the_order() -> None:
    found = rerank("reset my password", "opensearch", OPENSEARCH)
    assert found.response == OPENSEARCH | {"hits": OPENSEARCH["hits"] | {"hits": [HITS[1], HITS[0], HITS[2]]}}
    assert [(one.id, one.was, one.now) for one in found.moved] == [("2", 2, 1), ("1", 1, 2), ("3", 3, 3)]
    assert found.without_text == 1


@pytest.mark.parametrize(
    ("response", "path"),
    [
        ({"result": POINTS, "status": "ok", "time": 0.002}, ["result"]),
        ({"result": {"points": POINTS}, "status": "ok", "time": 0.001}, ["result", "points"]),
        ({"result": {"points": POINTS, "next_page_offset": None}, "status": "ok", "time": 0}, ["result", "points"]),
    ],
    ids=["search", "query", "scroll"],
)
def test_qdrant_answers_in_three_shapes(response: dict[str, Any], path: list[str]) -> None:
    found = rerank("reset my password", "qdrant", response)
    points: Any = found.response
    for name in path:
        points = points[name]
    assert points == [POINTS[1], POINTS[0], POINTS[2]]
    assert found.without_text == 1


@pytest.mark.parametrize(
    "source",
    [
        {"_source": {"body": ["On the login page.", "Reset your password."]}},
        {"_source": {"page": {"sections": [{"text": "Reset your password."}]}}},
        {"fields": {"title": ["Reset your password"]}},
        {"_source": {"title": ["Reset your password"]}},
    ],
    ids=["lists", "nested", "fields", "title"],
)
def test_texts_are_read_wherever_they_stand(source: dict[str, Any]) -> None:
    """Every field of OpenSearch may have several values, and without its source a hit has `fields`."""
    response = {"hits": {"hits": [HITS[0], {"_index": "docs", "_id": "4", "_score": 1.0} | source]}}
    found = rerank("reset my password", "opensearch", response)
    assert [one.id for one in found.moved] == ["4", "1"]
    assert found.without_text == 0


def test_named_fields_are_all_that_is_read() -> None:
    listed = [
        {"id": "a", "note": "reset password", "doc": {"text": "other"}},
        {"id": "b", "doc": {"text": "reset password"}},
    ]
    assert [one.id for one in rerank("reset password", "plain", listed, ["doc.text"]).moved] == ["b", "a"]
    assert rerank("reset password", "plain", listed, ["nothing"]).without_text == 2


@pytest.mark.parametrize(
    ("engine", "response", "place"),
    [
        ("opensearch", {"error": {"type": "index_not_found_exception"}, "status": 404}, "response.hits"),
        ("opensearch", {"hits": {"hits": ["x"]}}, "response.hits.hits.0"),
        ("opensearch", {"hits": {"hits": [{"_id": None}]}}, "response.hits.hits.0._id"),
        ("qdrant", {"status": {"error": "Not found"}, "time": 0.0}, "response.result"),
        ("qdrant", {"result": {"groups": []}}, "response.result.points"),
        ("plain", {"a": 1}, "response.results"),
        ("plain", None, "response"),
    ],
)
def test_what_a_response_lacks_is_named(engine: Engine, response: Any, place: str) -> None:
    with pytest.raises(InvalidRequest) as told:
        rerank("x", engine, response)
    assert told.value.field == place


def test_too_many_hits_are_refused_and_none_are_no_error() -> None:
    with pytest.raises(InvalidRequest, match="1001 hits"):
        rerank("x", "plain", [{"id": str(at), "text": "x"} for at in range(MOST_HITS + 1)])
    assert rerank("x", "plain", []).response == []
    assert rerank("", "plain", [{"id": "a", "text": "x"}]).response == [{"id": "a", "text": "x"}]


def test_a_reranker_has_the_last_word_and_one_that_fails_is_told() -> None:
    listed = [{"id": "a", "text": "reset password"}, {"id": "b", "text": "other"}]

    def backwards(pool: Pool, /, *, explain: bool = False) -> Ranked:
        return Ranked(scores=[float(at) for at in range(len(pool.candidates))])

    def broken(pool: Pool, /, *, explain: bool = False) -> Ranked:
        raise RuntimeError("no model")

    assert [one.id for one in rerank("reset password", "plain", listed, ranker=backwards).moved] == ["b", "a"]
    found = rerank("reset password", "plain", listed, ranker=broken)
    assert [one.id for one in found.moved] == ["a", "b"]
    assert found.skipped == {"reranking": "RuntimeError: no model"}
