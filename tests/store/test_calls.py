"""Calls arrive once, whole, in order, and only their tenant sees them."""

from __future__ import annotations

import msgspec
import pytest

from meliora.errors import Conflict, InvalidRequest, NotFound, StoreError
from meliora.store.bulk import CALL_COLUMNS, rows_of_calls
from meliora.store.calls.calls import Call, CallFilter
from meliora.telemetry.ingest import Batch
from meliora.telemetry.records import Attempt, Usage

HOUR_US = 3_600_000_000


def test_all_that_is_known_of_a_call_can_be_read_back(store, feed) -> None:
    record = feed.call(
        attempts=(Attempt("a/x", "x", 1, 2, 500, "upstream_error"), Attempt("b/x", "x", 3, 4, 200)),
        usage=Usage(input=10, output=5, cached=3, cache_write=1, reasoning=2),
        tags={"env": "prod", "odd": "ключ"},
        features={"chars": 12.5},
        loss=("top_k",),
        response_id="chatcmpl-1",
        message_id="m-1",
        session="s-1",
        stream=True,
        confidence=0.7,
    )
    call = store.calls.get("default", record.id)
    assert call.attempts == [
        {"endpoint": "a/x", "model": "x", "started_us": 1, "ended_us": 2, "status": 500, "error": "upstream_error"},
        {"endpoint": "b/x", "model": "x", "started_us": 3, "ended_us": 4, "status": 200},
    ]
    assert (call.tags, call.features, call.loss) == (record.tags, {"chars": 12.5}, ["top_k"])
    assert (call.tokens_in, call.tokens_out, call.tokens_cached, call.tokens_reasoning) == (10, 5, 3, 2)
    assert (call.state, call.outcome, call.stream, call.cached) == ("finished", "ok", True, False)
    assert (call.user_id, call.session_id, call.message_id) == ("ann", "s-1", "m-1")
    content = store.calls.content("default", record.id)
    assert (content.request_text, content.response_text, content.content) == ("{}", "hello", "redacted")


def test_rows_are_in_the_order_of_the_columns(feed) -> None:
    record = feed.finished(reason="asked", provider="p", tier="fast", trace_id="t", span_id="s", prompt_hash="h")
    row = dict(zip(CALL_COLUMNS, rows_of_calls([record], [], 1)[0][0], strict=True))
    renamed = {"user_id": "user", "session_id": "session"}
    for name in set(Call.__struct_fields__) - {"state", "seq", "attempts", "tags", "features", "loss", "legs"}:
        if not name.startswith("tokens_"):
            assert row[name] == getattr(record, renamed.get(name, name)), name


def test_what_is_unknown_stays_unknown_and_is_not_zero(store, feed) -> None:
    record = feed.call(usage=None, cost_micros=None, model=None, outcome="error", status=502, error_code="no_endpoint")
    call = store.calls.get("default", record.id)
    assert (call.tokens_in, call.cost_micros, call.model, call.tags) == (None, None, None, None)


def test_a_begun_call_is_open_until_its_finish_arrives(store, feed) -> None:
    begun = feed.begun()
    assert feed.take(begun).begun == 1
    assert store.calls.get("default", begun.id).state == "open"
    assert store.calls.get("default", begun.id).outcome is None
    taken = feed.take(feed.finished(id=begun.id))
    assert (taken.finished, taken.known) == (1, 0)
    assert store.calls.get("default", begun.id).state == "finished"
    assert len(store.calls.list("default").items) == 1


def test_a_begin_after_its_finish_changes_nothing(store, feed) -> None:
    record = feed.call()
    assert feed.take(feed.begun(id=record.id)).known == 1
    assert store.calls.get("default", record.id).state == "finished"


def test_a_record_that_comes_twice_counts_once(store, feed) -> None:
    record = feed.finished()
    assert feed.take(record, record).finished == 1
    assert feed.take(record).known == 1
    assert store.analytics.total("default").calls == 1
    assert store.model_performances.list("default")[0].total_calls == 1


