"""Gates, their readings and triggers as they are kept; and what gates read, on both databases."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from meliora.errors import InvalidRequest, NotFound
from meliora.loop.gates.board import GateReading
from meliora.loop.gates.gate import Baseline, Gate, Slice
from meliora.loop.gates.reading import NoData, Reading, Span
from meliora.loop.gates.sources import Pushed, Recorded
from meliora.loop.gates.standing import Standing
from meliora.loop.record import evidence_hash
from meliora.loop.triggers import Rollback, Trigger
from meliora.store.calls.feedbacks import FeedbackGiven
from meliora.store.keys import KeyWish
from meliora.telemetry.processes import WorkerBeat, note
from meliora.telemetry.rollups import Roller
from tests.store.conftest import START_US

GATE = Gate(name="errors", metric="error_rate", direction="max", threshold=0.01, where=Slice(model="small"))
FIVE = 300_000_000


def reading_of(at: int, **over: Any) -> GateReading:
    return GateReading(gate="errors", at_us=at, state="pass", n=100, value=0.001, **over)


def test_an_evaluation_is_kept_once_however_many_saw_the_gate_the_same(store) -> None:
    first, second = Standing(state="pass", evaluated_us=10), Standing(state="fail", failing=True, evaluated_us=20)
    assert store.gates.record("acme", GATE, Standing(), first, reading_of(10))
    assert not store.gates.record("acme", GATE, Standing(), second, reading_of(11))
    assert store.gates.record("acme", GATE, first, second, reading_of(20))
    assert not store.gates.record("acme", GATE, first, first, reading_of(21))
    (row,) = store.gates.rows("acme")
    assert (row.standing, row.definition, row.baseline) == (second, GATE, None)
    assert [one.at_us for one in store.gates.readings("acme", "errors").items] == [20, 10]


def test_a_baseline_stays_through_evaluations_and_ends_those_under_way(store) -> None:
    base = Baseline(id="b1", metric="error_rate", value=0.002, n=10, since_us=1, until_us=5, per_query={"q": 0.5})
    before = Standing(state="fail", failing=True, evaluated_us=10)
    store.gates.record("acme", GATE, Standing(), before, reading_of(10))
    store.gates.freeze("acme", GATE, base, "cli")
    assert not store.gates.record("acme", GATE, before, before, reading_of(20)), "it was judged by another baseline"
    fresh = store.gates.rows("acme")[0].standing
    assert not fresh.failing and fresh.evaluated_us is None
    assert store.gates.record("acme", GATE, fresh, Standing(state="pass", evaluated_us=30), reading_of(30))
    assert store.gates.rows("acme")[0].baseline == base


def test_the_audit_tells_of_each_baseline_who_froze_it_and_instead_of_which(store) -> None:
    first = Baseline(
        id="b1", metric="error_rate", value=0.002, n=10, since_us=1, until_us=5, per_query={"q of ann": 0.5}
    )
    second = Baseline(id="b2", metric="error_rate", value=0.004, n=20, since_us=5, until_us=9)
    store.gates.freeze("acme", GATE, first, "system:quality")
    store.gates.record("acme", GATE, Standing(), Standing(evaluated_us=10), reading_of(10))
    store.gates.freeze("acme", GATE, second, "Ann of Acme")
    newest, oldest = store.audit.list("acme", subject="gate:errors").items
    assert (oldest.action, oldest.actor, newest.actor[0]) == ("gate.frozen", "system:quality", "~")
    assert [one.body["instead_of"] for one in (oldest, newest)] == [None, "b1"]
    assert (oldest.body["baseline"], oldest.body["value"], oldest.body["n"]) == ("b1", 0.002, 10)
    kept = store.gates.rows("acme")[0].baseline
    assert newest.body["sha256"] == evidence_hash(msgspec.to_builtins(kept))
    altered = msgspec.structs.replace(second, value=0.4)
    assert newest.body["sha256"] != evidence_hash(msgspec.to_builtins(altered))
    assert store.audit.verify().problems == ()
    assert "ann" not in str(oldest)


def test_a_baseline_that_the_audit_cannot_tell_of_is_not_frozen(store) -> None:
    broken = Baseline(id="b1", metric="error_rate", value=float("nan"), n=10, since_us=1, until_us=5)
    with pytest.raises(InvalidRequest, match="nan"):
        store.gates.freeze("acme", GATE, broken, "cli")
    assert store.gates.rows("acme") == ()


def test_readings_come_in_pages_and_the_old_go(store) -> None:
    before = Standing()
    for at in range(1, 8):
        after = Standing(state="pass", evaluated_us=at)
        assert store.gates.record("acme", GATE, before, after, reading_of(at))
        before = after
    page = store.gates.readings("acme", limit=3)
    rest = store.gates.readings("acme", limit=10, cursor=page.next)
    assert [one.at_us for one in (*page.items, *rest.items)] == [7, 6, 5, 4, 3, 2, 1]
    assert store.gates.prune(6, 3) == 3 and store.gates.prune(6, 30) == 2
    assert [one.at_us for one in store.gates.readings("acme").items] == [7, 6]


def test_triggers_are_kept_changed_and_deleted(store) -> None:
    trigger = Trigger(name="t", gate="errors", kinds=("routing_rule",), rollback=Rollback(worse_by=0.0))
    store.triggers.put("acme", trigger, "key_1")
    store.triggers.put("acme", Trigger(name="t", gate="errors", kinds=("routing_rule", "prompt")), "cli")
    assert [one.kinds for one in store.triggers.list("acme")] == [("routing_rule", "prompt")]
    assert store.triggers.list("other") == ()
    with pytest.raises(NotFound):
        store.triggers.delete("other", "t")
    store.triggers.delete("acme", "t")
    assert store.triggers.list("acme") == ()


def test_calls_are_counted_by_parts_of_the_time_as_rolled_up_or_by_feature_from_the_calls(store, feed) -> None:
    now = START_US + 4 * FIVE
    for i in range(40):
        bad = i % 4 == 0
        at = START_US + (i % 4) * FIVE + i
        feed.call(
            started_us=at,
            ended_us=at + 200_000,
            outcome="error" if bad else "ok",
            feature="search" if i < 20 else "chat",
        )
    gate = Gate(name="g", metric="error_rate", direction="max", threshold=0.01, minimum=1)
    source = Recorded(store.gate_figures, store.deployment)
    Roller(store.windows).step()
    span = Span.of(gate, now)
    cells = store.gate_figures.calls("default", Slice(), span)
    assert [(cell.start_us, cell.calls, cell.errors) for cell in cells] == [
        (START_US, 10, 10),
        *[(START_US + i * FIVE, 10, 0) for i in (1, 2, 3)],
    ]
    found = source.read("default", gate, now)
    assert isinstance(found, Reading) and (found.value, found.n, len(found.cells)) == (0.25, 40, 4)
    raw = store.gate_figures.calls("default", Slice(feature="search", model="small"), span)
    assert sum(cell.calls for cell in raw) == 20 and sum(cell.latency.count for cell in raw) == 15
    assert store.gate_figures.calls("default", Slice(model="other"), span) == ()
    assert isinstance(source.read("other", gate, now), NoData)


def test_calls_that_wait_to_be_counted_make_no_ground_to_judge_on(store, feed) -> None:
    source = Recorded(store.gate_figures, store.deployment)
    gate = Gate(name="g", metric="error_rate", direction="max", threshold=0.01, minimum=1)
    feed.call(started_us=START_US)
    found = source.read("default", gate, START_US + 6 * FIVE)
    assert isinstance(found, NoData) and "waiting" in found.reason
    Roller(store.windows).step()
    assert isinstance(source.read("default", gate, START_US + 6 * FIVE), Reading)


def test_cost_latency_and_satisfaction_come_in_the_unit_of_their_gates(store, feed) -> None:
    now = START_US + 2 * FIVE
    for i in range(10):
        call = feed.call(started_us=START_US + i, ended_us=START_US + i + 300_000, cost_micros=400)
        store.feedbacks.give("default", FeedbackGiven(feedback_type="thumbs_up", call_id=call.id))
    feed.call(started_us=START_US + 20, ended_us=START_US + 21, cached=True, cost_micros=0)
    Roller(store.windows).step()
    source = Recorded(store.gate_figures, store.deployment)

    def value(metric: str) -> float:
        gate = Gate(name="g", metric=metric, direction="max", threshold=1.0, minimum=1, window_seconds=3600)
        found = source.read("default", gate, now)
        assert isinstance(found, Reading), found
        return found.value

    assert value("latency_mean") == pytest.approx(300, rel=0.01) and value("latency_p95") == pytest.approx(
        300, rel=0.01
    )
    assert value("cost_per_1k") == pytest.approx(0.4 * 10 / 11, rel=0.01), "what came from the cache cost nothing"
    assert value("satisfaction") == 5.0


def test_a_cost_that_is_mostly_unknown_is_no_data(store, feed) -> None:
    for i in range(4):
        feed.call(started_us=START_US + i, cost_micros=None if i else 400)
    Roller(store.windows).step()
    gate = Gate(name="g", metric="cost_per_1k", direction="max", threshold=0.5, minimum=1)
    found = Recorded(store.gate_figures, store.deployment).read("default", gate, START_US + 2 * FIVE)
    assert isinstance(found, NoData) and "cost of 3" in found.reason


def test_the_budget_share_is_that_of_the_key_that_used_most_of_its_own(store, feed, clock) -> None:
    gate = Gate(name="g", metric="budget_share", direction="max", threshold=0.8, minimum=1)
    source = Recorded(store.gate_figures, store.deployment)
    assert isinstance(source.read("acme", gate, clock.now), NoData)
    key = store.keys.create("acme", KeyWish(budget_day_micros=1000)).key
    from meliora.gateway.state import LeaseWish
    from meliora.store.budgets import periods_of

    day = periods_of(clock.now)[0]
    store.budgets.lease("g1", [LeaseWish(key.id, day, spent_micros=0, want_micros=50)], clock.now)
    store.budgets.lease("g1", [LeaseWish(key.id, day, spent_micros=900, want_micros=0)], clock.now)
    found = source.read("acme", gate, clock.now)
    assert isinstance(found, Reading) and found.value == pytest.approx(0.9)
    assert isinstance(source.read("other", gate, clock.now), NoData)


def test_the_ingest_lag_is_the_silence_of_the_workers(store, clock) -> None:
    gate = Gate(name="g", metric="ingest_lag", direction="max", threshold=60.0, minimum=1)
    source = Recorded(store.gate_figures, store.deployment)
    assert isinstance(source.read("default", gate, START_US), NoData)
    beat = {"version": "1", "pid": 1, "state_dir": "s"}
    note(store.deployment, WorkerBeat(host="a", seen_us=START_US - 5_000_000, spool_bytes=0, **beat))
    note(store.deployment, WorkerBeat(host="gone", seen_us=START_US - 900_000_000, spool_bytes=0, **beat))
    found = source.read("default", gate, START_US)
    assert isinstance(found, Reading) and found.value == 5.0
    note(store.deployment, WorkerBeat(host="gone", seen_us=START_US - 900_000_000, spool_bytes=99, **beat))
    found = source.read("default", gate, START_US)
    assert isinstance(found, Reading) and found.value == 900.0
    for host in ("a", "gone"):
        note(store.deployment, WorkerBeat(host=host, seen_us=START_US, error="ingest: disk full", **beat))
    assert isinstance(source.read("default", gate, START_US), NoData)


def test_pushed_values_are_read_as_their_metric_is(store, clock) -> None:
    source = Pushed(store.gate_figures)

    def read(metric: str, **over: Any) -> Reading | NoData:
        gate = Gate(name="g", metric=metric, direction="max", threshold=0.5, minimum=1, source="pushed", **over)
        return source.read("acme", gate, clock.now + 2 * FIVE)

    assert isinstance(read("gpu_utilisation"), NoData)
    for value in (0.4, 0.9):
        store.metrics.record("acme", "gpu_utilisation", value, "share")
    found = read("gpu_utilisation")
    assert isinstance(found, Reading) and (found.value, found.n) == (0.9, 2)
    for query, value in (("a", 0.1), ("b", 0.8), ("a", 0.6)):
        store.metrics.record("acme", "ndcg@10", value, "", {"query": query})
    found = read("ndcg@10")
    assert isinstance(found, Reading) and found.per_query == {"a": 0.6, "b": 0.8}
    store.metrics.record("acme", "ndcg@10", 0.7, "")
    store.metrics.record("acme", "bare", 0.7, "")
    assert "query by query" in read("ndcg@10", query="bare").reason  # type: ignore[union-attr]
    for value in (0, 1, 1):
        store.metrics.record("acme", "failed", value, "")
    found = read("error_rate", query="failed")
    assert isinstance(found, Reading) and (found.value, found.n) == (pytest.approx(2 / 3), 3)
    store.metrics.record("acme", "failed", 0.5, "")
    assert "push 0 or 1" in read("error_rate", query="failed").reason  # type: ignore[union-attr]
    assert isinstance(source.read("other", GATE, clock.now), NoData)
    sliced = read("gpu_utilisation", where=Slice(model="m"))
    assert isinstance(sliced, NoData) and "slices" in sliced.reason
