"""What the arms have shown, held against the same sums made of the calls one by one."""

from __future__ import annotations

import random
import re
from collections import defaultdict

import pytest

from meliora.errors import InvalidRequest
from meliora.loop.metrics import METRICS, Metric
from meliora.store.calls.feedbacks import FeedbackGiven
from meliora.store.loop.arms import Arms
from meliora.store.loop.trial_arms import Phased
from tests.store.conftest import START_US, plans_of
from tests.store.test_outcomes import settle, trace

MINUTE = 60_000_000
LATE = START_US + 3600 * 1_000_000
SOUGHT = r"COVERING INDEX \w+ \(tenant=\? AND trial=\? AND trial_phase=\?|Index Cond: \(\(tenant.* AND \(trial = .* AND \(trial_phase"
"""How SQLite and PostgreSQL say that they went straight to the rows of a trial."""


def arm(name: str = "candidate", unit: str = "u1", **more):
    return {"trial": "chg_1", "trial_phase": "trial", "trial_stage": 0, "arm": name, "trial_unit": unit, **more}


def test_sums_over_units_are_those_of_the_calls(store, feed) -> None:
    draw = random.Random(5)
    calls = defaultdict(list)
    for at in range(200):
        stage, name, unit = draw.randrange(2), draw.choice(("candidate", "baseline")), f"u{draw.randrange(9)}"
        cost, failed = draw.choice((None, draw.randrange(1000))), draw.random() < 0.2
        took = draw.randrange(1, 3_000_000)
        feed.call(
            **arm(name, unit, trial_stage=stage),
            started_us=START_US + at,
            ended_us=START_US + at + took,
            cost_micros=cost,
            outcome="error" if failed else "ok",
        )
        calls[stage, name].append((unit, cost, failed, took))
    wanted = [METRICS[name] for name in ("error_rate", "cost_per_call", "latency_mean", "latency_p95")]
    found = store.arms.read("default", "chg_1", "trial", wanted, LATE)
    assert [(one.stage, one.arm) for one in found] == sorted(calls)
    for one in found:
        own = calls[one.stage, one.arm]
        assert one.calls == len(own)
        assert one.units == len({unit for unit, *_ in own})
        for metric, pick in (
            ("error_rate", lambda c: float(c[2])),
            ("cost_per_call", lambda c: c[1]),
            ("latency_mean", lambda c: None if c[2] else c[3]),
        ):
            units: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
            for call in own:
                value = pick(call)
                if value is not None:
                    units[call[0]][0] += value
                    units[call[0]][1] += 1
            sums, pairs = one.sums[metric], units.values()
            assert sums.units == len(units)
            assert sums.y == pytest.approx(sum(y for y, _ in pairs))
            assert sums.n == sum(n for _, n in pairs)
            assert sums.yy == pytest.approx(sum(y * y for y, _ in pairs))
            assert sums.nn == sum(n * n for _, n in pairs)
            assert sums.yn == pytest.approx(sum(y * n for y, n in pairs))
        taken = sorted(took for _, _, failed, took in own if not failed)
        held = one.histograms["latency_p95"]
        assert held.count == len(taken)
        assert held.quantile(0.0) == pytest.approx(taken[0], rel=0.01)
        assert held.quantile(1.0) == pytest.approx(taken[-1], rel=0.01)


def test_rewards_and_feedback_count_for_the_calls_that_have_them(store, feed) -> None:
    calls = [feed.call(**arm(unit=unit), routing=trace()) for unit in ("u1", "u1", "u2")]
    store.feedbacks.give("default", FeedbackGiven(feedback_type="thumbs_up", call_id=calls[0].id))
    settle(store)
    wanted = [METRICS["reward"], METRICS["satisfaction"], METRICS["error_rate"]]
    [found] = store.arms.read("default", "chg_1", "trial", wanted, LATE)
    assert (found.units, found.calls) == (2, 3)
    said = found.sums["satisfaction"]
    assert (said.units, said.n, said.y) == (1, 1, 1.0)
    assert found.sums["reward"].n >= 1
    assert found.sums["error_rate"].n == 3


