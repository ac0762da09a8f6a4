"""What is old goes, what is summed stays, and an erased person leaves nothing behind, in the spool neither."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from meliora.errors import NotFound
from meliora.store.calls.calls import CallFilter
from meliora.store.calls.feedbacks import FeedbackGiven
from meliora.store.engine import reading
from meliora.store.tables import metadata
from meliora.telemetry.retention import DAY_US, Pruner
from meliora.telemetry.rollups import Roller, window_of


def pruner(store, clock, **more) -> Pruner:
    return Pruner(store.housekeeping, clock, content_days=30, call_days=90, **more)


def test_content_goes_first_then_calls_and_sums_stay(store, feed, clock) -> None:
    old = feed.call(started_us=clock.now - 100 * DAY_US, tenant="acme")
    middle = feed.call(started_us=clock.now - 40 * DAY_US)
    young = feed.call()
    while Roller(store.windows).step():
        pass
    pruned = pruner(store, clock).run(pause=lambda: None)
    assert (pruned.contents, pruned.calls, pruned.more) == (2, 1, False)
    with pytest.raises(NotFound):
        store.calls.get("acme", old.id)
    assert store.calls.get("default", middle.id).content == "erased"
    with pytest.raises(NotFound):
        store.calls.content("default", middle.id)
    assert store.calls.content("default", young.id).response_text == "hello"
    assert store.analytics.total("acme").calls == 1
    assert store.analytics.distribution("acme").latency_ms.count == 1


def test_calls_that_are_not_rolled_up_yet_are_kept(store, feed, clock) -> None:
    record = feed.call(started_us=clock.now - 100 * DAY_US)
    assert pruner(store, clock).run(pause=lambda: None).calls == 0
    assert store.calls.get("default", record.id)


def test_a_call_later_than_its_retention_adds_to_the_roll_up_that_stands(store, feed, clock) -> None:
    start = window_of(clock.now - 100 * DAY_US)
    roller = Roller(store.windows)
    feed.call(started_us=start)
    feed.call(started_us=start + 1, model="big")
    roller.step()
    pruner(store, clock).run(pause=lambda: None)
    for place in range(2):
        feed.call(started_us=start + 2 + place)
        assert roller.step() == 1
    assert roller.step() == 0
    found = store.analytics.distribution("default")
    assert found.latency_ms.count == 4
    assert pruner(store, clock).run(pause=lambda: None).calls == 2
    assert store.calls.list("default").items == ()


def test_a_late_call_counts_once_though_the_deletion_of_its_window_is_under_way(store, feed, clock) -> None:
    start = window_of(clock.now - 100 * DAY_US)
    roller = Roller(store.windows)
    feed.take(*[feed.finished(started_us=start + place) for place in range(5)])
    roller.step()
    assert store.housekeeping.drop_calls(clock.now - 90 * DAY_US, 2) == 2
    feed.call(started_us=start + 9)
    roller.step()
    assert store.analytics.distribution("default").latency_ms.count == 6
    assert store.housekeeping.drop_calls(clock.now - 90 * DAY_US, 100) == 4


def test_deletion_goes_in_batches_with_pauses_between(store, feed, clock) -> None:
    feed.take(*[feed.finished(started_us=clock.now - 40 * DAY_US) for _ in range(1200)])
    pauses: list[int] = []
    assert pruner(store, clock).run(pause=lambda: pauses.append(1)).contents == 1200
    assert len(pauses) == 2


def test_old_quarantine_files_and_done_segments_go_too(store, clock, tmp_path) -> None:
    folder = tmp_path / "quarantine"
    folder.mkdir()
    file = folder / "x.jsonl"
    file.write_text("{}")
    store.sink.done("a.spool")
    assert pruner(store, clock, quarantine=folder).run().files == 0
    clock.now = file.stat().st_mtime_ns // 1000 + 31 * DAY_US
    assert pruner(store, clock, quarantine=folder).run().files == 1
    assert store.sink.offsets() == {}


def everything(engine: sa.Engine) -> str:
    with reading(engine) as connection:
        return "\n".join(str(row) for table in metadata.sorted_tables for row in connection.execute(sa.select(table)))


def test_an_erased_person_leaves_no_trace_in_any_table(store, feed, engine) -> None:
    mine = [
        feed.call(user="zoe", session="zoe-1", request_text="zoe said", tags={"who": "zoe"}, error_message="zoe!"),
        feed.call(user="zoe", request_text=None, response_text=None, content="off"),
    ]
    other = feed.call()
    for kind in ("thumbs_up", "thumbs_down"):
        store.feedbacks.give("default", FeedbackGiven(feedback_type=kind, call_id=mine[0].id, comment="zoe's view"))
    store.feedbacks.give("default", FeedbackGiven(feedback_type="thumbs_up", call_id=other.id, user_id="zoe"))
    assert "zoe" in everything(engine)
    found = store.housekeeping.erase("default", "zoe")
    assert (found.calls, found.contents, found.feedback, found.history) == (2, 1, 2, 3)
    assert "zoe" not in everything(engine)
    assert store.calls.get("default", mine[0].id).content == "erased"
    assert store.feedbacks.get("default", mine[0].id).value == 0.0
    assert store.calls.content("default", other.id).response_text == "hello"
    assert store.analytics.total("default").calls == 3
    assert store.housekeeping.erase("default", "zoe").calls == 0


def test_records_of_an_erased_person_are_stripped_when_they_arrive(store, feed, engine, clock) -> None:
    before = feed.finished(user="zoe", session="zoe-1", request_text="zoe said", prompt_hash="h")
    begun = feed.begun(user="zoe")
    store.housekeeping.erase("default", "zoe")
    after = feed.finished(user="zoe")
    feed.take(before, begun, after)
    call = store.calls.get("default", before.id)
    assert (call.user_id, call.session_id, call.prompt_hash, call.cost_micros) == (None, None, None, 500)
    assert store.calls.get("default", begun.id).user_id is None
    assert [one.id for one in store.calls.list("default", CallFilter(user="zoe")).items] == [after.id]


def test_only_the_tenants_own_person_is_erased(store, feed) -> None:
    record = feed.call(tenant="acme", user="zoe")
    late = feed.finished(tenant="acme", user="zoe")
    assert store.housekeeping.erase("default", "zoe").calls == 0
    feed.take(late)
    assert store.calls.get("acme", record.id).user_id == "zoe"
    assert store.calls.get("acme", late.id).user_id == "zoe"
