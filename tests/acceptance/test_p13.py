"""P13: what was delivered is watched, twelve times in two hours, and rolled back where it degrades."""

from __future__ import annotations

from pathlib import Path

from meliora.settings.loop import Loop
from tests.acceptance.lives import HARMS, living


def test_p13_what_degrades_after_its_delivery_is_rolled_back_by_itself(tmp_path: Path, switched: None) -> None:
    """Against a holdback, not against last week; the baseline is read back."""
    with living(tmp_path) as life:
        life.arms.watched = HARMS
        life.breach()
        change = life.run()
        assert change.state == "rolled_back" and "error_rate is worse" in (change.reason or "")
        assert life.kind.serves["routing_policy"] == "v1"
        last = life.house.store.changes.edges("default", change.id)[-1]
        assert last.evidence == {"restored": "v1", "serving": "v1"}


def test_p13_twelve_checks_of_ten_minutes_are_the_default(switched: None) -> None:
    """Two hours in all."""
    watch = Loop().watch
    assert (watch.checks, watch.every_seconds, watch.rollback_on_degrade) == (12, 600, True)
