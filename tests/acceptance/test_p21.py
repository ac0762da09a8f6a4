"""P21: precision at 5 and recall at 20 over their targets, with intervals; and uptime and backlog as they were measured, or null."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from tests.acceptance.knowing import kept
from tests.acceptance.lives import living
from tests.acceptance.planted import EACH, planted, settled
from tests.server.house import control_house


def test_p21_the_backlog_is_told_as_the_gate_measured_it_and_is_null_before(tmp_path: Path, switched: None) -> None:
    """Sixty seconds are the documented most."""
    with living(tmp_path) as life:
        assert life.get("/api/v1/optimizer/status")["backlog_seconds"] is None
        life.fail("ingest", 75.0)
        found = life.get("/api/v1/optimizer/status")
        assert (found["backlog_seconds"], found["quality_gates_status"]) == (75.0, "failing")
        (row,) = [one for one in life.get("/api/v1/optimizer/quality-gates")["items"] if one["name"] == "ingest"]
        assert row["definition"]["threshold"] == 60.0


def test_p21_a_planted_collection_is_searched_above_the_targets_and_what_is_lost_shows(
    tmp_path: Path, switched: None
) -> None:
    """Precision@5 of .85 and recall@20 of .90 by the lower ends of their intervals; nothing is said before anybody judged."""
    with control_house(tmp_path) as house:
        collection = planted()
        client = settled(house, collection)
        precision, recall = _figure(client, 5, "precision"), _figure(client, 20, "recall")
        for found, target in ((precision, 0.85), (recall, 0.90)):
            assert found["low"] <= found["value"] <= found["high"] and found["n"] == len(collection.queries)
            assert found["low"] >= target, found
        gone = [one["id"] for one in collection.documents if int(one["id"].rpartition("-")[2]) >= EACH // 2]
        deleted = client.request("DELETE", "/api/v1/knowledge/documents", json={"ids": gone})
        assert deleted.json() == {"deleted": len(gone)}
        assert house.context.knowledge is not None
        house.context.knowledge.follow("default", "default")
        assert _figure(client, 20, "recall")["high"] <= 0.5


def test_p21_of_a_collection_that_nobody_judged_no_figure_is_claimed(tmp_path: Path, switched: None) -> None:
    with control_house(tmp_path) as house:
        client = kept(house, [{"id": "a", "text": "A harbour"}])
        answer = client.get("/api/v1/knowledge/quality")
        assert answer.status_code == 200 and answer.json()["judged"] is None


def _figure(client: TestClient, k: int, name: str) -> dict[str, Any]:
    answer = client.get(f"/api/v1/knowledge/quality?k={k}")
    assert answer.status_code == 200, answer.text
    return answer.json()["judged"][name]
