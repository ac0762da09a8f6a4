"""Live trials, delivered choices and the kill switch as the store keeps them, and how they come into the gateways' state."""

from __future__ import annotations

import threading

import msgspec
import pytest
import sqlalchemy as sa

from meliora.errors import Conflict, InvalidRequest, NotFound
from meliora.gateway.state import ChoiceState, Overlay, PolicyRef, RuleState, TrialState
from meliora.store.engine import writing
from meliora.store.gateways import Heartbeat
from tests.store.test_outcomes import trace

OVERLAY = Overlay(policy=PolicyRef(4, "ab"), rules=(RuleState("r", "default", "x", preferred_layer="deep"),))


def trial(change: str = "chg_1", **more) -> TrialState:
    given = {"tenant": "default", "phase": "trial", "salt": "s", "stage": 0, "share": 0.01, "overlay": OVERLAY, **more}
    return TrialState(change, **given)


def test_a_trial_that_begins_is_in_the_state_with_all_that_it_does(store, clock) -> None:
    before = store.states.load((), clock())
    store.trials.begin("default", trial())
    state = store.states.load((), clock())
    assert state.trials == (trial(),) == store.trials.live("default")
    assert state.trial_of("default") == trial()
    assert state.trial_of("acme") is None
    assert state.version == before.version + 1
    assert msgspec.json.decode(msgspec.json.encode(state), type=type(state)) == state


def test_stages_follow_each_other_and_are_remembered_with_their_times(store) -> None:
    store.trials.begin("default", trial())
    store.trials.ramp("default", "chg_1", 1, 0.05)
    store.trials.ramp("default", "chg_1", 1, 0.05)
    store.trials.end("default", "chg_1")
    store.trials.end("default", "chg_1")
    assert store.trials.live("default") == ()
    first, second = store.trials.stages("default", "chg_1")
    assert (first.stage, first.share, second.stage, second.share) == (0, 0.01, 1, 0.05)
    assert first.ended_us is not None and second.ended_us is not None
    assert first.began_us < first.ended_us <= second.began_us < second.ended_us
    kept = store.trials.get("default", "chg_1")
    assert (kept.live, kept.state.stage) == (False, 1)


def test_beginning_twice_changes_nothing(store, clock) -> None:
    store.trials.begin("default", trial())
    version = store.states.load((), clock()).version
    store.trials.begin("default", trial())
    assert store.states.load((), clock()).version == version
    assert len(store.trials.stages("default", "chg_1")) == 1


def test_one_trial_at_a_time_on_a_surface(store) -> None:
    store.trials.begin("default", trial())
    with pytest.raises(Conflict, match="chg_1 is on trial"):
        store.trials.begin("default", trial("chg_2"))
    store.trials.begin("default", trial("chg_3", surface="knowledge"))
    store.trials.begin("acme", trial("chg_4", tenant="acme"))
    store.trials.end("default", "chg_1")
    store.trials.begin("default", trial("chg_2"))
    assert [one.change for one in store.trials.live("default")] == ["chg_2", "chg_3"]


