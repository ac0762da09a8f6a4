"""P2: the optimizer under its documented paths."""

from __future__ import annotations

from pathlib import Path

from tests.acceptance.lives import living

URL = "/api/v1/optimizer"


def test_p02_every_documented_path_answers_in_its_documented_shape(tmp_path: Path, switched: None) -> None:
    """Status, trigger, metrics, history, gates and their bound, stop, start, rollback to a version."""
    with living(tmp_path) as life:
        status = life.get(f"{URL}/status")
        assert status["is_running"] is True and status["quality_gates_status"] == "no_data"
        assert status["total_optimizations_24h"] == 0 and status["actions_by_type"] == {}
        assert status["next_cycle_in_minutes"] is not None and status["last_action"] is None
        made = life.admin.post(f"{URL}/trigger", json={"force": True, "target": "all"}).json()
        assert (made["status"], made["actions_taken"]) == ("started", ["routing_policy"])
        assert made["improvements"] == {"ndcg_delta": None, "latency_delta": None}
        kept = life.run()
        assert life.get(f"{URL}/status")["last_action"]["status"] == "kept"
        assert [one["id"] for one in life.get(f"{URL}/history?limit=20")["items"]] == [kept.id]
        assert set(life.get(f"{URL}/metrics")["metrics"]) >= {"ndcg@10", "latency_mean", "error_rate", "cost_per_1k"}
        row = life.admin.post(f"{URL}/quality-gates/ndcg_at_10?threshold=0.70").json()
        assert (row["name"], row["definition"]["threshold"]) == ("ndcg", 0.7)
        assert "ndcg" in {one["name"] for one in life.get(f"{URL}/quality-gates")["items"]}
        assert life.admin.post(f"{URL}/stop").json()["is_running"] is False
        assert life.admin.post(f"{URL}/start").json()["is_running"] is True
        wish = {"environment": "production", "to_version": "v1"}
        assert life.admin.post(f"{URL}/rollback", json=wish).json()["state"] == "rolling_back"
        assert life.run().state == "rolled_back" and life.kind.serves["routing_policy"] == "v1"
