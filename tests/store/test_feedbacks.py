"""Feedback finds its call by any of its ids, early or late; the last word stands and none is forgotten."""

from __future__ import annotations

import pytest

from meliora.errors import InvalidRequest, NotFound
from meliora.store import Store
from meliora.store.calls.feedbacks import VALUES, FeedbackGiven
from meliora.telemetry.spool import SpoolWriter


@pytest.mark.parametrize(("kind", "value"), VALUES.items())
def test_each_kind_is_worth_what_is_documented(store, feed, kind: str, value: float) -> None:
    record = feed.call()
    assert store.feedbacks.give("default", FeedbackGiven(feedback_type=kind, call_id=record.id)).value == value


def test_a_call_is_found_by_each_of_its_ids(store, feed) -> None:
    record = feed.call(message_id="m-1", response_id="chatcmpl-1", model="big", task="code")
    for named in ({"call_id": record.id}, {"message_id": "m-1"}, {"response_id": "chatcmpl-1"}):
        given = store.feedbacks.give("default", FeedbackGiven(feedback_type="thumbs_up", **named))
        assert (given.call_id, given.model_used, given.task_type, given.user_id) == (record.id, "big", "code", "ann")
        assert not given.pending
    assert len(store.feedbacks.list("default").items) == 1


def test_of_several_calls_with_a_message_id_the_newest_is_meant(store, feed) -> None:
    feed.call(message_id="m")
    newest = feed.call(message_id="m")
    given = store.feedbacks.give("default", FeedbackGiven(feedback_type="thumbs_up", message_id="m"))
    assert given.call_id == newest.id


def test_the_last_word_stands_and_the_history_is_kept(store, feed) -> None:
    record = feed.call()
    for kind, comment in (("thumbs_up", "fine"), ("rating_2", "on second thought")):
        store.feedbacks.give("default", FeedbackGiven(feedback_type=kind, call_id=record.id, comment=comment))
    current = store.feedbacks.get("default", record.id)
    assert (current.value, current.comment, current.metadata) == (0.4, "on second thought", None)
    assert current.created_us < current.updated_us
    assert [word.value for word in store.feedbacks.history("default", record.id)] == [1.0, 0.4]


def test_feedback_before_ingest_is_pending_and_links_up(store, feed) -> None:
    record = feed.finished(model="big", task="code", message_id="m-1")
    given = store.feedbacks.give("default", FeedbackGiven(feedback_type="thumbs_down", call_id=record.id))
    assert given.pending
    assert given.model_used is None
    feed.take(feed.begun(id=record.id))
    assert store.feedbacks.get("default", record.id).pending
    feed.take(record)
    linked = store.feedbacks.get("default", record.id)
    assert not linked.pending
    assert (linked.model_used, linked.task_type, linked.message_id, linked.user_id) == ("big", "code", "m-1", "ann")


def test_pending_feedback_of_a_tenant_never_links_to_another_tenants_call(store, feed) -> None:
    record = feed.finished(tenant="acme", model="big")
    store.feedbacks.give("default", FeedbackGiven(feedback_type="thumbs_down", call_id=record.id))
    feed.take(record)
    assert store.feedbacks.get("default", record.id).pending
    assert store.feedbacks.get("default", record.id).model_used is None


@pytest.mark.parametrize("named", [{"call_id": "call_0"}, {"message_id": "m"}, {"response_id": "r"}])
def test_an_id_that_never_existed_is_not_found(store, named: dict[str, str]) -> None:
    with pytest.raises(NotFound):
        store.feedbacks.give("default", FeedbackGiven(feedback_type="thumbs_up", **named))


def test_a_call_of_another_tenant_is_not_found(store, feed) -> None:
    record = feed.call(tenant="acme", message_id="m")
    for named in ({"call_id": record.id}, {"message_id": "m"}):
        with pytest.raises(NotFound):
            store.feedbacks.give("default", FeedbackGiven(feedback_type="thumbs_up", **named))


def test_a_message_id_is_found_in_the_spool_before_it_is_ingested(engine, clock, tmp_path) -> None:
    import msgspec

    from meliora.telemetry.records import CallFinished

    store = Store(engine, clock_us=clock, spool=tmp_path)
    writer = SpoolWriter(tmp_path)
    record = CallFinished(
        id=store.call_ids.new(),
        tenant="default",
        key_id="k",
        gateway="g",
        started_us=clock(),
        ended_us=clock(),
        dialect="chat",
        model_asked="auto",
        outcome="ok",
        status=200,
        message_id='m "1"',
    )
    writer.append(b"not a record")
    writer.append(msgspec.json.encode(record))
    wanted = FeedbackGiven(feedback_type="thumbs_up", message_id='m "1"')
    assert store.feedbacks.give("default", wanted).call_id == record.id
    with pytest.raises(NotFound):
        store.feedbacks.give("acme", wanted)
    writer.close()


def test_an_unknown_kind_or_no_id_or_two_is_refused(store, feed) -> None:
    record = feed.call(message_id="m")
    for wrong in (
        FeedbackGiven(feedback_type="rating_6", call_id=record.id),
        FeedbackGiven(feedback_type="thumbs_up"),
        FeedbackGiven(feedback_type="thumbs_up", call_id=record.id, message_id="m"),
    ):
        with pytest.raises(InvalidRequest):
            store.feedbacks.give("default", wrong)


def test_a_list_is_narrowed_and_paged(store, feed) -> None:
    for place in range(5):
        record = feed.call(user=f"u{place % 2}", model=f"m{place % 2}")
        store.feedbacks.give("default", FeedbackGiven(feedback_type="thumbs_up", call_id=record.id))
    assert len(store.feedbacks.list("default", user="u1").items) == 2
    assert len(store.feedbacks.list("default", model="m0", task="chat").items) == 3
    first = store.feedbacks.list("default", limit=3)
    rest = store.feedbacks.list("default", limit=3, cursor=first.next)
    assert len({one.id for one in (*first.items, *rest.items)}) == 5
    assert rest.next is None
