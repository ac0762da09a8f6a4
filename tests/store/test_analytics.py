"""Sums, rates, rankings and percentiles agree with the raw calls, and unknown is never taken for zero."""

from __future__ import annotations

import random
import threading

import pytest

from meliora.errors import InvalidRequest
from meliora.store.calls.feedbacks import FeedbackGiven
from meliora.telemetry.records import Attempt
from meliora.telemetry.rollups import WINDOW_US, Roller, Rollup, window_of

DAY_US = 86_400_000_000


@pytest.mark.parametrize(
    ("by", "field", "values"),
    [
        ("model", "model", ["big", "small", None]),
        ("task", "task", ["code", "chat", None]),
        ("user", "user", ["ann", "bob"]),
        ("feature", "feature", ["search", None]),
        ("key", "key_id", ["key_1", "key_2"]),
    ],
)
def test_usage_is_summed_by_each_grouping(store, feed, by, field, values) -> None:
    for place, value in enumerate(values):
        for cost in (100 * 10**place, None):
            feed.call(**{field: value, "cost_micros": cost})
    found = {
        one.group: (one.calls, one.cost_micros, one.unpriced, one.tokens_in)
        for one in store.analytics.usage("default", by)
    }
    assert found == {value: (2, 100 * 10**place, 1, 20) for place, value in enumerate(values)}
    costs = [one.cost_micros for one in store.analytics.usage("default", by)]
    assert costs == sorted(costs, reverse=True)


def test_usage_by_day_is_in_order_and_confined_to_the_days_asked_for(store, feed, clock) -> None:
    start = clock.now
    for day in (2, 0, 1):
        feed.call(started_us=start + day * DAY_US)
    days = store.analytics.usage("default", "day", since_us=start + DAY_US, until_us=start + 3 * DAY_US)
    assert [one.group for one in days] == ["2026-11-22", "2026-11-23"]
    assert store.analytics.total("default", until_us=start + DAY_US).calls == 1


def test_totals_say_what_they_do_not_cover(store, feed) -> None:
    feed.call(outcome="error", status=502, usage=None, cost_micros=None)
    feed.call(outcome="cancelled", status=499)
    feed.call(cached=True, cost_micros=0)
    total = store.analytics.total("default")
    assert (total.calls, total.errors, total.cancelled, total.cached) == (3, 1, 1, 1)
    assert (total.unpriced, total.unmetered, total.cost_micros) == (1, 1, 500)
    assert store.analytics.total("nobody").calls == 0


def test_the_administrator_sees_each_tenant(store, feed) -> None:
    feed.call(tenant="acme", cost_micros=7)
    feed.call()
    assert [(one.group, one.cost_micros) for one in store.analytics.tenants()] == [("acme", 7), ("default", 500)]


def test_the_dearest_calls_come_first_and_unpriced_ones_not_at_all(store, feed) -> None:
    for cost in (5, None, 900, 30):
        feed.call(cost_micros=cost)
    assert [call.cost_micros for call in store.analytics.top_expensive("default", limit=2)] == [900, 30]


def test_the_error_rate_counts_lost_calls_beside(store, feed, clock) -> None:
    for outcome, code in (("ok", None), ("error", "upstream_timeout"), ("error", None), ("cancelled", None)):
        feed.call(outcome=outcome, error_code=code, status=200 if outcome == "ok" else 500)
    feed.take(feed.begun())
    store.sink.lose(clock.now + 1)
    Roller(store.windows).step()
    rate = store.analytics.error_rate("default")
    assert (rate.calls, rate.errors, rate.cancelled, rate.lost, rate.rate) == (4, 2, 1, 1, 0.5)
    assert rate.by_code == {"upstream_timeout": 1, "unknown": 1}
    assert store.analytics.error_rate("nobody").rate is None
    assert store.analytics.error_rate("default", model="none").calls == 0


def test_models_are_ranked_with_what_stands_behind_each_mean(store, feed) -> None:
    good = feed.call(model="good", cost_micros=None)
    feed.call(model="good", cost_micros=300)
    feed.call(model="bad", outcome="error", status=500)
    feed.call(model="bad", outcome="cancelled", status=499)
    store.feedbacks.give("default", FeedbackGiven(feedback_type="rating_4", call_id=good.id))
    first, second = store.analytics.ranking("default", task="chat")
    assert (first.model, first.success_rate, first.priced, first.avg_cost_micros) == ("good", 1.0, 1, 300.0)
    assert (first.timed, first.avg_latency_ms, first.feedback, first.avg_feedback) == (2, 100.0, 1, 0.8)
    assert (second.model, second.success_rate, second.avg_latency_ms, second.avg_feedback) == ("bad", 0.0, None, None)


