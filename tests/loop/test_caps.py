"""The caps say what stands in the way, and when it ends."""

from __future__ import annotations

import pytest

from meliora.loop.caps import DAY_US, Caps, Counts, capped

NOON_US = 20_000 * DAY_US + DAY_US // 2


def counts(**over: int) -> Counts:
    return Counts(**{"now_us": NOON_US} | over)


def test_with_room_left_nothing_stands_in_the_way() -> None:
    for action in ("trigger", "prove", "try", "deliver", "keep", "roll_back"):
        assert capped(Caps(), counts(cycles=5, changes=9, last_change_us=NOON_US - 3_600_000_000), action) is None


@pytest.mark.parametrize(
    ("action", "used", "sentence"),
    [
        ("trigger", {"cycles": 6}, "6 of 6 cycles of the day are used"),
        ("deliver", {"changes": 10}, "10 of 10 changes of the day are used"),
        ("try", {"changes": 11}, "11 of 10 changes"),
        ("prove", {"spent_micros": 2_500_000}, "$2.50 of the loop's $2.00 a day are spent"),
    ],
)
def test_a_cap_of_the_day_ends_at_midnight_utc(action, used, sentence) -> None:
    found = capped(Caps(budget_micros_per_day=2_000_000), counts(**used), action)
    assert found is not None and sentence in found.sentence
    assert found.until_us == 20_001 * DAY_US and found.seconds == 43_200
    assert "00:00:00 UTC" in found.sentence


def test_a_target_rests_after_a_change() -> None:
    found = capped(Caps(), counts(last_change_us=NOON_US - 600_000_000), "try")
    assert found is not None and found.seconds == 3000 and "changed 600 s ago" in found.sentence
    assert capped(Caps(cooldown_seconds=0), counts(last_change_us=NOON_US), "try") is None


def test_what_lasts_longest_is_told() -> None:
    found = capped(Caps(), counts(changes=10, last_change_us=NOON_US), "deliver")
    assert found is not None and found.until_us == 20_001 * DAY_US


def test_restoring_and_keeping_are_never_capped() -> None:
    full = counts(cycles=99, changes=99, last_change_us=NOON_US, spent_micros=10**12)
    for action in ("roll_back", "keep", "pause", "kill", "stop"):
        assert capped(Caps(budget_micros_per_day=1), full, action) is None


def test_a_clock_that_went_back_delays_by_one_cooldown_at_most() -> None:
    found = capped(Caps(), counts(last_change_us=NOON_US + 10 * DAY_US), "try")
    assert found is not None and found.seconds == 3600


def test_nothing_allowed_and_no_limit_are_two_things() -> None:
    assert capped(Caps(changes_per_day=0), counts(), "deliver") is not None
    assert capped(Caps(changes_per_day=None), counts(changes=10**6), "deliver") is None
    assert capped(Caps(budget_micros_per_day=0), counts(), "prove") is not None
