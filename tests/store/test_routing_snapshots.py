"""Which policy serves: one a tenant, numbered, exchanged whole, and always a way back."""

from __future__ import annotations

from hashlib import sha256

import pytest

from meliora.errors import Conflict, NotFound
from meliora.gateway.state import PolicyRef
from meliora.store import Store
from meliora.store.calls.feedbacks import FeedbackGiven
from tests.store.test_outcomes import settle, trace


def blob(number: int) -> bytes:
    return b"policy %d" % number


def add(store: Store, tenant: str = "default"):
    return store.routing_snapshots.add(tenant, blob, kind="fit", made_by="cli", evidence={"prompts": 300})


def learn(store: Store, expected: int, seq: int = 0, keep: int = 2):
    return store.routing_snapshots.publish("default", expected, blob, learned_seq=seq, evidence={}, keep=keep)


def serving(store: Store) -> int | None:
    found = store.routing_snapshots.serving("default")
    return None if found is None else found.number


def test_numbers_grow_by_tenant_and_a_candidate_does_not_serve(store) -> None:
    assert [add(store).number, add(store).number, add(store, "other").number] == [1, 2, 1]
    assert store.routing_snapshots.blob("default", 2) == b"policy 2"
    assert serving(store) is None
    assert store.states.load((), 1).policies == {}


def test_what_is_promoted_is_published_with_its_checksum(store) -> None:
    before = store.states.load((), 1)
    store.routing_snapshots.promote("default", add(store).number, evidence={"forced": True})
    state = store.states.load((), 2)
    assert state.policies == {"default": PolicyRef(1, sha256(b"policy 1").hexdigest())}
    assert state.version > before.version
    assert store.routing_snapshots.get("default", 1).evidence == {"prompts": 300, "forced": True}


def test_one_serves_and_the_other_is_retired(store) -> None:
    for _ in range(2):
        store.routing_snapshots.promote("default", add(store).number)
    states = [(one.number, one.state, one.replaced) for one in store.routing_snapshots.list("default")]
    assert states == [(2, "serving", 1), (1, "retired", None)]
    assert store.routing_snapshots.tenants() == ("default",)


def test_a_rollback_goes_one_policy_back_each_time_and_ends_at_none(store) -> None:
    for _ in range(3):
        store.routing_snapshots.promote("default", add(store).number)
    went = [store.routing_snapshots.rollback("default") for _ in range(3)]
    assert [one and one.number for one in went] == [2, 1, None]
    assert serving(store) is None
    with pytest.raises(NotFound):
        store.routing_snapshots.rollback("default")


def test_what_learning_made_is_published_in_place_of_what_it_set_out_from(store) -> None:
    store.routing_snapshots.promote("default", add(store).number)
    assert learn(store, 1, seq=7).number == 2
    found = store.routing_snapshots.serving("default")
    assert (found.number, found.anchor, found.parent, found.kind, found.learned_seq) == (2, 1, 1, "online", 7)
    assert learn(store, 1) is None, "another one serves now"
    assert serving(store) == 2


def test_a_rollback_leaves_all_that_was_learned_from_a_policy(store) -> None:
    store.routing_snapshots.promote("default", add(store).number)
    learn(store, 1)
    store.routing_snapshots.promote("default", add(store).number)
    learn(store, learn(store, 3).number)
    assert store.routing_snapshots.rollback("default").number == 2


def test_a_rollback_to_a_number_does_not_learn_again_what_came_in_until_now(store, feed, clock) -> None:
    store.routing_snapshots.promote("default", add(store).number)
    online = learn(store, 1, seq=0).number
    call = feed.call(routing=trace())
    store.feedbacks.give("default", FeedbackGiven(feedback_type="thumbs_down", call_id=call.id))
    settle(store)
    learn(store, online, seq=1)
    found = store.routing_snapshots.rollback("default", online, evidence={"why": "a flood"})
    assert (found.number, found.anchor, found.learned_seq, found.evidence) == (online, online, 1, {"why": "a flood"})
    assert store.routing_snapshots.rollback("default") is None, "before its first policy there was none"


def test_superseded_snapshots_of_learning_let_their_bytes_go_and_stay_listed(store) -> None:
    store.routing_snapshots.promote("default", add(store).number)
    for number in range(1, 6):
        learn(store, number)
    kept = {one.number: one.kept for one in store.routing_snapshots.list("default")}
    assert kept == {6: True, 5: True, 4: False, 3: False, 2: False, 1: True}
    with pytest.raises(NotFound):
        store.routing_snapshots.blob("default", 3)
    with pytest.raises(Conflict, match="let go"):
        store.routing_snapshots.rollback("default", 3)


def test_what_a_rollback_leads_to_keeps_its_bytes(store) -> None:
    store.routing_snapshots.promote("default", add(store).number)
    learned = learn(store, 1).number
    store.routing_snapshots.promote("default", add(store).number)
    for number in range(3, 8):
        learn(store, number)
    assert store.routing_snapshots.rollback("default").number == learned


def test_what_serves_is_not_promoted_again_and_what_is_unknown_not_at_all(store) -> None:
    store.routing_snapshots.promote("default", add(store).number)
    with pytest.raises(Conflict):
        store.routing_snapshots.promote("default", 1)
    for act in (store.routing_snapshots.promote, store.routing_snapshots.get, store.routing_snapshots.blob):
        with pytest.raises(NotFound):
            act("other", 1)


def test_evidence_is_added_by_name(store) -> None:
    add(store)
    assert store.routing_snapshots.note("default", 1, {"low": 0.01}).evidence == {"prompts": 300, "low": 0.01}


def test_the_bytes_survive_a_dump_of_the_tables(store, engine, tmp_path) -> None:
    if engine.dialect.name == "sqlite":
        pytest.skip("a SQLite database is backed up as a file")
    from meliora.store.dump import dump_tables, load_tables

    binary = bytes(range(256))
    store.routing_snapshots.add("default", lambda _: binary, kind="fit", made_by="cli")
    dump_tables(engine, tmp_path / "tables")
    load_tables(engine, tmp_path / "tables")
    assert store.routing_snapshots.blob("default", 1) == binary


def begin(store: Store, expected: int | None, *, first: bool = False):
    return store.routing_snapshots.begin("default", expected, blob, made_by="worker", evidence={}, first=first)


def test_a_beginning_serves_at_once_and_only_in_place_of_what_was_seen(store) -> None:
    made = begin(store, None, first=True)
    assert (made.number, made.kind, made.state, made.anchor, made.replaced) == (1, "prior", "serving", 1, None)
    assert begin(store, None) is None and begin(store, 7) is None, "another one serves by now"
    again = begin(store, 1)
    assert (again.number, again.parent, again.replaced, serving(store)) == (2, 1, None, 2)
    assert store.routing_snapshots.rollback("default") is None, "nothing served before the first"
    assert begin(store, None, first=True) is None, "it is not the first any more"
    assert begin(store, None).number == 3


def test_a_beginning_keeps_what_came_in_while_the_one_before_it_served_and_nothing_older(store, feed) -> None:
    begin(store, None)
    call = feed.call(routing=trace())
    store.feedbacks.give("default", FeedbackGiven(feedback_type="thumbs_up", call_id=call.id))
    settle(store)
    assert begin(store, 1).learned_seq == 0
    store.routing_snapshots.rollback("default")
    assert begin(store, None).learned_seq == 1