def test_percentiles_over_many_windows_are_within_one_percent(store, feed, clock) -> None:
    source = random.Random(3)
    latencies = [int(source.lognormvariate(11, 2)) + 1 for _ in range(2000)]
    start = window_of(clock.now)
    feed.take(
        *[
            feed.finished(
                started_us=start + place * 1_000_000, ended_us=start + place * 1_000_000 + latency, ttft_us=latency
            )
            for place, latency in enumerate(latencies)
        ]
    )
    while Roller(store.windows).step(3):
        pass
    found = store.analytics.distribution("default")
    ordered = sorted(latencies)
    for share, value in ((0.5, found.latency_ms.p50), (0.95, found.latency_ms.p95), (0.99, found.ttft_ms.p99)):
        place = share * 1999
        low, high = ordered[int(place)], ordered[int(place) + 1]
        assert value == pytest.approx((low + (high - low) * (place - int(place))) / 1000, rel=0.01)
    assert found.latency_ms.count == 2000
    assert (found.latency_ms.min, found.latency_ms.max) == (ordered[0] / 1000, ordered[-1] / 1000)
    assert store.analytics.distribution("default", model="none").cost_micros.p50 is None
    one = store.analytics.distribution("default", since_us=start + WINDOW_US, until_us=start + 2 * WINDOW_US)
    assert one.latency_ms.count == 300


def test_a_late_call_is_rolled_up_and_rolling_up_twice_changes_nothing(store, feed, clock) -> None:
    roller = Roller(store.windows)
    feed.call(started_us=clock.now)
    assert roller.step() == 1
    assert roller.step() == 0
    assert store.analytics.distribution("default").latency_ms.count == 1
    feed.call(started_us=clock.now)
    assert roller.step() == 1
    assert store.analytics.distribution("default").latency_ms.count == 2
    windows = store.metrics.list("default", "gateway.latency").items
    assert [(one.metric_type, one.samples, one.p95_value, one.endpoint) for one in windows] == [
        ("window", 2, 100.0, "sim/small")
    ]


def test_of_two_that_roll_up_a_window_one_adds_to_it(store, feed, clock) -> None:
    feed.call(started_us=clock.now)
    (window,) = store.windows.stale(10)
    assert Roller(store.windows).step() == 1
    assert not store.windows.add(window, [Rollup("small", "chat", "sim/small", calls=1)])
    assert store.analytics.error_rate("default").calls == 1


