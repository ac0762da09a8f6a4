"""P16: several orders become one by reciprocal rank fusion with k = 60, ranks from 1, and a model may order what that gives."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.acceptance.knowing import kept
from tests.acceptance.planted import planted, reranker, served, settled
from tests.server.house import control_house


def test_p16_a_result_says_what_each_leg_contributed_to_its_fused_score(tmp_path: Path, switched: None) -> None:
    with control_house(tmp_path) as house:
        client = kept(house, [{"id": name, "text": f"water {name}"} for name in ("pipes", "taps", "boiler")])
        answer = client.post("/api/v1/knowledge/search", json={"query": "water pipes", "explain": True}).json()
        first = answer["results"][0]
        assert first["document"] == "pipes"
        why = first["explanation"]
        weights = {"words": 1.0, "grams": 0.5, "dense": 1.0}
        for place in why["places"]:
            assert place["contribution"] == pytest.approx(weights[place["leg"]] / (60 + place["rank"]))
        assert sum(place["contribution"] for place in why["places"]) == pytest.approx(why["fused"])
        assert min(place["rank"] for place in why["places"]) == 1


def test_p16_a_reranker_trained_on_judged_queries_orders_others_better_than_the_fusion(
    tmp_path: Path, switched: None
) -> None:
    """NDCG@10 of queries that it never saw, by intervals that do not meet."""
    with control_house(tmp_path) as house:
        collection = planted(queries=192)
        every = sorted(collection.queries)
        learned, held = every[::2], every[1::2]
        client = settled(house, collection, held)
        before = client.get("/api/v1/knowledge/quality").json()["judged"]["ndcg"]
        served(house, client, reranker(house, collection, learned).write())
        after = client.get("/api/v1/knowledge/quality").json()["judged"]["ndcg"]
        assert before["n"] == after["n"] == len(held)
        assert after["low"] > before["high"] > 0.8, (before, after)


def test_p16_a_model_of_other_features_is_left_out_by_name_and_the_fusion_answers(
    tmp_path: Path, switched: None
) -> None:
    with control_house(tmp_path) as house:
        collection = planted(queries=96)
        client = settled(house, collection)
        query = {"query": next(iter(collection.queries.values()))}
        fused = client.post("/api/v1/knowledge/search", json=query).json()["results"]
        line, _, trees = reranker(house, collection, sorted(collection.queries)).write().partition(b"\n")
        other = msgspec.json.encode(msgspec.json.decode(line) | {"schema": "0" * 64})
        served(house, client, other + b"\n" + trees)
        answer = client.post("/api/v1/knowledge/search", json=query).json()
        assert "features" in answer["skipped"]["reranking"]
        assert [one["document"] for one in answer["results"]] == [one["document"] for one in fused] != []
