"""Each search is kept once, with what people made of it, and what was asked goes when its time is over or its person wishes."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from meliora.errors import InvalidRequest, NotFound
from meliora.knowledge.front import Opinion
from meliora.store import Store
from meliora.store.engine import reading
from meliora.store.knowledge.search_rows import _row
from meliora.store.tables import search_feedback, searches
from meliora.telemetry.retention import DAY_US, Pruner
from tests.store.test_housekeeping import everything


def said(store: Store, search, what: str, document: str | None = None, **more) -> None:
    store.searches.give(search.tenant, Opinion(search=search.id, said=what, document=document, **more))


def rows_of(engine: sa.Engine, table: sa.Table) -> int:
    with reading(engine) as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def test_a_search_comes_back_as_it_was_recorded(store, feed) -> None:
    record = feed.search(feature="help", skipped={"reranking": "its model is gone"})
    found = store.searches.get("default", record.id)
    for field in ("id", "key_id", "collection", "ended_us", "user", "session", "feature", "snapshot", "generation"):
        assert getattr(found, field) == getattr(record, field)
    for field in ("query_hash", "content", "query", "terms", "written", "unknown", "shown", "stages_us", "skipped"):
        assert getattr(found, field) == getattr(record, field)
    assert (found.at_us, found.outcome, found.error_code) == (record.started_us, "ok", None)
    with pytest.raises(NotFound):
        store.searches.get("acme", record.id)


def test_a_search_of_which_nothing_may_be_kept_has_no_words(store, feed) -> None:
    nothing = {"content": "off", "query": None, "terms": None, "written": None, "unknown": None}
    record = feed.search(**nothing, outcome="error", error_code="store_error", shown=())
    found = store.searches.get("default", record.id)
    assert (found.query, found.terms, found.written, found.unknown, found.shown) == (None, None, None, None, ())


def test_the_row_is_in_the_order_of_the_table(feed) -> None:
    record = feed.searched()
    named = dict(zip((column.name for column in searches.columns), _row(record), strict=True))
    assert (named["at_us"], named["user_id"], named["session_id"], named["results"]) == (
        record.started_us,
        "ann",
        "s1",
        3,
    )
    assert named["written"] == '["where","is","it"]'


def test_the_same_search_again_is_known(store, feed, engine) -> None:
    record = feed.search()
    feed.take(record, feed.searched())
    assert rows_of(engine, searches) == 2


def test_a_window_gives_the_latest_in_order_of_time_with_what_was_said(store, feed, clock) -> None:
    made = [feed.search() for _ in range(4)]
    feed.search(collection="other")
    feed.search(tenant="acme")
    said(store, made[2], "click", "b")
    found = store.searches.window("default", "c", made[1].started_us, made[3].started_us)
    assert [one.id for one in found] == [made[1].id, made[2].id]
    assert [(one.kind, one.document, one.position, one.value) for one in found[1].feedback] == [("click", "b", 2, 1.0)]
    assert [one.id for one in store.searches.window("default", "c", 0, clock.now + 1, limit=2)] == [
        made[2].id,
        made[3].id,
    ]


def test_each_kind_of_word_counts_once_and_between_accepted_and_rejected_the_last_stands(store, feed) -> None:
    search = feed.search()
    for what in ("click", "click", "accept", "reject"):
        said(store, search, what, "a", user="ann")
    said(store, search, "rating", value=0.25)
    said(store, search, "rating", value=0.75)
    assert store.searches.reformulated("default", [search.id, "unknown"]) == 1
    found = store.searches.get("default", search.id).feedback
    assert [(one.kind, one.document, one.value) for one in found] == [
        ("click", "a", 1.0),
        ("reject", "a", 0.0),
        ("rating", None, 0.75),
        ("reformulated", None, 0.0),
    ]


def test_a_place_that_somebody_claims_gives_way_to_the_one_that_was_shown(store, feed) -> None:
    search = feed.search()
    said(store, search, "click", "c", position=1)
    assert store.searches.get("default", search.id).feedback[0].position == 3


def test_a_word_on_what_was_not_shown_or_never_searched_is_refused(store, feed, clock) -> None:
    search = feed.search(tenant="acme")
    with pytest.raises(InvalidRequest, match="did not show"):
        said(store, search, "click", "z")
    with pytest.raises(InvalidRequest):
        said(store, search, "rating")
    old = store.search_ids.new(clock.now - 2 * DAY_US)
    forged = search.id[:-1] + ("0" if search.id[-1] != "0" else "1")
    for id in (search.id, "srch_x", forged, store.call_ids.new(), old):
        with pytest.raises(NotFound):
            store.searches.give("default", Opinion(search=id, said="click", document="a"))
    renamed = "srch_" + store.call_ids.new().removeprefix("call_")
    with pytest.raises(NotFound):
        store.searches.give("default", Opinion(search=renamed, said="click", document="a"))


def test_a_word_that_comes_before_its_search_is_held_to_what_that_showed(store, feed, engine) -> None:
    record = feed.searched()
    said(store, record, "click", "b", position=9)
    said(store, record, "click", "z")
    store.searches.give("acme", Opinion(search=record.id, said="click", document="a"))
    said(store, record, "rating", value=1.0)
    feed.take(record)
    found = store.searches.get("default", record.id).feedback
    assert [(one.document, one.position) for one in found] == [("b", 2), (None, None)]
    assert rows_of(engine, search_feedback) == 3, "another tenant's word stands alone, and nobody reads it"


def test_what_was_asked_goes_first_and_the_search_with_what_was_said_later(store, feed, engine, clock) -> None:
    old = feed.search(started_us=clock.now - 100 * DAY_US)
    middle = feed.search(started_us=clock.now - 40 * DAY_US)
    young = feed.search()
    for one in (old, young):
        said(store, one, "click", "a")
    lone = feed.searched()
    said(store, lone, "click", "a")
    pruner = Pruner(store.housekeeping, clock, content_days=30, call_days=90)
    pruned = pruner.run(pause=lambda: None)
    assert (pruned.contents, pruned.searches) == (2, 1)
    found = store.searches.get("default", middle.id)
    assert (found.content, found.query, found.terms, found.written, found.unknown) == ("erased", None, None, None, None)
    assert (found.shown, found.query_hash) == (("a", "b", "c"), "h")
    with pytest.raises(NotFound):
        store.searches.get("default", old.id)
    assert store.searches.get("default", young.id).query == "where is it"
    assert rows_of(engine, search_feedback) == 2
    clock.now += 91 * DAY_US
    pruner.run(pause=lambda: None)
    assert (rows_of(engine, searches), rows_of(engine, search_feedback)) == (0, 0)


def test_an_erased_person_leaves_no_word_in_searches_that_were_or_will_be_ingested(store, feed, engine) -> None:
    arm = {"trial": "chg_1", "trial_phase": "trial", "trial_stage": 0, "arm": "candidate", "trial_unit": "u-zoe"}
    mine = feed.search(user="zoe", session="zoe-1", query="zoe asks", query_hash="zoe-hash", **arm)
    said(store, mine, "click", "a", user="zoe")
    other = feed.search()
    said(store, other, "click", "a", user="zoe")
    late = feed.searched(user="zoe", session="zoe-1", query="zoe asks", terms=("zoe",), query_hash="zoe-hash", **arm)
    found = store.housekeeping.erase("default", "zoe")
    assert (found.searches, found.counts()["searches"]) == (1, 1)
    feed.take(late)
    assert "zoe" not in everything(engine)
    assert store.searches.get("default", mine.id).content == "erased"
    assert store.searches.get("default", mine.id).shown == ("a", "b", "c")
    assert store.searches.get("default", late.id).trial_unit == f"e{late.id}"
    assert store.searches.get("default", other.id).query == "where is it"
    after = feed.search(user="zoe")
    assert store.searches.get("default", after.id).user == "zoe"