def test_an_open_call_is_lost_after_an_hour_and_found_when_it_finishes(store, feed, clock) -> None:
    begun = feed.begun()
    feed.take(begun)
    assert store.sink.lose(begun.started_us) == 0
    assert store.sink.lose(begun.started_us + 1) == 1
    assert store.calls.get("default", begun.id).state == "lost"
    assert store.calls.list("default", CallFilter(state="lost")).items[0].outcome is None
    feed.take(feed.finished(id=begun.id))
    assert store.calls.get("default", begun.id).state == "finished"


def test_an_offset_that_has_moved_refuses_the_batch_whole(store, feed) -> None:
    record = feed.call()
    again = feed.finished()
    with pytest.raises(Conflict):
        store.sink.take(Batch("feed.spool", 0, 9, [], [again]))
    with pytest.raises(Conflict):
        store.sink.take(Batch("never seen.spool", 5, 9, [], [again]))
    assert [call.id for call in store.calls.list("default").items] == [record.id]
    assert store.sink.offsets() == {"feed.spool": 1}


def test_a_record_that_cannot_be_kept_changes_nothing(store, feed) -> None:
    with pytest.raises(StoreError):
        feed.take(feed.finished(), feed.finished(cost_micros=2**70))
    assert store.sink.offsets() == {}
    assert store.calls.list("default").items == ()


def test_pages_follow_each_other_without_gap_or_repetition(store, feed, clock) -> None:
    same_time = clock()
    ids = [feed.call(started_us=same_time + place // 3).id for place in range(10)]
    seen: list[str] = []
    cursor = None
    while True:
        page = store.calls.list("default", limit=3, cursor=cursor)
        seen += [call.id for call in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert sorted(seen) == sorted(ids)
    assert len(seen) == 10
    started = [store.calls.get("default", id).started_us for id in seen]
    assert started == sorted(started, reverse=True)


@pytest.mark.parametrize("cursor", ["", "x", "bm90IGpzb24", "WzEsMl0", "\x00", "💥", "W10"])
def test_a_foreign_cursor_is_refused(store, cursor: str) -> None:
    with pytest.raises(InvalidRequest, match="cursor"):
        store.calls.list("default", cursor=cursor)


def test_a_list_is_narrowed_by_each_filter(store, feed) -> None:
    wanted = feed.call(
        model="big", user="bob", session="s9", key_id="key_9", status=502, outcome="error", tags={"env": "test"}
    )
    feed.call(tags={"env": "prod"})
    feed.take(feed.begun())
    filters = [
        CallFilter(model="big"),
        CallFilter(user="bob"),
        CallFilter(session="s9"),
        CallFilter(key_id="key_9"),
        CallFilter(status=502),
        CallFilter(outcome="error"),
        CallFilter(tag=("env", "test")),
        CallFilter(since_us=wanted.started_us, until_us=wanted.started_us + 1),
    ]
    for where in filters:
        assert [call.id for call in store.calls.list("default", where).items] == [wanted.id], where
    assert store.calls.list("default", CallFilter(tag=("no'\"such", "x"))).items == ()


def test_the_tail_gives_each_call_once_in_the_order_of_ingest(store, feed) -> None:
    early = [feed.call().id for _ in range(3)]
    tail = store.calls.tail("default", limit=2)
    assert [call.id for call in tail.calls] == early[1:]
    assert store.calls.tail("default", tail.after).calls == ()
    late = feed.call(started_us=1)  # began long ago, arrives now
    after = store.calls.tail("default", tail.after)
    assert [call.id for call in after.calls] == [late.id]
    assert after.after > tail.after


def test_a_call_of_another_tenant_does_not_exist(store, feed) -> None:
    record = feed.call(tenant="acme")
    for look in (store.calls.get, store.calls.content):
        with pytest.raises(NotFound):
            look("default", record.id)


def test_a_limit_below_one_is_refused(store) -> None:
    with pytest.raises(InvalidRequest, match="limit"):
        store.calls.list("default", limit=0)


def test_calls_travel_as_json(store, feed) -> None:
    record = feed.call()
    assert msgspec.json.decode(msgspec.json.encode(store.calls.get("default", record.id)))["id"] == record.id
