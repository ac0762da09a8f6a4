"""A tick reads what is due, judges it together, remembers it across restarts, and two workers make one of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from meliora.errors import Conflict, InvalidRequest
from meliora.loop.gates.board import GateBoard
from meliora.loop.gates.gate import Gate
from meliora.loop.gates.reading import Reading
from meliora.store import Store
from meliora.testing.gates import ToldSource
from meliora.testing.store import temporary_store

NOW = 1_795_219_200_000_000
FIVE = 300_000_000
ERRORS = Gate(name="errors", metric="error_rate", direction="max", threshold=0.01)
LAG = Gate(name="lag", metric="ingest_lag", direction="max", threshold=60.0, minimum=1, fail_after=1)


@pytest.fixture
def store() -> Iterator[Store]:
    with temporary_store() as store:
        yield store


@pytest.fixture
def source() -> ToldSource:
    return ToldSource()


def board(store: Store, source: ToldSource, *gates: Gate) -> GateBoard:
    return GateBoard(gates or (ERRORS, LAG), "staging", source, store.gates, lambda: "base_1")


def test_a_gate_breaks_after_two_ticks_and_says_so_once(store: Store, source: ToldSource) -> None:
    source.rate("errors", 10, 100)
    source.value("lag", 5.0)
    found = [board(store, source).tick("default", NOW + i * FIVE) for i in range(4)]  # a new board each time: a restart
    errors = [tick[0] for tick in found]
    assert [one.standing.state for one in errors] == ["near", "fail", "fail", "fail"]
    assert [one.newly_failed for one in errors] == [False, True, False, False]
    assert errors[1].reading.value == pytest.approx(0.1) and errors[1].previous == "near"
    source.rate("errors", 0, 100)
    later = [board(store, source).tick("default", NOW + i * FIVE)[0] for i in range(4, 8)]
    assert [one.newly_passed for one in later] == [False, False, True, False]


def test_what_is_not_due_is_not_read(store: Store, source: ToldSource) -> None:
    made = board(store, source)
    made.tick("default", NOW)
    assert made.tick("default", NOW + FIVE - 1) == ()
    assert source.asked == ["errors", "lag"]


def test_a_tick_with_nothing_due_takes_a_moment(store: Store, source: ToldSource) -> None:
    made = board(store, source)
    made.tick("default", NOW)
    spans = []
    for _ in range(20):
        start = time.perf_counter()
        assert made.tick("default", NOW + 1) == ()
        spans.append(time.perf_counter() - start)
    assert min(spans) < 0.01


def test_a_gate_without_data_has_none_and_does_not_pass(store: Store, source: ToldSource) -> None:
    made = board(store, source)
    result = made.tick("default", NOW)[0]
    assert (result.standing.state, result.reading.reason) == ("no_data", "nothing was told")
    assert [row.standing.state for row in made.status("default")] == ["no_data", "no_data"]
    assert [row.standing.state for row in made.status("another")] == ["no_data", "no_data"]


def test_two_workers_that_tick_at_once_are_heard_once(store: Store, source: ToldSource) -> None:
    source.value("lag", 100.0)
    results: list[int] = []
    ready = threading.Barrier(4)

    def tick(at: int) -> None:
        made = board(store, source, LAG)
        ready.wait()
        results.append(sum(one.newly_failed for one in made.tick("default", at)))

    for round_ in range(5):
        threads = [threading.Thread(target=tick, args=(NOW + round_ * FIVE,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sum(results) == 1
    assert len(store.gates.readings("default").items) == 5


def test_a_relative_gate_is_compared_with_the_baseline_that_was_frozen(store: Store, source: ToldSource) -> None:
    drop = Gate(name="drop", metric="ndcg@10", direction="min", change=-0.03, minimum=30, fail_after=1)
    made = board(store, source, drop)
    old = {str(i): 0.5 + (i % 10) / 20 for i in range(100)}
    with pytest.raises(Conflict, match="nothing was told"):
        made.freeze("default", "drop", NOW, "cli")
    source.readings["drop"] = Reading("paired", 0.725, 100, NOW, per_query=old)
    assert made.tick("default", NOW)[0].standing.state == "no_data"
    baseline = made.freeze("default", "drop", NOW + FIVE, "cli")
    assert (baseline.id, baseline.n, baseline.per_query) == ("base_1", 100, old)
    assert board(store, source, drop).tick("default", NOW + FIVE)[0].standing.state == "pass"
    worse = {query: value - 0.1 + int(query) % 3 / 100 for query, value in old.items()}
    source.readings["drop"] = Reading("paired", 0.635, 100, NOW, per_query=worse)
    result = made.tick("default", NOW + 2 * FIVE)[0]
    assert result.newly_failed and result.reading.bound == pytest.approx(0.725 * 0.97)
    assert made.status("default")[0].baseline == baseline
    with pytest.raises(InvalidRequest, match="Did you mean drop"):
        made.freeze("default", "dorp", NOW, "cli")


def test_a_gate_that_was_defined_anew_forgets_how_it_stood(store: Store, source: ToldSource) -> None:
    source.value("lag", 100.0)
    assert board(store, source, LAG).tick("default", NOW)[0].standing.failing
    wider = Gate(name="lag", metric="ingest_lag", direction="max", threshold=120.0, minimum=1)
    made = board(store, source, wider)
    assert not made.status("default")[0].standing.failing
    assert made.tick("default", NOW + FIVE)[0].standing.state == "pass"


def test_tenants_do_not_see_each_others_gates(store: Store, source: ToldSource) -> None:
    source.value("lag", 100.0)
    board(store, source, LAG).tick("acme", NOW)
    assert store.gates.rows("other") == () and store.gates.readings("other").items == ()


def test_a_clock_that_was_put_back_does_not_stop_the_gates(store: Store, source: ToldSource) -> None:
    source.value("lag", 5.0)
    made = board(store, source, LAG)
    made.tick("default", NOW)
    assert len(made.tick("default", NOW - 3600_000_000)) == 1
