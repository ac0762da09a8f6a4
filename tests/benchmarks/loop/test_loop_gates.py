"""The benchmark of the gates plays the product, and its healthy days are as healthy as it says."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.loop.gates import Played, _alarms, _beyond, _delays, _naive
from benchmarks.loop.healthy import CELL_US, COST, DAY, LATENCY, START_US, Days, gates, reading_of
from meliora.loop.gates.reading import Reading


@pytest.fixture(scope="module")
def days() -> Days:
    return Days.draw(np.random.default_rng(7), 100, 9)


def test_the_healthy_days_are_within_every_bound(days: Days) -> None:
    total = days.n.sum()
    assert days.errors.sum() / total == pytest.approx(0.005, rel=0.1)
    assert (days.latency @ LATENCY.values).sum() / total == pytest.approx(320, rel=0.02)
    assert (days.cost @ COST.values).sum() / total == pytest.approx(0.4, rel=0.05)
    assert days.latency[:, LATENCY.values > 800].sum() / total < 0.05


def test_what_is_passed_over_is_within_its_bound(days: Days) -> None:
    """The shortcut: where the benchmark does not ask the product, the product would have found the value within the bound."""
    held = {name: gate for name, gate in gates().items() if name not in ("ingest", "gpu", "ndcg_drop")}
    beyond = _beyond(held | {"gpu": gates()["gpu"]}, days)
    for until in range(8 * DAY, 9 * DAY, 17):
        for name, gate in held.items():
            reading = reading_of(gate, days, until)
            bound = gate.bound(None)
            assert bound is not None
            if not beyond[name][until]:
                assert not gate.beyond(reading.value, bound), (name, until)


def test_the_bare_threshold_cries_wolf_where_the_gates_do_not(days: Days) -> None:
    assert _naive(days, 7 * DAY) > 20 and len(_alarms(days, 7 * DAY)) <= 1


def test_a_gate_that_breaks_is_told_once() -> None:
    played = Played({"gpu": gates()["gpu"]})
    told = [played.tick(START_US + at * CELL_US, {"gpu": Reading("gauge", 0.99, 1, 0)}) for at in range(6)]
    assert told == [[], [], ["gpu"], [], [], []]


def test_an_outage_is_found_within_minutes() -> None:
    assert _delays(np.random.default_rng(7), 100, 0.5, 20).max() <= 0.25
