"""What preferences are learned from: told interactions, calls and feedback as one list; and the table of offsets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

from meliora.errors import Conflict, NotFound
from meliora.routing.preferences.interactions import Interaction, Mark
from meliora.routing.preferences.offsets import decode
from meliora.routing.preferences.refresh import Refresh
from meliora.store.calls.feedbacks import FeedbackGiven
from meliora.telemetry.ids import subject_of
from tests.store.conftest import START_US

START = datetime(2026, 11, 21, tzinfo=UTC)


def told(id: str = "i", **more) -> Interaction:
    given = {"timestamp": START, "model": "big", "user_id": "ann", "task_type": "code"}
    return Interaction(id=id, **given | more)


def rated(id: str, value: float, **more) -> Interaction:
    at = more.pop("at", START)
    return told(id, feedback="positive", value=value, feedback_timestamp=at, **more)


def give(store, call_id: str, kind: str = "thumbs_up", **more) -> None:
    store.feedbacks.give("default", FeedbackGiven(feedback_type=kind, call_id=call_id, **more))


def test_an_interaction_comes_back_as_it_was_told(store) -> None:
    whole = rated(
        "i",
        0.6,
        prompt_hash="ab",
        prompt_length=10,
        response_length=20,
        latency_ms=1.5,
        metadata={"tone": "dry"},
        at=START + timedelta(microseconds=7),
    )
    store.preferences.keep("default", whole)
    store.preferences.keep("default", whole)
    assert store.preferences.interactions("default", "ann") == (whole,)
    assert store.preferences.interactions("default", None) == (whole,)
    assert store.preferences.interactions("default", "bob") == ()


def test_a_call_and_what_is_said_of_it_are_one_interaction_and_the_last_word_stands(store, feed) -> None:
    call = feed.call(model="big", task="code")
    feed.call(model="small", outcome="error", status=500)
    (unrated,) = store.preferences.interactions("default", "ann")
    assert store.preferences.interactions("default", "ann", rated=True) == ()
    assert (unrated.id, unrated.value, unrated.latency_ms, unrated.response_length) == (call.id, None, 100.0, 20)
    for kind in ("thumbs_up", "thumbs_up", "rating_2"):
        give(store, call.id, kind, metadata={"tone": "dry"}, response_length=500)
    (one,) = store.preferences.interactions("default", "ann")
    assert (one.id, one.value, one.feedback, one.task_type) == (call.id, 0.4, "rating_2", "code")
    assert (one.response_length, one.metadata, one.timestamp) == (500, {"tone": "dry"}, unrated.timestamp)


def test_a_reaction_to_a_call_and_feedback_on_it_count_once_the_later_one(store, feed, clock) -> None:
    call = feed.call()
    at = datetime.fromtimestamp(clock() / 1e6, UTC)
    store.preferences.react("default", call.id, "regenerate", at, None)
    assert [one.value for one in store.preferences.interactions("default", "ann")] == [0.2]
    clock.now += 1_000_000
    give(store, call.id)
    assert [one.value for one in store.preferences.interactions("default", "ann")] == [1.0]
    store.preferences.react("default", call.id, "edit", at + timedelta(seconds=9), {"tone": "dry"})
    (one,) = store.preferences.interactions("default", "ann")
    assert (one.value, one.metadata) == (0.6, {"tone": "dry"})
    assert store.preferences.marks("default") == {("chat", "small"): Mark(1.0, 1, 1)}


def test_a_message_told_by_the_class_and_by_the_api_counts_once(store, feed) -> None:
    call = feed.call(message_id="7")
    store.preferences.keep("default", rated("message:ann:7", 1.0))
    give(store, call.id, "thumbs_down")
    assert [one.value for one in store.preferences.interactions("default", "ann")] == [0.0]


def test_what_is_said_of_anothers_call_is_the_sayers_liking(store, feed) -> None:
    call = feed.call()
    give(store, call.id, user_id="bob")
    assert [one.value for one in store.preferences.interactions("default", "bob")] == [1.0]
    assert [one.value for one in store.preferences.interactions("default", "ann")] == [None]


def test_feedback_that_waits_for_its_call_counts_once_the_call_is_known(store, feed) -> None:
    record = feed.finished()
    give(store, record.id)
    assert store.preferences.interactions("default", "ann") == ()
    feed.take(record)
    assert [one.value for one in store.preferences.interactions("default", "ann")] == [1.0]


def test_marks_are_sums_over_all_users_by_task_and_model(store, feed) -> None:
    for user in ("ann", "bob", "ann"):
        give(store, feed.call(user=user, task="code").id)
    store.preferences.keep("default", rated("1", 0.5, user_id="cy", task_type="code_generation", model="small"))
    store.preferences.keep("default", told("2"))
    assert store.preferences.marks("default") == {("code", "small"): Mark(3.5, 4, 2)}


def test_another_users_interaction_is_not_replaced_and_an_unknown_one_not_rated(store) -> None:
    store.preferences.keep("default", told())
    with pytest.raises(Conflict):
        store.preferences.keep("default", told(user_id="bob"))
    with pytest.raises(NotFound):
        store.preferences.react("acme", "i", "positive", START, None)
    store.preferences.keep("acme", told(user_id="bob"))
    assert [one.user_id for one in store.preferences.interactions("default", None)] == ["ann"]


def test_a_forgotten_user_starts_anew_and_others_keep_what_they_have(store, feed, clock) -> None:
    give(store, feed.call().id)
    give(store, feed.call(user="bob").id)
    feed.call()
    store.preferences.keep("default", rated("i", 1.0))
    store.preference_tables.put("default", {"ann": {"code": {"big": 0.1}}, "bob": {"code": {"big": 0.1}}}, clock())
    assert store.preferences.forget("default", "ann") == 3
    assert store.preferences.interactions("default", "ann") == ()
    assert [one.user_id for one in store.preferences.interactions("default", None)] == ["bob"]
    assert len(store.preference_tables.table("default").users) == 1
    give(store, feed.call().id)
    assert len(store.preferences.interactions("default", "ann")) == 1


def test_an_erased_person_is_in_neither_interactions_nor_table(store, feed, clock) -> None:
    give(store, feed.call().id)
    store.preferences.keep("default", rated("i", 1.0))
    store.preferences.keep("acme", rated("i", 1.0))
    read_us = clock()
    store.preference_tables.put("default", {"ann": {"code": {"big": 0.1}}}, read_us)
    erased = store.housekeeping.erase("default", "ann")
    assert erased.preferences == 1
    assert store.preferences.interactions("default", "ann") == ()
    assert all(one.user_id is None for one in store.preferences.interactions("default", None))
    assert store.preference_tables.table("default").users == {}
    with pytest.raises(NotFound):
        store.preference_tables.blob("default", 1)
    late = {"ann": {"code": {"big": 0.1}}}
    assert store.preference_tables.put("default", late, read_us) is None, "computed from what was read before"
    assert len(store.preferences.interactions("acme", "ann")) == 1


def test_a_table_gets_a_number_only_when_it_changes_and_its_bytes_bear_their_checksum(store, clock) -> None:
    tables = store.preference_tables
    assert tables.put("default", {"ann": {}}, clock()) is None
    assert store.states.load((), clock()).preferences == {}
    given = {"ann": {"code": {"big": 0.1}}}
    assert tables.put("default", given, clock()) == 1
    assert tables.put("default", given, clock()) is None
    assert tables.put("acme", given, clock()) == 1
    assert tables.put("default", {"bob": {"chat": {"big": -0.1}}}, clock()) == 2
    refs = store.states.load((), clock()).preferences
    assert {tenant: ref.number for tenant, ref in refs.items()} == {"acme": 1, "default": 2}
    body = tables.blob("default", 2)
    assert sha256(body).hexdigest() == refs["default"].sha256
    assert len(decode(tables.blob("default", 1)).users) == 1, "a gateway may just be fetching it"
    assert "ann" not in body.decode("latin-1")
    assert len(decode(body).users) == 2
    assert set(decode(body).users).isdisjoint(decode(tables.blob("acme", 1)).users), "a hash says nothing over tenants"
    tables.put("default", {"bob": {}}, clock())
    with pytest.raises(NotFound):
        tables.blob("default", 1)


def test_the_worker_finds_who_spoke_also_when_their_call_comes_late(store, feed, clock) -> None:
    refresh = Refresh(store.preferences, store.preference_tables, clock, rate=0.1, largest=0.1)
    refresh.step()
    early = feed.finished(model="big", task="code")
    give(store, early.id)
    for value in (0.0, 0.0):
        store.preferences.keep("default", rated(str(clock()), value, model="small"))
    for _ in range(3):
        refresh.step()
        clock.now += 600_000_000
    ann = subject_of(store.secret, "default", "ann")
    assert set(store.preference_tables.table("default").of(ann)["code"]) == {"small"}
    feed.take(early)
    refresh.step()  # no word is newer than at the last step
    offsets = store.preference_tables.table("default").of(ann)
    assert offsets["code"]["big"] > 0 > offsets["code"]["small"]
    clock.now += 600_000_000
    refresh.step()
    assert store.preference_tables.touched()[0] == {}


def test_times_are_kept_to_the_microsecond(store) -> None:
    at = datetime.fromtimestamp(START_US // 1_000_000, UTC) + timedelta(microseconds=123_457)
    store.preferences.keep("default", told(timestamp=at))
    assert store.preferences.interactions("default", "ann")[0].timestamp == at


def test_of_a_busy_user_the_latest_are_read_across_the_slots(store, feed, clock, monkeypatch) -> None:
    monkeypatch.setattr("meliora.store.routing.preferences.SEEN", 5)
    calls = []
    for _ in range(7):
        clock.now += 50 * 3_600_000_000
        calls.append(feed.call().id)
    assert [one.id for one in store.preferences.interactions("default", "ann")] == calls[2:]
    clock.now += 82 * 86_400_000_000
    assert [one.id for one in store.preferences.interactions("default", "ann")] == calls[3:], "ninety days back"