def test_two_processes_may_roll_up_one_day_at_once(store, feed, clock) -> None:
    start = window_of(clock.now)
    feed.take(*[feed.finished(started_us=start + place * WINDOW_US) for place in range(12)])
    threads = [threading.Thread(target=lambda: Roller(store.windows).step()) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.analytics.distribution("default").latency_ms.count == 12


def test_an_answer_over_days_agrees_with_one_over_windows(store, feed, clock) -> None:
    start = window_of(clock.now)
    times = [start + hours * 3_600_000_000 for hours in (0, 5, 23, 24, 30, 49, 60)]
    feed.take(
        *[feed.finished(started_us=time, outcome="error" if place == 3 else "ok") for place, time in enumerate(times)]
    )
    while Roller(store.windows).step():
        pass
    for first in range(len(times)):
        for last in range(first, len(times)):
            span = {"since_us": times[first], "until_us": times[last] + 1}
            inside = range(first, last + 1)
            assert store.analytics.error_rate("default", **span).calls == len(inside), span
            assert store.analytics.distribution("default", **span).latency_ms.count == len(inside) - (3 in inside), span


def test_a_call_that_arrives_while_its_window_is_rolled_up_is_added_the_next_time(store, feed, clock) -> None:
    feed.call(started_us=clock.now)
    (window,) = store.windows.stale(10)
    feed.call(started_us=clock.now)
    assert len(list(store.windows.samples(window))) == 1
    assert store.windows.add(window, [])
    assert Roller(store.windows).step() == 1
    assert store.analytics.error_rate("default").calls == 1


def test_a_call_that_was_open_when_its_window_was_rolled_up_is_added_when_it_ends(store, feed) -> None:
    begun = feed.begun()
    feed.take(begun, feed.finished(started_us=begun.started_us))
    Roller(store.windows).step()
    feed.take(feed.finished(id=begun.id, started_us=begun.started_us))
    assert Roller(store.windows).step() == 1
    assert store.analytics.error_rate("default").calls == 2


def test_cached_and_failed_calls_have_no_part_in_latency(store, feed) -> None:
    feed.call(cached=True, cost_micros=0)
    feed.call(outcome="error", status=500, cost_micros=None)
    Roller(store.windows).step()
    found = store.analytics.distribution("default")
    assert (found.latency_ms.count, found.cost_micros.count) == (0, 0)


def test_recorded_calls_count_for_or_against_their_model(store, feed) -> None:
    attempt = (Attempt("e/big", "big", 1, 2, 502),)
    feed.call(model="big", task="code", cost_micros=None)
    feed.call(model="big", task="code", cost_micros=3_000_000)
    feed.call(model=None, attempts=attempt, task="code", outcome="error", status=502, cost_micros=None)
    feed.call(model=None, attempts=attempt, task="code", outcome="error", status=400, cost_micros=None)
    feed.call(model="big", task="code", outcome="cancelled", status=499)
    feed.call(model="big", task="code", cached=True)
    feed.call(model=None, attempts=(), outcome="error", status=429, cost_micros=None)
    (found,) = store.model_performances.list("default")
    assert (found.model_id, found.task_type, found.total_calls, found.successes) == ("big", "code", 3, 2)
    assert (found.avg_latency_ms, found.priced_calls, found.avg_cost) == (100.0, 1, 3.0)


def test_means_of_a_model_are_exact_however_many_updates(store) -> None:
    for place in range(30):
        store.model_performances.update(
            "default", "m", "t", success=place % 3 == 0, latency_ms=0.1, cost_usd=None if place % 2 else 0.000001
        )
    found = store.model_performances.update("default", "m", "t", success=True, latency_ms=None, cost_usd=None)
    assert (found.total_calls, found.successes, found.timed_calls, found.priced_calls) == (31, 11, 30, 15)
    assert found.avg_latency_ms == pytest.approx(0.1)
    assert found.avg_cost == pytest.approx(1e-6)
    assert store.model_performances.list("default", "other") == ()


def test_an_unknown_cost_has_no_mean(store) -> None:
    found = store.model_performances.update("default", "m", "t", success=False, latency_ms=None, cost_usd=None)
    assert (found.avg_cost, found.avg_latency_ms, found.success_rate) == (None, None, 0.0)


@pytest.mark.parametrize(
    "wrong", [{"latency_ms": -1.0}, {"cost_usd": float("nan")}, {"model_id": ""}, {"task_type": ""}]
)
def test_nonsense_outcomes_are_refused(store, wrong) -> None:
    given = {"model_id": "m", "task_type": "t", "success": True, "latency_ms": 1.0, "cost_usd": 0.1} | wrong
    with pytest.raises(InvalidRequest):
        store.model_performances.update("default", given.pop("model_id"), given.pop("task_type"), **given)


def test_metrics_are_recorded_listed_and_summarised(store) -> None:
    for value in (1, 2, 3, 10):
        store.metrics.record("default", "build.time", value, "s", {"task_type": "code", "category": "ci"})
    store.metrics.record("default", "other", -1.123456789, "x")
    (summary,) = store.metrics.analyze("default", task_type="code")
    assert (summary.count, summary.mean, summary.min, summary.max, summary.p50) == (
        4,
        4.0,
        1.0,
        10.0,
        pytest.approx(2.5, rel=0.005),
    )
    assert summary.last > summary.first
    assert store.metrics.list("default", "other").items[0].metric_value == -1.123457
    assert [(one.metric_name, one.points) for one in store.metrics.names("default")] == [
        ("build.time", 4),
        ("other", 1),
    ]
    assert store.metrics.list("default", "build.time").items[0].category == "ci"
    page = store.metrics.list("default", limit=4)
    assert len(store.metrics.list("default", limit=4, cursor=page.next).items) == 1


@pytest.mark.parametrize(("name", "value"), [("", 1.0), ("m", float("nan")), ("m", float("inf")), ("m", -1e15)])
def test_a_metric_without_name_or_finite_value_is_refused(store, name, value) -> None:
    with pytest.raises(InvalidRequest):
        store.metrics.record("default", name, value, "s")
