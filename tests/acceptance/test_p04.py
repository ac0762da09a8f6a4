"""P4: what a candidate must show before it is promoted: its gain, its guardrails, its time."""

from __future__ import annotations

from pathlib import Path

from meliora.settings.loop import Loop
from tests.acceptance.lives import EVEN, living
from tests.loop.test_judge import arm, stretch

WORSE = stretch(arm(2000, 0.5), arm(2000, 0.7, seed=2))


def test_p04_nothing_is_promoted_on_a_gain_that_is_not_shown(tmp_path: Path, switched: None) -> None:
    """Two even arms never win, however long they are looked at, and the baseline goes on."""
    with living(tmp_path) as life:
        life.arms.told = [EVEN]
        life.breach()
        change = life.run()
        assert change.state == "paused" and "inconclusive" in (change.reason or "")
        assert life.kind.effects == []


def test_p04_what_harms_is_stopped_and_what_has_the_wrong_split_counts_for_nothing(
    tmp_path: Path, switched: None
) -> None:
    """It is liked less; then a gain whose arms are of the wrong size."""
    for n, (told, state) in enumerate(
        ((WORSE, "rejected"), (stretch(arm(2600, 0.9), arm(1400, 0.6, seed=2)), "paused"))
    ):
        folder = tmp_path / str(n)
        folder.mkdir()
        with living(folder) as life:
            life.arms.told = [told]
            life.breach()
            assert life.run().state == state
            assert life.kind.effects == []


def test_p04_in_production_a_trial_takes_seven_days_and_a_fifth_of_the_traffic_at_most() -> None:
    """The documented numbers are the defaults."""
    trial = Loop().trial
    assert (trial.minimum_seconds.production, trial.ab_split_ratio) == (7 * 86_400, 0.2)
