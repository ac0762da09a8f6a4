"""Another engine's results are put in order, and its answer stays as it was but for that."""

from __future__ import annotations

from typing import Any

import pytest

from meliora.errors import InvalidRequest
from meliora.knowledge.search.foreign import reorder
from meliora.knowledge.search.parts import Parts, Pool, Ranked

TEXTS = [
    ("cats", "A cat sleeps most of the day."),
    ("pipes", "Frozen pipes burst in winter."),
    ("taps", "A tap drips when its washer is worn."),
]


def opensearch() -> dict[str, Any]:
    hits = [
        {"_id": name, "_score": 3.0 - at, "_source": {"title": name, "text": text}}
        for at, (name, text) in enumerate(TEXTS)
    ]
    return {"took": 3, "hits": {"total": {"value": 3}, "hits": hits}}


def test_an_opensearch_answer_keeps_all_but_the_order_of_its_hits() -> None:
    before = opensearch()
    found = reorder("why do frozen pipes burst", "opensearch", before)
    assert [hit["_id"] for hit in found.response["hits"]["hits"]] == ["pipes", "cats", "taps"]
    assert found.response["took"] == 3 and found.response["hits"]["total"] == {"value": 3}
    assert [hit["_id"] for hit in before["hits"]["hits"]] == ["cats", "pipes", "taps"]
    assert (found.moved[0].id, found.moved[0].before, found.moved[0].after) == ("pipes", 2, 1)


@pytest.mark.parametrize("nested", [True, False])
def test_a_qdrant_answer_of_either_form_is_read(nested: bool) -> None:
    points = [
        {"id": at, "score": 0.9 - at / 10, "payload": {"doc": {"text": text}}} for at, (_, text) in enumerate(TEXTS)
    ]
    response = {"result": {"points": points} if nested else points, "status": "ok"}
    found = reorder("worn washer", "qdrant", response, fields=("doc.text",))
    hits = found.response["result"]["points"] if nested else found.response["result"]
    assert hits[0]["id"] == 2
    assert found.response["status"] == "ok"


def test_an_engines_own_order_stands_where_words_say_nothing() -> None:
    found = reorder("zebra", "plain", [{"id": name, "text": text} for name, text in TEXTS], fields=("text",))
    assert [one.id for one in found.moved] == ["cats", "pipes", "taps"]


def test_a_reranker_orders_what_was_found_and_one_that_breaks_is_told() -> None:
    def last_first(pool: Pool, *, explain: bool = False) -> Ranked:
        return Ranked(scores=[float(at) for at in range(len(pool.candidates))])

    def broken(pool: Pool, *, explain: bool = False) -> Ranked:
        raise ValueError("another schema")

    plain = [one.id for one in reorder("pipes", "opensearch", opensearch()).moved]
    assert [
        one.id for one in reorder("pipes", "opensearch", opensearch(), parts=Parts(ranker=last_first)).moved
    ] == plain[::-1]
    found = reorder("pipes", "opensearch", opensearch(), parts=Parts(ranker=broken))
    assert [one.id for one in found.moved] == plain
    assert "another schema" in found.skipped["reranking"]


@pytest.mark.parametrize(
    ("engine", "response", "said"),
    [
        ("opensearch", {"error": "no such index"}, "hits.hits"),
        ("opensearch", {"hits": {"hits": {}}}, "no list"),
        ("opensearch", [], "hits.hits"),
        ("qdrant", {"result": None}, "no list"),
        ("qdrant", "broken", "no result"),
        ("plain", {"a": 1}, "no list"),
        ("plain", ["text"], "Hit 0"),
        ("plain", [{"id": 1, "body": "text"}], "No hit has a text"),
        ("plain", [{"id": 1, "text": "x"}] * 1001, "1000 are taken"),
    ],
)
def test_what_is_no_answer_is_refused_by_what_is_missing(engine: Any, response: Any, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        reorder("pipes", engine, response)


def test_an_answer_without_hits_comes_back_as_it_is() -> None:
    assert reorder("pipes", "plain", []).response == []
