"""The planted stage is named and no other; where all stages slow alike, or none does, none is."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from meliora.diagnosis.search.latency import by_stage, slower
from meliora.diagnosis.search.seen import SearchSeen
from tests.diagnosis.search.searches import one

STAGES = {"words": 3000.0, "grams": 1500.0, "dense": 2500.0, "rerank": 6000.0, "fuse": 200.0}
RUNS = 40
SIZES = [(300, 300), (200, 2400)]
"""Timed searches now and before."""


def timed(
    rng: np.random.Generator, count: int, times: Mapping[str, float] | None = None, part: float = 1.0
) -> list[SearchSeen]:
    """Make searches whose stages take log-normal times that rise and fall together, some of them so many times as long."""
    made = []
    for at in range(count):
        load, hit = rng.normal(0, 0.3), rng.random() < part
        stages = {
            name: int(mean * np.exp(rng.normal(0, 0.6) + load) * ((times or {}).get(name, 1.0) if hit else 1.0))
            for name, mean in STAGES.items()
        }
        made.append(one(at, stages_us=stages))
    return made


def named(sizes: tuple[int, int], times: Mapping[str, float], part: float = 1.0) -> list[str | None]:
    """Give what is named in each run; `quiet` where nothing is slower."""
    rng = np.random.default_rng(5)
    now, before = sizes
    found = (slower(timed(rng, before), timed(rng, now, times, part)) for _ in range(RUNS))
    return ["quiet" if each is None else each.stage for each in found]


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize(("stage", "times"), [("rerank", 2), ("dense", 3), ("words", 3), ("fuse", 60)])
def test_the_planted_stage_is_named_and_no_other(sizes: tuple[int, int], stage: str, times: float) -> None:
    found = named(sizes, {stage: times})
    assert found.count(stage) >= 0.85 * RUNS
    assert set(found) <= {stage, None, "quiet"}


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("part", [1.0, 0.15])
def test_where_all_stages_slow_alike_it_is_told_and_none_is_named(sizes: tuple[int, int], part: float) -> None:
    """The longest stage grows most then, by share as the others."""
    found = named(sizes, dict.fromkeys(STAGES, 3.0), part)
    assert found.count(None) >= 0.8 * RUNS
    assert sum(each in STAGES for each in found) <= 1


@pytest.mark.parametrize("sizes", SIZES)
def test_searches_as_fast_as_before_are_not_called_slower(sizes: tuple[int, int]) -> None:
    assert named(sizes, {}).count("quiet") >= RUNS - 1


def test_faster_searches_are_not_called_slower() -> None:
    assert set(named((300, 300), {"rerank": 0.3})) == {"quiet"}


def test_a_stage_that_was_not_there_before_is_named_with_what_it_took() -> None:
    rng = np.random.default_rng(6)
    before = timed(rng, 200)
    now = [
        one(each.id, stages_us={**each.stages_us, "second_look": 40_000 + int(rng.integers(5000))})
        for each in timed(rng, 200)
    ]
    found = slower(before, now)
    assert found is not None and found.stage == "second_look"
    assert found.stage_before_us == 0 and 40_000 <= (found.stage_now_us or 0) <= 45_000
    assert found.share is not None and found.share > 0.8
    totals = [np.quantile([sum(each.stages_us.values()) for each in side], 0.95) for side in (before, now)]
    assert (found.p95_before_us, found.p95_now_us) == (round(totals[0]), round(totals[1]))


def test_times_without_any_spread_are_told_apart_too() -> None:
    before = [one(at, stages_us={"words": 10, "dense": 30}) for at in range(50)]
    alike = slower(before, [one(at, stages_us={"words": 20, "dense": 60}) for at in range(50)])
    dense = slower(before, [one(at, stages_us={"words": 10, "dense": 90}) for at in range(50)])
    assert alike is not None and (alike.stage, alike.share, alike.stage_now_us) == (None, None, None)
    assert dense is not None and (dense.stage, dense.share) == ("dense", 1.0)


def test_an_only_stage_is_the_one_that_got_slower() -> None:
    sides = [[one(at, stages_us={"words": spent + at}) for at in range(60)] for spent in (100, 900)]
    found = slower(*sides)
    assert found is not None and found.stage == "words"


@pytest.mark.parametrize("stages", [{}, {"words": -5, "dense": 90_000}])
def test_searches_that_were_not_timed_or_whose_clock_jumped_say_nothing(stages: dict[str, int]) -> None:
    rng = np.random.default_rng(7)
    before = timed(rng, 100)
    assert slower(before, [one(at, stages_us=stages) for at in range(100)]) is None
    assert slower([one(at, stages_us=stages) for at in range(100)], before) is None
    some = [*timed(rng, 100), *(one(at, stages_us=stages) for at in range(100))]
    assert slower(before, some) is None


@pytest.mark.parametrize("sizes", [(0, 0), (0, 500), (500, 0), (39, 500), (500, 39), (1, 1)])
def test_too_few_timed_searches_on_a_side_are_unknown(sizes: tuple[int, int]) -> None:
    rng = np.random.default_rng(8)
    assert slower(timed(rng, sizes[1]), timed(rng, sizes[0], dict.fromkeys(STAGES, 50.0))) is None


def test_what_each_stage_took_is_told_and_is_unknown_where_too_few_ran_it() -> None:
    before = [one(at, stages_us={"words": 1000, "rerank": 500}) for at in range(50)]
    now = [one(at, stages_us={"words": 3000, **({"rerank": 900} if at < 5 else {})}) for at in range(50)]
    found = {each.stage: (each.p95_before_us, each.p95_now_us) for each in by_stage(before, now)}
    assert found["words"] == (1000, 3000) and found["rerank"] == (500, None) and found[None][0] == 1500
    assert by_stage(before[:10], now[:10]) == ()
    assert by_stage([], now)[0].p95_before_us is None
