"""A model that changes raises an alarm soon, one that does not hardly ever, and no key alone raises one among several."""

from __future__ import annotations

import math
import random

import pytest

from meliora.routing.learning.drift import DriftWatch, Watch


def first_alarm(
    watch: DriftWatch, rng: random.Random, shift: float, limit: int, key: str = "", several: bool = False
) -> int | None:
    for turn in range(limit):
        if watch.see("m", "chat", rng.gauss(shift, 1), key, several=several):
            return turn + 1
    return None


def test_a_model_that_does_not_change_hardly_ever_raises_an_alarm() -> None:
    rng = random.Random(1)
    watch = DriftWatch()
    alarms = sum(watch.see("m", "chat", rng.gauss(0, 1)) is not None for _ in range(60_000))
    assert alarms <= 15  # about 5 expected


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_change_of_half_a_deviation_is_seen_within_a_hundred_outcomes_on_average(sign: int) -> None:
    taken = []
    for seed in range(30):
        rng, watch = random.Random(seed), DriftWatch()
        for _ in range(300):
            watch.see("m", "chat", rng.gauss(0, 1))
        taken.append(first_alarm(watch, rng, 0.5 * sign, 1000) or 1000)
    assert sum(taken) / len(taken) < 100


def test_an_alarm_says_how_large_the_change_is_and_begins_afresh() -> None:
    watch = DriftWatch(Watch(allowance=0.2, threshold=4))
    alarm = None
    while alarm is None:
        alarm = watch.see("m", "code", -1.0)
    assert (alarm.model, alarm.task) == ("m", "code")
    assert alarm.shift == pytest.approx(-1.0, abs=0.1)
    assert alarm.outcomes == 6
    assert watch.see("m", "code", -1.0) is None


def test_a_model_always_predicted_a_little_wrong_is_no_drift() -> None:
    """Its usual surprise is learned while it is still far from an alarm."""
    rng, watch = random.Random(2), DriftWatch()
    assert first_alarm(watch, rng, -0.15, 3000) is None


def test_tasks_are_watched_apart() -> None:
    watch = DriftWatch(Watch(threshold=4))
    raised = []
    for _ in range(200):
        raised += [watch.see("m", "chat", 0.0), watch.see("m", "code", -1.0)]
    assert {alarm.task for alarm in raised if alarm} == {"code"}


def test_one_key_among_several_cannot_raise_an_alarm() -> None:
    watch = DriftWatch()
    assert first_alarm(watch, random.Random(3), -1.0, 200, key="flood", several=True) is None
    watch = DriftWatch()
    assert first_alarm(watch, random.Random(3), -1.0, 200, key="flood", several=False) is not None
    watch, rng = DriftWatch(), random.Random(4)
    taken = [watch.see("m", "chat", rng.gauss(-1, 1), f"key {turn % 2}", several=True) for turn in range(100)]
    assert any(taken), "two keys that agree do"


def test_a_surprise_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        DriftWatch().see("m", "chat", math.nan)
    with pytest.raises(ValueError, match="allowance"):
        Watch(allowance=0)
