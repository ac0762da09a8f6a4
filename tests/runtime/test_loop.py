"""The loop put together over a real store: a tick, a trigger, the kill switch, and the worker's tasks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from meliora.errors import Conflict, Forbidden, InvalidRequest
from meliora.loop.change import Origin
from meliora.loop.control import KILL_FILE
from meliora.loop.front import Loop
from meliora.loop.gates.board import GateReading
from meliora.loop.gates.standing import Standing
from meliora.loop.policy.request import Actor
from meliora.loop.states import State
from meliora.runtime.loop import breach_of, loop_of, rules_of
from meliora.runtime.worker import build
from meliora.settings import Settings
from meliora.settings.loop import Approval, LoopTrigger, Watch
from meliora.settings.loop import Loop as LoopSettings
from meliora.settings.models import Server
from meliora.store import Store
from meliora.store.keys import KeyWish
from meliora.testing import FrozenClock
from meliora.testing.store import temporary_store

ANN = Actor(kind="person", key="key_ann", role="admin", scopes=("admin",))
SUNDAY_TWO = 1_795_917_600_000_000
HOUR = 3600.0


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def store(clock: FrozenClock) -> Iterator[Store]:
    with temporary_store(clock) as store:
        store.keys.create("default", KeyWish(name="admin", scopes=("admin",)))
        yield store


def given(tmp_path: Path, **loop: object) -> Settings:
    return Settings(server=Server(state_dir=tmp_path), loop=LoopSettings(**loop))  # type: ignore[arg-type]


def made(tmp_path: Path, store: Store, clock: FrozenClock, owner: str = "w1", **loop: object) -> Loop:
    return loop_of(given(tmp_path, **loop), store, clock, owner)


def fail(loop: Loop, store: Store, gate: str, value: float, tenant: str = "default") -> None:
    row = next(row for row in loop.board.status(tenant) if row.name == gate)
    now = store.changes.now_us()
    after = Standing(state="fail", evaluated_us=now, failing=True, since_us=now)
    seen = GateReading(gate=gate, at_us=now, state="fail", value=value, n=500)
    assert store.gates.record(tenant, row.definition, row.standing, after, seen)


def test_a_tick_without_a_breach_opens_nothing_and_evaluates_the_gates(
    tmp_path: Path, store: Store, clock: FrozenClock
) -> None:
    loop = made(tmp_path, store, clock)
    assert loop.pulse.tick() == ()
    assert {row.standing.state for row in loop.board.status("default")} == {"no_data"}
    assert all(row.standing.evaluated_us == clock.now_us() for row in loop.board.status("default"))
    assert store.cycles.list("default").items == ()


def test_a_breach_opens_one_cycle_with_the_kinds_that_are_installed(
    tmp_path: Path, store: Store, clock: FrozenClock
) -> None:
    first, second = (made(tmp_path, store, clock, owner) for owner in ("w1", "w2"))
    first.pulse.tick()
    fail(first, store, "latency_p95", 1500.0)
    (cycle,) = [cycle for loop in (first, second) for cycle in loop.pulse.tick()]
    assert (cycle.subject, cycle.kinds) == ("latency_p95", ("routing_policy", "model_choice"))
    (change,) = store.changes.of_cycle("default", cycle.id)
    assert (change.state, change.surface, change.environment) == (State.OBSERVED, "gateway", "staging")


def test_a_cycle_goes_through_its_kinds_and_ends_unchanged_where_none_has_anything_to_offer(
    tmp_path: Path, store: Store, clock: FrozenClock
) -> None:
    loop = made(tmp_path, store, clock)
    loop.pulse.tick()
    fail(loop, store, "errors", 0.2)
    (cycle,) = loop.pulse.tick()
    for _ in range(60):
        loop.engine.step()
        loop.pulse.follow()
        clock.advance(30)
        if store.cycles.get("default", cycle.id).outcome is not None:
            break
    assert store.cycles.get("default", cycle.id).outcome == "unchanged"
    changes = store.changes.of_cycle("default", cycle.id)
    assert [change.kind for change in changes] == list(cycle.kinds)
    assert {change.state for change in changes} == {State.REJECTED}
    assert all(change.finding is not None for change in changes), "the cause was looked for, and is on record"


def test_after_a_cycle_the_same_gate_waits_its_cooldown_and_the_day_has_a_cap(
    tmp_path: Path, store: Store, clock: FrozenClock
) -> None:
    loop = made(tmp_path, store, clock, max_cycles_per_day=2)
    loop.pulse.tick()
    fail(loop, store, "errors", 0.2)
    (cycle,) = loop.pulse.tick()
    store.cycles.close("default", cycle.id, "unchanged")
    with pytest.raises(Conflict, match="the target was changed 0 s ago"):
        loop.desk.trigger("default", ANN, force=False)
    clock.advance(HOUR + 1)
    fail(loop, store, "errors", 0.2)
    (second,) = loop.pulse.tick()
    store.cycles.close("default", second.id, "unchanged")
    clock.advance(HOUR + 1)
    with pytest.raises(Conflict, match="2 of 2 cycles of the day are used"):
        loop.desk.trigger("default", ANN, force=True)


def test_the_weekly_schedule_opens_its_cycle_once(tmp_path: Path, store: Store, clock: FrozenClock) -> None:
    clock.set(SUNDAY_TWO - 60_000_000)
    loop = made(tmp_path, store, clock)
    assert loop.pulse.tick() == ()
    clock.advance(61)
    (cycle,) = loop.pulse.tick()
    assert (cycle.origin, cycle.kinds) == (Origin("schedule", "retrain"), ("routing_policy",))
    store.cycles.close("default", cycle.id, "unchanged")
    clock.advance(120)
    assert loop.pulse.tick() == ()


def test_killed_nothing_begins_and_nothing_goes_on_but_what_restores(
    tmp_path: Path, store: Store, clock: FrozenClock
) -> None:
    loop = made(tmp_path, store, clock)
    cycle = loop.desk.trigger("default", ANN, force=True).cycle_id
    assert cycle is not None
    (change,) = store.changes.of_cycle("default", cycle)
    loop.desk.kill(ANN, "odd answers")
    assert loop.engine.due() == () and not loop.engine.step()
    assert store.changes.get("default", change.id).state is State.OBSERVED
    with pytest.raises(Conflict, match="The kill switch is on"):
        loop.desk.trigger("default", ANN, force=True)
    loop.desk.resume(ANN, "it was the weather")
    assert loop.engine.step()


def test_a_kill_file_kills_this_loop_and_through_the_worker_all(
    tmp_path: Path, store: Store, clock: FrozenClock
) -> None:
    loop = made(tmp_path, store, clock)
    (tmp_path / KILL_FILE).write_text("a hand\n")
    assert loop.desk.status("default").halted and loop.engine.due() == ()
    assert not store.control.halted()
    worker = build(given(tmp_path), store, clock)
    next(task for task in worker.tasks if task.name == "switch").step()
    assert store.control.halted() and store.control.state().why == "a hand"


def test_the_worker_has_the_loops_tasks_where_the_loop_is_enabled(
    tmp_path: Path, store: Store, clock: FrozenClock
) -> None:
    names = {task.name for task in build(given(tmp_path), store, clock).tasks}
    assert {"edges", "pulse", "readings"} <= names
    without = {task.name for task in build(given(tmp_path, enabled=False), store, clock).tasks}
    assert not {"edges", "pulse"} & without and "ingest" in without


def test_a_trigger_of_the_settings_that_names_no_kind_that_is_known_is_refused_at_the_start(
    tmp_path: Path, store: Store, clock: FrozenClock
) -> None:
    with pytest.raises(InvalidRequest, match="unknown kind of change 'routing_polcy'"):
        made(tmp_path, store, clock, triggers=[LoopTrigger(name="t", gate="errors", kinds=["routing_polcy"])])


def test_who_may_not_is_refused_and_the_audit_has_it(tmp_path: Path, store: Store, clock: FrozenClock) -> None:
    loop = made(tmp_path, store, clock)
    bob = Actor(kind="person", key="key_bob", role="member", scopes=("read",))
    for act in (
        lambda: loop.desk.trigger("default", bob, force=True),
        lambda: loop.desk.kill(bob, "no"),
        lambda: loop.desk.set_threshold("default", bob, "errors", 0.5),
    ):
        with pytest.raises(Forbidden):
            act()
    told = [(entry.actor, entry.action) for entry in store.audit.export("default")]
    assert told == [("key_bob", "trigger.refused"), ("key_bob", "loop.refused"), ("key_bob", "set_gate.refused")]


def test_the_settings_govern_the_loops_own_numbers() -> None:
    chosen = LoopSettings(lease_seconds=30, watch=Watch(every_seconds=20, rollback_on_degrade=False))
    rules = rules_of(chosen)
    assert (rules.lease_seconds, rules.look_seconds, rules.roll_back_on_degrade) == (30, 20, False)


def test_a_breach_is_handed_to_the_diagnosis_with_its_window_and_the_time_before(
    tmp_path: Path, store: Store, clock: FrozenClock
) -> None:
    loop = made(tmp_path, store, clock)
    loop.pulse.tick()
    fail(loop, store, "latency_p95", 1500.0)
    (cycle,) = loop.pulse.tick()
    (change,) = store.changes.of_cycle("default", cycle.id)
    assert cycle.breach is not None
    found = breach_of(change, cycle.breach, clock.now_us(), "staging")
    assert (found.metric, found.measured, found.unit, found.direction) == ("latency_p95", "slow", "ms", "above")
    assert found.value == 1500.0 and found.now.until_us == clock.now_us()
    assert found.before.until_us == found.now.since_us > found.before.since_us
    bare = breach_of(change, {}, clock.now_us(), "staging")
    assert (bare.measured, bare.now.until_us - bare.now.since_us) == ("errors", 86_400_000_000)


def test_in_production_promotion_is_left_to_a_person_where_the_settings_say_so(
    tmp_path: Path, store: Store, clock: FrozenClock
) -> None:
    loop = made(tmp_path, store, clock, environment="production", approval=Approval(required=True))
    typed = {"pattern": "refund", "preferred_layer": "deep"}
    change = loop.asked("default", ANN, "routing_rule", "rule:refund", typed)
    assert change.state is not State.KEPT and "waits for an approval" in (change.reason or "")
    assert store.rules.list("default", active_only=True) == ()
    with pytest.raises(Forbidden, match="who proposes does not approve"):
        loop.desk.decide("default", change.id, ANN, "approved", "mine")
    other = Actor(kind="person", key="key_eve", role="admin", scopes=("admin",))
    loop.desk.decide("default", change.id, other, "approved", "good")
    assert loop.hurry("default", change.id).state in (State.WATCHING, State.KEPT)
    assert [rule.pattern for rule in store.rules.list("default", active_only=True)] == ["refund"]
