"""H26: the knowledge API under its documented names, and under the house's."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.knowing import DAY, kept
from tests.server.house import control_house


@pytest.mark.parametrize("start", ["/knowledge", "/api/v1/knowledge"])
def test_h26_every_documented_route_answers_and_none_deletes(start: str, tmp_path: Path, switched: None) -> None:
    with control_house(tmp_path) as house:
        client = kept(house, [{"id": f"d{n}", "text": f"text {n}", "category": "temporary"} for n in range(12)])
        entry = client.post(f"{start}/entry", json={"id": "mine", "text": "Mine.", "category": "history"})
        assert entry.json()["taken"]["added"] == 1
        house.clock.advance(30 * DAY)
        for name in ("metrics", "stale", "redundant", "report", "health"):
            assert client.get(f"{start}/{name}").status_code == 200, name
        health = client.get(f"{start}/health").json()
        assert (health["health_score"], health["stale"], health["unknown"]) == (80, 12, ["relevance"])
        assert health["status"] == "unknown", "what nobody knows is not healthy"
        for name in ("prune", "consolidate", "optimize"):
            planned = client.post(f"{start}/{name}", json={})
            assert (planned.status_code, planned.json()["applied"]) == (200, False), name
        wish = {"prune_stale": True, "consolidate_redundant": True, "min_confidence": 0.8, "apply": True}
        assert client.post(f"{start}/optimize", json=wish).json()["archived"] == 12
        assert client.get(f"{start}/metrics").json()["documents"] == 1
        states = house.store.knowledge_documents.list("default", "default", state=None)
        assert len(states) == 13, "archived, not deleted"


def test_h26_the_bare_address_sums_all_collections_up(tmp_path: Path, switched: None) -> None:
    with control_house(tmp_path) as house:
        kept(house, [{"id": "a", "text": "a"}])
        client = kept(house, [{"id": "b", "text": "b", "category": "history"}], "other")
        found = client.get("/knowledge").json()
        assert (found["collections"], found["documents"]) == (2, 2)
        assert found["by_category"] == {"none": 1, "history": 1}
