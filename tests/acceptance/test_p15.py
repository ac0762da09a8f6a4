"""P15: queries are made by seven methods, and none is made that is nearly one of the test set."""

from __future__ import annotations

from pathlib import Path

from meliora.knowledge.augment import make
from meliora.knowledge.augment.examples import METHODS, Source
from meliora.knowledge.augment.make import Means
from meliora.knowledge.augment.quality import ForbiddenQueries
from tests.acceptance.knowing import kept
from tests.server.house import control_house


def test_p15_methods_without_a_model_make_queries_and_those_of_the_test_set_are_refused() -> None:
    assert set(METHODS) >= {
        "typo",
        "eda",
        "synonyms",
        "query_from_document",
        "paraphrase",
        "back_translation",
        "query_generation",
    }
    sources = [Source(document="d", query="frozen water pipes burst", text="Frozen water pipes burst in winter.")]
    free = make.make(sources, ("typo", "eda"), ForbiddenQueries([]), Means(), seed=3, least=0.0)
    assert {one.method for one in free.examples} == {"typo", "eda"}
    held = make.make(sources, ("eda",), ForbiddenQueries(["frozen water pipes burst"]), Means(), seed=3, least=0.0)
    assert held.examples == () and held.refused["test_set"] > 0


def test_p15_a_data_set_is_kept_with_its_scores_and_whether_it_was_trained_on(tmp_path: Path, switched: None) -> None:
    with control_house(tmp_path) as house:
        text = "# Storm warnings on the pier\n\nA red lantern on the pier means storm. Boats leave the pier early."
        client = kept(house, [{"id": "storms", "text": text}])
        judged = {"judgments": [{"query": "red lantern storm", "document": "storms"}]}
        assert client.post("/api/v1/knowledge/judgments", json=judged).status_code == 200
        made = client.post("/api/v1/knowledge/datasets", json={"tokens": ["pier"]}).json()
        found = client.get(f"/api/v1/knowledge/datasets/{made['dataset']['id']}").json()
        assert 0.5 <= found["quality_score"] <= 1 and 0 < found["diversity_score"] <= 1
        assert (found["used_for_training"], found["target_tokens"]) == (False, ["pier"])
        rows = client.get(f"/api/v1/knowledge/datasets/{found['id']}/examples").json()["items"]
        forbidden = ForbiddenQueries(["red lantern storm"])
        assert len(rows) == found["examples"] and not any(forbidden.has(one["query"]) for one in rows)