def test_a_call_counts_for_a_metric_when_it_is_mature(store, feed) -> None:
    feed.call(**arm(), started_us=START_US, ended_us=START_US)
    wanted = [METRICS["error_rate"], METRICS["satisfaction"], METRICS["latency_p95"]]

    def read(after_us: int):
        return store.arms.read("default", "chg_1", "trial", wanted, START_US + after_us)

    assert read(MINUTE - 1) == ()
    [found] = read(MINUTE)
    assert (found.sums["error_rate"].n, found.histograms["latency_p95"].count) == (1, 1)
    assert found.sums["satisfaction"].units == 0


def test_phases_changes_and_tenants_are_kept_apart(store, feed) -> None:
    feed.call(**arm())
    feed.call(**arm(), tenant="acme")
    feed.call(**arm() | {"trial_phase": "watch"})
    feed.call(**arm() | {"trial": "chg_2"})
    feed.call()
    [found] = store.arms.read("default", "chg_1", "trial", [METRICS["error_rate"]], LATE)
    assert found.calls == 1
    assert store.arms.read("nobody", "chg_1", "trial", [METRICS["error_rate"]], LATE) == ()
    assert store.arms.read("default", "chg_1", "trial", [], LATE) == ()


def test_sums_that_no_integer_holds_are_still_read(store, feed) -> None:
    for _ in range(2):
        feed.call(**arm(), cost_micros=4_000_000_000_000)
    [found] = store.arms.read("default", "chg_1", "trial", [METRICS["cost_per_call"]], LATE)
    assert found.sums["cost_per_call"].yy == pytest.approx(64e24)


def test_a_call_whose_person_was_erased_before_it_was_ingested_is_a_unit_of_its_own(store, feed) -> None:
    late = [feed.finished(user="ann", **arm(unit="u1")) for _ in range(3)]
    store.housekeeping.erase("default", "ann")
    feed.take(*late)
    [found] = store.arms.read("default", "chg_1", "trial", [METRICS["error_rate"]], LATE)
    assert (found.units, found.calls) == (3, 3)


def test_a_metric_that_calls_do_not_tell_of_is_refused(store) -> None:
    odd = Metric(name="odd", direction="up", form="mean", unit="", column="ndcg")
    with pytest.raises(InvalidRequest, match="odd"):
        store.arms.read("default", "chg_1", "trial", [odd], LATE)


def test_an_analysis_goes_to_the_index_and_not_to_the_table(feed, engine) -> None:
    arms = Arms(engine)
    of = Phased(arms.table, "default", "chg_1", "trial")
    feed.take(*[feed.finished() for _ in range(300)], feed.finished(**arm()))
    summed = arms._summed(of, [METRICS["error_rate"]], LATE, LATE)
    counted = arms._counted(of, METRICS["latency_p95"], LATE)
    for plan in plans_of(engine, arms.table, summed, counted):
        assert re.search(SOUGHT, plan) and "ix_calls_trial" in plan, plan


def test_a_word_on_a_call_that_no_policy_decided_is_a_reward_too(store, feed) -> None:
    """Who names a model is answered without a policy, so there is no outcome: the word alone tells how good the answer was."""
    up, down, silent = (feed.call(**arm(unit=unit)) for unit in ("u1", "u2", "u3"))
    store.feedbacks.give("default", FeedbackGiven(feedback_type="thumbs_up", call_id=up.id))
    store.feedbacks.give("default", FeedbackGiven(feedback_type="thumbs_down", call_id=down.id))
    settle(store)
    [found] = store.arms.read("default", "chg_1", "trial", [METRICS["reward"]], LATE)
    told = found.sums["reward"]
    assert (told.units, told.n, told.y) == (2, 2, 1.0)
    assert silent.id
