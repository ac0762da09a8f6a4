"""P1: the loop, from a failing gate to what is kept or rolled back, and a fit every week whatever the gates say."""

from __future__ import annotations

from pathlib import Path

import pytest

from meliora.settings.loop import Loop
from tests.acceptance.lives import HARMS, WINS, living

SUNDAY_TWO_US = 1_795_917_600_000_000
WAY = ["observed", "diagnosed", "proposed", "proving", "proved", "trying", "delivering", "watching"]


@pytest.mark.parametrize(
    ("watched", "ends", "outcome"),
    [(WINS, ["kept"], "improved"), (HARMS, ["rolling_back", "rolled_back"], "rolled_back")],
)
def test_p01_a_breach_goes_round_to_what_is_kept_or_rolled_back(
    tmp_path: Path, switched: None, watched: object, ends: list[str], outcome: str
) -> None:
    """Each step in its order, and the plane is as the end says."""
    with living(tmp_path) as life:
        life.arms.watched = watched  # type: ignore[assignment]
        cycle = life.breach()
        change = life.run()
        assert life.path(change) == [*WAY, *ends]
        assert life.kind.serves["routing_policy"] == ("v1+" if ends == ["kept"] else "v1")
        assert life.house.store.cycles.get("default", cycle.id).outcome == outcome


def test_p01_every_week_a_cycle_begins_by_itself_and_a_quiet_tick_begins_none(tmp_path: Path, switched: None) -> None:
    """Sunday at two, once; every quarter of an hour the loop looks, and says when it looks next."""
    assert (Loop().interval, Loop().retrain) == (900, "0 2 * * 0")
    with living(tmp_path) as life:
        life.house.clock.set(SUNDAY_TWO_US - 1_000_000)
        assert life.tick() is None
        life.house.clock.advance(2)
        cycle = life.tick()
        assert cycle is not None and cycle.origin.kind == "schedule"
        assert life.tick() is None
