"""P22: the weekly report: cycles, success, time, cost, improvements, actions, what comes next."""

from __future__ import annotations

from pathlib import Path

from tests.acceptance.lives import HARMS, living


def test_p22_the_week_is_reported_as_it_was(tmp_path: Path, switched: None) -> None:
    """One cycle improved, one was rolled back; for programs and for people."""
    with living(tmp_path) as life:
        life.breach()
        life.run()
        life.house.clock.advance(7200)
        life.arms.watched = HARMS
        assert life.tick() is not None, "the gate fails still"
        life.run()
        life.house.clock.advance(1)
        found = life.get("/api/v1/optimizer/report")
        assert (found["cycles"]["improved"], found["cycles"]["rolled_back"]) == (1, 1)
        assert found["success"]["of"] == 2 and found["rollbacks"]["hits"] == 1
        assert found["cycle_seconds_median"] > 0 and len(found["actions"]) == 2 and found["next"]
        page = life.admin.get("/api/v1/optimizer/report?format=md")
        assert page.status_code == 200 and page.text.startswith("#")