def test_of_two_that_begin_at_once_one_is_refused(store) -> None:
    results: list[str] = []

    def begin(change: str) -> None:
        try:
            store.trials.begin("default", trial(change))
            results.append("began")
        except Conflict:
            results.append("refused")

    threads = [threading.Thread(target=begin, args=(f"chg_{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["began", "refused", "refused", "refused"]


def test_the_watch_of_a_change_follows_its_trial_and_never_the_other_way(store) -> None:
    store.trials.begin("default", trial())
    watch = trial(phase="watch", share=0.2)
    store.trials.begin("default", watch)
    assert store.trials.live("default") == (watch,)
    assert [(one.phase, one.ended_us is None) for one in store.trials.stages("default", "chg_1")] == [
        ("trial", False),
        ("watch", True),
    ]
    with pytest.raises(Conflict):
        store.trials.begin("default", trial())


def test_a_trial_goes_on_after_a_pause_as_it_was_and_not_otherwise(store) -> None:
    store.trials.begin("default", trial())
    store.trials.end("default", "chg_1")
    for other in (trial(salt="another"), trial(share=0.5), trial(overlay=Overlay())):
        with pytest.raises(Conflict, match="ramp"):
            store.trials.begin("default", other)
    store.trials.begin("default", trial())
    [stage] = store.trials.stages("default", "chg_1")
    assert stage.ended_us is None
    store.trials.end("default", "chg_1")
    store.trials.begin("default", trial(stage=1, share=0.05))
    assert len(store.trials.stages("default", "chg_1")) == 2


def test_a_stage_does_not_go_back_nor_change_its_share(store) -> None:
    store.trials.begin("default", trial(stage=1, share=0.05))
    for stage, share in ((0, 0.01), (1, 0.2)):
        with pytest.raises(Conflict, match="stage 1"):
            store.trials.ramp("default", "chg_1", stage, share)
    for share in (-0.1, 1.1, float("nan")):
        with pytest.raises(InvalidRequest):
            store.trials.ramp("default", "chg_1", 2, share)
        with pytest.raises(InvalidRequest):
            store.trials.begin("default", trial("chg_9", share=share))


def test_a_trial_is_only_its_tenants(store) -> None:
    store.trials.begin("default", trial())
    with pytest.raises(InvalidRequest):
        store.trials.begin("acme", trial("chg_2"))
    with pytest.raises(Conflict):
        store.trials.begin("acme", trial(tenant="acme"))
    for act in (
        lambda: store.trials.ramp("acme", "chg_1", 1, 0.1),
        lambda: store.trials.get("acme", "chg_1"),
    ):
        with pytest.raises(NotFound):
            act()
    store.trials.end("acme", "chg_1")
    assert store.trials.live("default") == (trial(),)
    assert store.trials.stages("acme", "chg_1") == ()


def test_what_a_fence_refuses_is_not_written(store) -> None:
    def refuse(connection: sa.Connection) -> None:
        raise Conflict("Another attempt has taken over.")

    store.trials.begin("default", trial())
    choice = ChoiceState("c", "default", "a", "b")
    for act in (
        lambda: store.trials.begin("default", trial("chg_2", surface="knowledge"), refuse),
        lambda: store.trials.ramp("default", "chg_1", 1, 0.5, refuse),
        lambda: store.trials.end("default", "chg_1", refuse),
        lambda: store.model_choices.put("default", choice, "chg_1", refuse),
        lambda: store.model_choices.retire("default", "c", refuse),
    ):
        with pytest.raises(Conflict, match="taken over"):
            act()
    assert store.trials.live("default") == (trial(),)
    assert store.model_choices.list("default") == ()
    assert store.trials.halting().epoch == 0


def test_all_of_it_can_be_part_of_one_transaction_or_of_none(store, engine) -> None:
    with pytest.raises(RuntimeError), writing(engine) as connection:
        store.trials.begin_in("default", connection, trial())
        store.trials.ramp_in("default", connection, "chg_1", 1, 0.5)
        store.model_choices.put_in("default", connection, ChoiceState("c", "default", "a", "b"), "chg_1")
        raise RuntimeError
    assert store.trials.live("default") == ()
    assert store.model_choices.list("default") == ()


def test_choices_serve_until_they_are_taken_back_and_can_serve_again(store, clock) -> None:
    first = ChoiceState("c1", "default", "a", "b", task="code")
    second = ChoiceState("c2", "default", "a", endpoints=("p/a", "q/a"))
    for choice in (first, second, first):
        store.model_choices.put("default", choice, "chg_1")
    assert store.states.load((), clock()).choices == (first, second)
    store.model_choices.retire("default", "c1")
    store.model_choices.retire("default", "c1")
    assert store.states.load((), clock()).choices == (second,)
    kept = {
        one.state.id: (one.active, one.retired_us is None) for one in store.model_choices.list("default", active=False)
    }
    assert kept == {"c1": (False, False), "c2": (True, True)}
    store.model_choices.put("default", first, "chg_2")
    assert [one.made_by for one in store.model_choices.list("default")] == ["chg_1", "chg_2"]
    assert store.model_choices.list("acme") == ()


def test_an_id_stands_for_one_choice(store) -> None:
    store.model_choices.put("default", ChoiceState("c", "default", "a", "b"), "chg_1")
    with pytest.raises(Conflict):
        store.model_choices.put("default", ChoiceState("c", "default", "a", "x"), "chg_1")
    for bad in (ChoiceState("d", "acme", "a", "b"), ChoiceState("d", "default", "a")):
        with pytest.raises(InvalidRequest):
            store.model_choices.put("default", bad, "chg_1")


def test_each_turn_of_the_kill_switch_has_a_number_and_is_in_the_state(store, clock) -> None:
    assert store.states.kill_epoch() == 0
    turns = (store.control.kill, store.control.kill, store.control.resume, store.control.kill)
    assert [turn("cli", "why") for turn in turns] == [1, 1, 2, 3]
    state = store.states.load((), clock())
    assert (state.halted, state.kill_epoch, store.states.kill_epoch()) == (True, 3, 3)
    assert store.trials.halting().halted


def test_when_a_gateway_first_said_that_it_serves_by_a_turn_is_remembered(store, clock) -> None:
    def beat(epoch: int) -> int:
        now = clock()
        store.gateways.beat(
            Heartbeat(id="g", version="1", format=1, host="h", pid=1, started_us=1, kill_epoch=epoch), now
        )
        return now

    beat(0)
    first = beat(1)
    beat(1)
    [seen] = store.gateways.list(clock())
    assert (seen.kill_epoch, seen.kill_us) == (1, first)
    second = beat(2)
    [seen] = store.gateways.list(clock())
    assert (seen.kill_epoch, seen.kill_us) == (2, second)


def test_nothing_learned_is_published_while_a_trial_or_the_kill_switch_freezes_it(store) -> None:
    shelf = store.routing_snapshots
    made = shelf.add("default", lambda n: b"first", kind="fit", made_by="test")
    shelf.promote("default", made.number)

    def publish() -> object:
        serving = shelf.serving("default")
        return shelf.publish("default", serving.number, lambda n: b"%d" % n, learned_seq=0, evidence={}, keep=5)

    store.trials.begin("default", trial())
    assert store.trials.frozen("default")
    assert not store.trials.frozen("acme")
    assert publish() is None
    store.trials.begin("default", trial(phase="watch"))
    assert publish() is None
    store.trials.end("default", "chg_1")
    assert publish() is not None
    store.trials.begin("default", trial("chg_2", surface="knowledge"))
    assert publish() is not None
    store.control.kill("cli", "why")
    assert store.trials.frozen("acme")
    assert publish() is None
    assert shelf.begin("acme", None, lambda n: b"x", made_by="worker", evidence={}) is None


def test_the_erasure_of_a_person_leaves_a_unit_that_is_nobodys(store, feed, engine) -> None:
    arm = {"trial": "chg_1", "trial_phase": "trial", "trial_stage": 0, "arm": "candidate"}
    mine = [feed.call(user="ann", trial_unit="u1234567890abcdef", **arm).id for _ in range(2)]
    by_key = feed.call(user="ann", trial_unit="k1234567890abcdef", **arm).id
    outside = feed.call(user="ann", routing=trace()).id
    other = feed.call(user="bob", trial_unit="ufedcba0987654321", **arm).id
    store.housekeeping.erase("default", "ann")
    with engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT id, trial_unit, arm FROM calls").all()
    units = {row[0]: row[1] for row in rows}
    assert len({units[id] for id in mine}) == 1
    assert units[mine[0]][0] == "e"
    assert (units[by_key], units[outside], units[other]) == ("k1234567890abcdef", None, "ufedcba0987654321")
