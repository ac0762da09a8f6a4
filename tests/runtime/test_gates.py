"""The gates of the settings over a real store: from recorded calls to a gate that breaks."""

from __future__ import annotations

from pathlib import Path

import pytest

from meliora.errors import InvalidRequest, SettingsError
from meliora.runtime.gates import gate_board, prune_readings, trigger_service
from meliora.settings import Settings
from meliora.settings.loop import Loop, LoopGate, LoopPrometheus, LoopTrigger
from meliora.testing.clock import FrozenClock
from meliora.testing.store import temporary_store

FIVE = 300_000_000


def settings(**over: object) -> Settings:
    return Settings(loop=Loop.model_validate(over))


def test_everything_that_is_shipped_has_no_data_on_an_empty_store_and_nothing_passes() -> None:
    clock = FrozenClock()
    with temporary_store(clock) as store:
        results = gate_board(settings(), store).tick("default", clock.now_us())
        assert len(results) == 13
        assert {one.standing.state for one in results} == {"no_data"} and all(one.reading.reason for one in results)


def test_pushed_quality_that_falls_below_its_bound_breaks_its_gate_and_sets_off_a_trigger() -> None:
    clock = FrozenClock()
    with temporary_store(clock) as store:
        mine = LoopTrigger(name="mine", gate="ndcg", kinds=["reranker"])
        board = gate_board(settings(triggers=[mine.model_dump()]), store)
        service = trigger_service(settings(triggers=[mine.model_dump()]), store, board)
        for query in range(60):
            store.metrics.record("default", "ndcg@10", 0.5 + query % 5 / 50, "", {"query": f"q{query}"})
        states = []
        for _ in range(3):
            result = next(one for one in board.tick("default", clock.now_us()) if one.gate.name == "ndcg")
            states.append((result.standing.state, result.newly_failed))
            clock.advance(300)
        assert states == [("near", False), ("fail", True), ("fail", False)]
        assert [one.name for one in service.of("default", result.gate, result.reading.value)] == ["mine"]


def test_in_dev_signals_may_be_simulated_and_are_healthy() -> None:
    clock = FrozenClock()
    with temporary_store(clock) as store:
        board = gate_board(settings(environment="dev", mock_signals=True), store)
        states = {one.gate.name: one.standing.state for one in board.tick("default", clock.now_us())}
        assert {states.pop(name) for name in ("ndcg_drop", "recall_drop", "search_success")} == {"no_data"}
        assert set(states.values()) == {"pass"}


def test_old_readings_go() -> None:
    clock = FrozenClock()
    with temporary_store(clock) as store:
        made = settings(reading_days=1)
        gate_board(made, store).tick("default", clock.now_us())
        assert not prune_readings(made, store, clock)
        assert len(store.gates.readings("default").items) == 13
        clock.advance(2 * 86_400)
        assert not prune_readings(made, store, clock)
        assert store.gates.readings("default").items == ()


def test_what_cannot_work_is_said_at_the_start(tmp_path: Path) -> None:
    with temporary_store() as store:
        wrong = LoopGate(name="g", metric="eror_rate", direction="max", threshold=0.1)
        with pytest.raises(InvalidRequest, match="Did you mean error_rate"):
            gate_board(settings(gates=[wrong.model_dump()]), store)
        token = LoopPrometheus(url="http://p:9090", token=f"file:{tmp_path / 'none'}")
        with pytest.raises(SettingsError):
            gate_board(settings(prometheus=token.model_dump()), store)
        made = settings(triggers=[{"name": "t", "gate": "erors", "kinds": ["routing_rule"]}])
        with pytest.raises(InvalidRequest, match="Did you mean errors"):
            trigger_service(made, store, gate_board(made, store))
