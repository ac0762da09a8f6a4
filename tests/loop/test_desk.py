"""What people ask of the loop, over a real store with a scripted kind: each act by somebody, refused with a reason, and noted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from meliora.errors import Conflict, Forbidden, InvalidRequest, NotFound
from meliora.loop.change import Change, Origin
from meliora.loop.desk import Desk
from meliora.loop.policy.request import Actor
from meliora.loop.shelf import EdgeWish
from meliora.loop.states import State
from meliora.runtime.loop import loop_of
from meliora.settings import Settings
from meliora.settings.loop import Loop
from meliora.settings.models import Server
from meliora.store import Store
from meliora.testing import FrozenClock
from meliora.testing.loop import ScriptedKind
from meliora.testing.store import temporary_store

ANN = Actor(kind="person", key="key_ann", role="admin", scopes=("admin",))
BOT = Actor(kind="agent", key="key_bot", scopes=("feedback", "read"))


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def store(clock: FrozenClock) -> Iterator[Store]:
    with temporary_store(clock) as store:
        yield store


@pytest.fixture
def desk(tmp_path: Path, store: Store, clock: FrozenClock) -> Desk:
    settings = Settings(server=Server(state_dir=tmp_path), loop=Loop(environment="staging"))
    made = loop_of(settings, store, clock, "test").desk
    return replace(made, pulse=replace(made.pulse, kinds={"scripted": ScriptedKind()}))


def begun(store: Store, state: State, **fields: str) -> Change:
    said = {"kind": "scripted", "target": "thing", "surface": "scripted", **fields}
    return store.changes.add("default", environment="staging", origin=Origin("gate", "errors"), state=state, **said)  # type: ignore[arg-type]


def codes(store: Store, action: str) -> list[str]:
    return [entry.body["code"] for entry in store.audit.export("default") if entry.action == action]


def test_what_an_agent_proposes_is_its_own_and_begins_with_a_cause_given(desk: Desk, store: Store) -> None:
    change = desk.propose("default", BOT, "scripted", "thing", {"version": "v2"})
    assert (change.origin, change.state) == (Origin("agent", "key_bot"), State.DIAGNOSED)
    assert change.payload == {"version": "v2"}
    with pytest.raises(NotFound, match="no kind of change 'magic'"):
        desk.propose("default", ANN, "magic", "thing", {})


def test_a_target_without_a_kind_here_begins_nothing_by_force(desk: Desk, store: Store) -> None:
    with pytest.raises(Conflict, match="no kind of change for models"):
        desk.trigger("default", ANN, force=True, target="models")
    with pytest.raises(InvalidRequest, match="no target 'weather'"):
        desk.trigger("default", ANN, force=True, target="weather")  # type: ignore[arg-type]
    assert store.cycles.list("default").items == ()
    assert codes(store, "trigger.refused") == ["conflict"]


def test_an_agent_triggers_nothing(desk: Desk, store: Store) -> None:
    with pytest.raises(Forbidden):
        desk.trigger("default", BOT, force=True)
    assert codes(store, "trigger.refused") == ["forbidden"]


def test_a_refusal_of_the_policies_is_noted_with_what_was_asked_so_that_it_can_be_taken_again(
    desk: Desk, store: Store
) -> None:
    from meliora.runtime.governance import replays

    change = begun(store, State.PROVED)
    with pytest.raises(Forbidden):
        desk.reject("default", change.id, BOT, "no")
    (again,) = replays(store).replay(store.audit.of("default", change.id))
    assert (again.action, again.result) == ("reject.refused", "same")


def test_pausing_one_that_has_ended_is_a_conflict_and_changes_nothing(desk: Desk, store: Store) -> None:
    change = begun(store, State.PROVED)
    desk.reject("default", change.id, ANN, "no")
    for act in (desk.pause, desk.go_on, desk.roll_back, desk.reject):
        with pytest.raises(Conflict):
            act("default", change.id, ANN, "again")
    assert store.changes.get("default", change.id).state is State.REJECTED
    assert codes(store, "roll_back.refused") == ["conflict"]


def test_a_change_of_another_tenant_is_not_there_for_any_act(desk: Desk, store: Store) -> None:
    change = begun(store, State.PROVED)
    for act in (desk.pause, desk.go_on, desk.roll_back, desk.reject):
        with pytest.raises(NotFound):
            act("other", change.id, ANN, "")
    with pytest.raises(NotFound):
        desk.decide("other", change.id, ANN, "approved", "")
    with pytest.raises(NotFound):
        desk.change("other", change.id)
    assert len(store.changes.edges("default", change.id)) == 1


def test_the_status_counts_what_waits_for_people(desk: Desk, store: Store) -> None:
    begun(store, State.OBSERVED, surface="a")
    held = begun(store, State.PROVED, surface="b")
    desk.pause("default", held.id, ANN, "let me look")
    found = desk.status("default")
    assert (found.waiting_for_people, len(found.in_progress), found.total_optimizations_24h) == (1, 2, 2)


def test_a_rollback_by_version_finds_the_change_that_replaced_it(desk: Desk, store: Store, clock: FrozenClock) -> None:
    kept = []
    for number in (1, 2):
        change = store.changes.add(
            "default",
            kind="scripted",
            target="thing",
            surface=f"s{number}",
            environment="staging",
            origin=Origin("gate", "errors"),
            state=State.PROVED,
            baseline=f"v{number}",
            candidate=f"v{number + 1}",
        )
        for state in (State.DELIVERING, State.WATCHING, State.KEPT):
            wish = EdgeWish(target=state, actor="t", wait=None)
            change = store.changes.act("default", change.id, change.state, wish)
        kept.append(change)
        clock.advance(1)
    with pytest.raises(Conflict, match="was delivered to thing after"):
        desk.rollback("default", ANN, environment="staging", to_version="v1", why="")
    assert desk.rollback("default", ANN, environment="staging", to_version=None, why="").id == kept[1].id


def test_killing_never_waits_for_a_policy_that_is_broken(desk: Desk, store: Store) -> None:
    """An agent that may do nothing else may kill, and only a person takes it back."""
    assert desk.kill(BOT, "odd answers") == 1
    with pytest.raises(Forbidden, match="only a person takes the kill switch back"):
        desk.resume(BOT, "fine")
    assert desk.status("default").halted
    assert desk.resume(ANN, "fine") == 2
