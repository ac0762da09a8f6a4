"""I12: rolling back: with a reason, to what was read back, by a person or by what the watch finds; and the history of it."""

from __future__ import annotations

from pathlib import Path

from tests.acceptance.lives import living


def test_i12_a_person_takes_a_delivered_change_back_and_the_history_shows_it(tmp_path: Path, switched: None) -> None:
    """Once; what was never delivered is refused."""
    with living(tmp_path) as life:
        life.breach()
        change = life.run()
        refused = life.admin.post(f"/api/v1/changes/{change.id}/rollback", json={"why": "no good"})
        assert refused.status_code == 200 and refused.json()["reason"] == "no good"
        assert life.run().state == "rolled_back" and life.kind.serves["routing_policy"] == "v1"
        (line,) = life.get("/api/v1/optimizer/history")["items"]
        assert (line["id"], line["status"]) == (change.id, "rolled_back")
        again = life.admin.post(f"/api/v1/changes/{change.id}/rollback")
        assert again.status_code == 409


def test_i12_a_baseline_that_does_not_come_back_is_shouted_about(tmp_path: Path, switched: None) -> None:
    """It is never said to be restored."""
    with living(tmp_path) as life:
        life.breach()
        change = life.run()
        life.kind.undo_does_nothing = True
        life.admin.post(f"/api/v1/changes/{change.id}/rollback", json={"why": "no good"})
        assert life.run().state == "rollback_failed"
        assert "rollback_failed" in {one["name"] for one in life.get("/api/v1/alerts")["items"]}
