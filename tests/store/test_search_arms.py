"""What the arms of a trial of searches have shown, held against the same sums made of the searches one by one."""

from __future__ import annotations

import random
import re
from collections import defaultdict

import pytest

from meliora.errors import InvalidRequest
from meliora.knowledge.front import Opinion
from meliora.loop.metrics import METRICS, Metric
from meliora.store.loop.search_arms import SearchArms
from meliora.store.loop.trial_arms import Phased
from tests.store.conftest import START_US, plans_of
from tests.store.test_arms import LATE, MINUTE, SOUGHT, arm

NAMES = ("error_rate", "latency_mean", "reward", "satisfied")


def give(store, search, said: str, document: str | None = None, value: float | None = None) -> None:
    store.searches.give("default", Opinion(search=search.id, said=said, document=document, value=value))


def test_sums_over_units_are_those_of_the_searches(store, feed) -> None:
    draw = random.Random(5)
    made = defaultdict(list)
    for at in range(150):
        stage, name, unit = draw.randrange(2), draw.choice(("candidate", "baseline")), f"u{draw.randrange(9)}"
        failed, took = draw.random() < 0.2, draw.randrange(1, 900_000)
        search = feed.search(
            **arm(name, unit, trial_stage=stage),
            started_us=START_US + at,
            ended_us=START_US + at + took,
            outcome="error" if failed else "ok",
        )
        words = draw.sample([("click", "a", 1.0), ("reject", "b", 0.0), ("rating", None, 0.5)], draw.randrange(4))
        for said, document, value in words:
            give(store, search, said, document, value if said == "rating" else None)
        best = max((value for *_, value in words), default=None)
        used = float(any(said == "click" for said, *_ in words))
        made[stage, name].append((unit, float(failed), None if failed else took, best, used))
    wanted = [METRICS[name] for name in (*NAMES, "latency_p95")]
    found = store.search_arms.read("default", "chg_1", "trial", wanted, LATE)
    assert [(one.stage, one.arm) for one in found] == sorted(made)
    for one in found:
        own = made[one.stage, one.arm]
        assert (one.calls, one.units) == (len(own), len({unit for unit, *_ in own}))
        for at, metric in enumerate(NAMES, 1):
            units: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
            for search in own:
                if search[at] is not None:
                    units[search[0]][0] += search[at]
                    units[search[0]][1] += 1
            sums, pairs = one.sums[metric], units.values()
            assert sums.units == len(units)
            assert sums.y == pytest.approx(sum(y for y, _ in pairs))
            assert sums.n == sum(n for _, n in pairs)
            assert sums.yy == pytest.approx(sum(y * y for y, _ in pairs))
            assert sums.yn == pytest.approx(sum(y * n for y, n in pairs))
        assert one.histograms["latency_p95"].count == sum(1 for search in own if search[2] is not None)


def test_a_search_of_which_nothing_was_said_is_no_reward_and_not_satisfied(store, feed) -> None:
    silent, used, refused = (feed.search(**arm(unit=unit)) for unit in ("u1", "u2", "u3"))
    give(store, used, "accept", "a")
    give(store, used, "reject", "b")
    give(store, refused, "reject", "a")
    store.searches.reformulated("default", [silent.id])
    wanted = [METRICS["reward"], METRICS["satisfied"]]
    [found] = store.search_arms.read("default", "chg_1", "trial", wanted, LATE)
    assert (found.sums["reward"].n, found.sums["reward"].y) == (3, 1.0)
    assert (found.sums["satisfied"].n, found.sums["satisfied"].y) == (3, 1.0)


def test_a_search_counts_for_a_metric_when_it_is_mature(store, feed) -> None:
    feed.search(**arm(), started_us=START_US, ended_us=START_US)
    wanted = [METRICS["error_rate"], METRICS["satisfied"], METRICS["latency_p95"]]

    def read(after_us: int):
        return store.search_arms.read("default", "chg_1", "trial", wanted, START_US + after_us)

    assert read(MINUTE - 1) == ()
    [found] = read(MINUTE)
    assert (found.sums["error_rate"].n, found.histograms["latency_p95"].count) == (1, 1)
    assert found.sums["satisfied"].units == 0
    assert read(5 * MINUTE)[0].sums["satisfied"].n == 1


def test_phases_changes_tenants_and_calls_are_kept_apart(store, feed) -> None:
    feed.search(**arm())
    feed.search(**arm(), tenant="acme")
    feed.search(**arm() | {"trial_phase": "watch"})
    feed.search(**arm() | {"trial": "chg_2"})
    feed.search()
    feed.call(**arm())
    [found] = store.search_arms.read("default", "chg_1", "trial", [METRICS["error_rate"]], LATE)
    assert found.calls == 1
    assert store.search_arms.calls("default", "chg_1", "trial", START_US) == 1
    assert store.search_arms.read("nobody", "chg_1", "trial", [METRICS["error_rate"]], LATE) == ()
    assert store.search_arms.read("default", "chg_1", "trial", [], LATE) == ()


@pytest.mark.parametrize("name", ["cost_per_call", "odd"])
def test_a_metric_that_searches_do_not_tell_of_is_refused(store, name: str) -> None:
    metric = METRICS.get(name) or Metric(name="odd", direction="up", form="mean", unit="", column="ndcg")
    with pytest.raises(InvalidRequest, match=name):
        store.search_arms.read("default", "chg_1", "trial", [metric], LATE)


def test_calls_do_not_tell_whether_a_search_satisfied(store) -> None:
    with pytest.raises(InvalidRequest, match="satisfied"):
        store.arms.read("default", "chg_1", "trial", [METRICS["satisfied"]], LATE)


def test_an_analysis_goes_to_the_index_and_not_to_the_table(feed, engine) -> None:
    arms = SearchArms(engine)
    of = Phased(arms.table, "default", "chg_1", "trial")
    feed.take(*[feed.searched() for _ in range(300)], feed.searched(**arm()))
    summed = arms._summed(of, [METRICS[name] for name in NAMES], LATE, LATE)
    counted = arms._counted(of, METRICS["latency_p95"], LATE)
    for plan in plans_of(engine, arms.table, summed, counted):
        assert re.search(SOUGHT, plan) and "ix_searches_trial" in plan, plan
