"""P11: the controls: kill switch, approval, caps and cooldown, protected targets, flags."""

from __future__ import annotations

from pathlib import Path

from meliora.settings.loop import Approval, Loop
from tests.acceptance.lives import living

URL = "/api/v1/optimizer"


def test_p11_the_kill_switch_holds_everything_but_what_restores(tmp_path: Path, switched: None) -> None:
    """A trial under way stands still; taken back, it goes on."""
    with living(tmp_path) as life:
        life.breach()
        life.admin.post(f"{URL}/kill", json={"why": "odd answers"})
        before = life.last()
        life.loop.engine.step()
        life.house.clock.advance(600)
        assert not life.loop.engine.step() and life.last().state == before.state
        assert life.admin.post(f"{URL}/trigger", json={"force": True}).status_code == 409
        life.admin.post(f"{URL}/resume")
        assert life.run().state == "kept"


def test_p11_where_approval_is_required_nothing_is_delivered_without_a_person(tmp_path: Path, switched: None) -> None:
    """It waits with its trial going on, and goes on when somebody approves."""
    with living(tmp_path, approval=Approval(required=True)) as life:
        life.breach()
        change = life.run()
        assert change.state == "trying" and "waits for an approval" in (change.reason or "")
        assert life.kind.effects == []
        assert life.admin.post(f"/api/v1/changes/{change.id}/approve", json={"why": "good"}).status_code == 200
        assert life.run().state == "kept"


def test_p11_cycles_and_changes_a_day_are_capped_and_a_target_rests(tmp_path: Path, switched: None) -> None:
    """Six cycles, ten changes and an hour's rest are the defaults."""
    assert (Loop().max_cycles_per_day, Loop().max_changes_per_day, Loop().cooldown_seconds) == (6, 10, 3600)
    with living(tmp_path, max_cycles_per_day=1) as life:
        life.breach()
        life.run()
        life.fail("latency_p95", 1500.0)
        assert life.tick() is None, "the day's one cycle is used"
        life.house.clock.advance(86_400)
        life.fail("latency_p95", 1500.0)
        assert life.tick() is not None


def test_p11_a_protected_target_is_tried_only_with_a_persons_word(tmp_path: Path, switched: None) -> None:
    """Also where everything else promotes by itself."""
    with living(tmp_path, protected=["routing_policy"]) as life:
        life.breach()
        change = life.run()
        assert change.state == "proved" and "protected" in (change.reason or "")
