"""Documents are kept whole, and an index that follows them by number misses nothing."""

from __future__ import annotations

import threading
import time

import pytest
import sqlalchemy as sa

from meliora.errors import Conflict, InvalidRequest, NotFound
from meliora.knowledge.documents import Document
from meliora.knowledge.front import Opinion
from meliora.knowledge.shelf import ToKeep
from meliora.store.engine import writing
from meliora.store.knowledge.collections import hold_in, move_in
from meliora.store.knowledge.documents import prune_deletions
from meliora.store.knowledge.rows import insert_in
from meliora.store.tables import searches


def document(id: str, text: str = "", **more) -> ToKeep:
    """A document whose hash is its text."""
    text = text or f"text of {id}"
    marks, state = more.pop("marks", ()), more.pop("state", "live")
    return ToKeep(
        document=Document(id=id, text=text, **more),
        hash=text.encode("ascii", "replace").decode().replace("\0", ""),
        marks=marks,
        state=state,
    )


@pytest.fixture
def shelf(store):
    return store.knowledge_documents


def told(shelf, after: int = 0, collection: str = "c", **more) -> list[tuple[int, str, bool]]:
    """What an index hears: number, id, whether it is to be searched."""
    return [(one.seq, one.id, one.kept is not None) for one in shelf.changes("t", collection, after, 1000, **more)]


def test_a_document_comes_back_as_it_was_given(shelf, clock) -> None:
    given = Document(
        id="a",
        text="Grüße 🙂",
        title="T",
        source="api",
        category="procedures",
        language="de",
        user="ann",
        metadata={"tags": ("x", "y"), "n": 3, "f": 1.5, "b": True, "s": "w"},
    )
    shelf.put("t", "c", [ToKeep(document=given, hash="h", marks=("secrets", "markup"))])
    found = shelf.get("t", "c", "a")
    assert found.document == given
    assert (found.hash, found.marks, found.state, found.seq) == ("h", ("secrets", "markup"), "live", 1)
    assert found.added_us == found.updated_us <= clock.now
    assert (found.accesses, found.accessed_us) == (0, None)


def test_a_put_says_what_became_of_each_and_the_same_again_changes_nothing(shelf) -> None:
    first = shelf.put("t", "c", [document("a"), document("b")])
    assert (first.added, first.updated, first.unchanged, first.latest) == (2, 0, 0, 2)
    again = shelf.put("t", "c", [document("a"), document("b", "new"), document("c")])
    assert (again.added, again.updated, again.unchanged, again.latest) == (1, 1, 1, 4)
    assert told(shelf) == [(1, "a", True), (3, "b", True), (4, "c", True)]
    assert shelf.put("t", "c", []).latest == 4


def test_of_two_with_one_id_in_a_put_the_last_is_kept(shelf) -> None:
    assert shelf.put("t", "c", [document("a", "one"), document("a", "two")]).added == 1
    assert shelf.get("t", "c", "a").document.text == "two"


def test_an_update_keeps_when_it_was_added_and_how_often_it_was_used(store, feed, clock) -> None:
    shelf, used = store.knowledge_documents, [feed.search(), feed.search()]
    shelf.put("default", "c", [document("a")])
    for one in used:
        store.searches.give("default", Opinion(search=one.id, said="click", document="a"))
    shelf.note_uses("default", "c", 0, 0.5)
    before = shelf.get("default", "c", "a")
    shelf.put("default", "c", [document("a", "new")])
    found = shelf.get("default", "c", "a")
    assert (found.accesses, found.accessed_us, found.added_us) == (2, before.accessed_us, before.added_us)
    assert found.accessed_us is not None and found.updated_us > before.updated_us


def test_a_document_is_used_by_each_search_of_which_something_good_was_said_of_it(store, feed, clock) -> None:
    """Once a search; what was said badly of it, of another collection or by another tenant, is no use of it."""
    shelf = store.knowledge_documents
    shelf.put("default", "c", [document("a"), document("b")])
    shelf.put("default", "other", [document("a")])
    one, two, other = feed.search(), feed.search(), feed.search(collection="other")

    def say(search, said: str, document: str | None, value: float | None = None) -> None:
        store.searches.give("default", Opinion(search=search.id, said=said, document=document, value=value))

    say(one, "click", "a")
    say(one, "accept", "a")
    say(two, "rating", "a", 0.8)
    say(two, "reject", "b")
    say(two, "accept", None)
    say(other, "click", "a")
    assert shelf.note_uses("default", "c", 0, 0.5) == 1
    assert shelf.note_uses("default", "c", 0, 0.5) == 1, "the same again changes nothing"
    assert (shelf.get("default", "c", "a").accesses, shelf.get("default", "c", "b").accessed_us) == (2, None)
    assert shelf.get("default", "other", "a").accesses == 0
    assert shelf.note_uses("default", "c", clock.now + 1, 0.5) == 0


def test_a_use_outlasts_the_search_that_it_was_made_in(store, feed, clock) -> None:
    shelf, search = store.knowledge_documents, feed.search()
    shelf.put("default", "c", [document("a")])
    store.searches.give("default", Opinion(search=search.id, said="click", document="a"))
    shelf.note_uses("default", "c", 0, 0.5)
    before = shelf.get("default", "c", "a")
    with writing(store.engine) as connection:
        connection.execute(sa.delete(searches))
    clock.now += 1
    shelf.note_uses("default", "c", 0, 0.5)
    found = shelf.get("default", "c", "a")
    assert (found.accesses, found.accessed_us) == (before.accesses, before.accessed_us) == (1, found.accessed_us)


def test_what_is_archived_is_told_as_gone_and_comes_back_when_it_is_restored(shelf) -> None:
    shelf.put("t", "c", [document("a"), document("b")])
    assert shelf.set_state("t", "c", ["a", "a", "nobody"], "archived") == 1
    assert shelf.set_state("t", "c", ["a"], "archived") == 0
    assert told(shelf, 2) == [(3, "a", False)]
    assert [one.document.id for one in shelf.list("t", "c")] == ["b"]
    assert [one.document.id for one in shelf.list("t", "c", state="archived")] == ["a"]
    assert [one.document.id for one in shelf.list("t", "c", state=None, after="a")] == ["b"]
    assert shelf.collection("t", "c").documents == 1
    assert shelf.set_state("t", "c", ["a"], "live") == 1
    assert told(shelf, 2) == [(4, "a", True)]


def test_a_fence_that_refuses_leaves_everything_as_it_was(shelf) -> None:
    shelf.put("t", "c", [document("a")])

    def overtaken(connection) -> None:
        raise Conflict("overtaken")

    with pytest.raises(Conflict, match="overtaken"):
        shelf.set_state("t", "c", ["a"], "archived", overtaken)
    with pytest.raises(Conflict, match="overtaken"):
        shelf.exchange_generation("t", "c", "2", instead_of="1", fenced=overtaken)
    assert shelf.get("t", "c", "a").state == "live"
    assert shelf.generation("t", "c") == "1"


def test_a_deletion_is_told_until_the_document_is_there_again(shelf) -> None:
    shelf.put("t", "c", [document("a"), document("b")])
    assert shelf.delete("t", "c", ["a", "nobody"]) == 1
    assert told(shelf) == [(2, "b", True), (3, "a", False)]
    with pytest.raises(NotFound, match="'a'"):
        shelf.get("t", "c", "a")
    shelf.put("t", "c", [document("a")])
    assert told(shelf) == [(2, "b", True), (4, "a", True)]
    assert shelf.delete("t", "c", ["a"]) == 1


def test_changes_come_a_page_at_a_time_in_order(shelf) -> None:
    shelf.put("t", "c", [document(f"d{at:02}") for at in range(9)])
    shelf.delete("t", "c", [f"d{at:02}" for at in range(0, 9, 2)])
    seen, after = [], 0
    while page := shelf.changes("t", "c", after, 2):
        seen += page
        after = page[-1].seq
    assert [one.seq for one in seen] == [2, 4, 6, 8, 10, 11, 12, 13, 14]
    assert after == shelf.latest("t", "c")


def test_long_texts_come_few_at_a_time_and_all_of_them_come(shelf, monkeypatch) -> None:
    """What a process holds at once is bounded, whatever is put in a row; deletions keep their place among them."""
    monkeypatch.setattr("meliora.store.knowledge.documents.MOST_CHARACTERS", 100)
    shelf.put("t", "c", [document(f"d{at}", f"{at}" * 60) for at in range(4)])
    shelf.put("t", "c", [document("long", "x" * 500), document("short")])
    shelf.delete("t", "c", ["d1", "short"])
    pages, after = [], 0
    while page := shelf.changes("t", "c", after, 10):
        pages.append([one.id for one in page])
        after = page[-1].seq
    assert pages == [["d0", "d2"], ["d3", "long"], ["d1", "short"]]


def test_an_index_that_slept_through_forgotten_deletions_must_be_built_again(shelf, engine, clock) -> None:
    shelf.put("t", "c", [document(id) for id in "abcd"])
    shelf.delete("t", "c", ["a"])
    shelf.delete("t", "c", ["b"])
    with writing(engine) as connection:
        assert prune_deletions(connection, clock.now + 1, 1) == 1
        assert prune_deletions(connection, clock.now + 1, 10) == 1
        assert prune_deletions(connection, clock.now + 1, 10) == 0
    with pytest.raises(Conflict, match="rebuild"):
        shelf.changes("t", "c", 3, 10)
    assert told(shelf) == [(3, "c", True), (4, "d", True)], "from nothing there is nothing to forget"
    assert told(shelf, 3, begun=6) == [(4, "d", True)], "nor while a reader of everything is at it"
    assert told(shelf, 6) == []


def test_an_index_that_is_ahead_of_a_restored_store_must_be_built_again(shelf) -> None:
    shelf.put("t", "c", [document("a")])
    for collection in ("c", "unknown"):
        with pytest.raises(Conflict, match="rebuild"):
            shelf.changes("t", collection, 9, 10)
    assert shelf.changes("t", "unknown", 0, 10) == ()


def test_a_dropped_collection_is_gone_and_one_of_its_name_is_another(shelf, store) -> None:
    shelf.put("t", "c", [document("a"), document("b")])
    assert shelf.drop("t", "c") == 2
    assert shelf.collections("t") == ()
    for act in (
        lambda: shelf.collection("t", "c"),
        lambda: shelf.drop("t", "c"),
        lambda: shelf.delete("t", "c", ["a"]),
        lambda: shelf.get("t", "c", "a"),
    ):
        with pytest.raises(NotFound):
            act()
    assert shelf.generation("t", "c") == "2-drop3"
    with pytest.raises(Conflict, match="rebuild"):
        shelf.changes("t", "c", 2, 10)
    assert shelf.put("t", "c", [document("z")]).latest == 4
    found = shelf.collection("t", "c")
    assert (found.documents, found.latest, found.snapshot) == (1, 4, None)
    with pytest.raises(Conflict, match="rebuild"):
        shelf.changes("t", "c", 2, 10)


def test_an_unknown_collection_is_refused_with_the_nearest_name(shelf) -> None:
    shelf.put("t", "manuals", [document("a")])
    with pytest.raises(NotFound, match="Did you mean 'manuals'"):
        shelf.collection("t", "manual")
    with pytest.raises(NotFound, match="put into it"):
        shelf.set_state("t", "x", ["a"], "live")
    with pytest.raises(NotFound):
        shelf.get("other", "manuals", "a")


def test_a_generation_is_exchanged_by_whoever_knows_the_one_that_serves(shelf) -> None:
    shelf.put("t", "c", [document("a")])
    assert shelf.generation("t", "nothing yet") == "1"
    assert shelf.exchange_generation("t", "c", "2", instead_of="9") is False
    assert shelf.exchange_generation("t", "c", "2", instead_of="1") is True
    assert (shelf.generation("t", "c"), shelf.collection("t", "c").generation) == ("2", "2")


def test_text_that_no_database_takes_is_mended_or_refused_whole(shelf) -> None:
    shelf.put("t", "c", [document("a", "nul \0 here", metadata={"m\0": ("x\0",)})])
    found = shelf.get("t", "c", "a").document
    assert (found.text, found.metadata) == ("nul � here", {"m�": ("x�",)})
    with pytest.raises(InvalidRequest, match="UTF-8"):
        shelf.put("t", "c", [document("b"), document("c", "\ud800")])
    with pytest.raises(InvalidRequest, match="UTF-8"):
        shelf.put("t", "c", [document("a", "\ud800")])
    assert [one.document.id for one in shelf.list("t", "c")] == ["a"]


def test_more_documents_than_one_statement_names(shelf) -> None:
    many = [document(f"d{at:05}") for at in range(1201)]
    assert shelf.put("t", "c", many).added == 1201
    assert shelf.put("t", "c", many).unchanged == 1201
    assert shelf.set_state("t", "c", [one.document.id for one in many], "archived") == 1201
    assert shelf.delete("t", "c", [one.document.id for one in many]) == 1201
    assert shelf.put("t", "c", many).added == 1201
    assert len(shelf.changes("t", "c", 0, 5000)) == 1201


def test_a_slow_writer_holds_the_next_one_back_so_that_no_follower_misses_a_change(store, shelf, engine) -> None:
    """Were numbers only drawn in order, the later one could be committed first, and a follower would go on behind the earlier."""
    shelf.put("t", "c", [document("first")])
    began, done = threading.Event(), threading.Event()

    def late() -> None:
        began.set()
        shelf.put("t", "c", [document("late")])
        done.set()

    with writing(engine) as connection:
        latest = hold_in(connection, "t", "c").latest
        insert_in(connection, "t", "c", [(latest + 1, document("early"))], 1)
        other = threading.Thread(target=late)
        other.start()
        began.wait(5)
        assert not done.wait(0.1)
        assert told(shelf) == [(1, "first", True)]
        move_in(connection, "t", "c", latest + 1)
    other.join(5)
    assert told(shelf) == [(1, "first", True), (2, "early", True), (3, "late", True)]


def test_a_follower_of_several_writers_hears_of_every_document_once_in_order(shelf) -> None:
    def write(name: str) -> None:
        for at in range(15):
            shelf.put("t", "c", [document(f"{name}{at}"), document("shared", f"{name}{at}")])
            if at % 3 == 0:
                shelf.delete("t", "c", [f"{name}{at}"])

    writers = [threading.Thread(target=write, args=(name,)) for name in "xy"]
    for one in writers:
        one.start()
    held: dict[str, str] = {}
    after, ends = 0, time.monotonic() + 20
    while time.monotonic() < ends:
        idle = not any(one.is_alive() for one in writers)
        page = shelf.changes("t", "c", after, 7)
        for change in page:
            assert change.seq > after
            after = change.seq
            if change.kept is None:
                held.pop(change.id, None)
            else:
                held[change.id] = change.kept.hash
        if idle and not page:
            break
    live = {one.document.id: one.hash for one in shelf.list("t", "c", limit=500)}
    assert held == live
    assert len(live) == 21


def test_the_follower_goes_by_the_index(shelf, engine: sa.Engine) -> None:
    if engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL plans by the size of the table, which is empty here")
    with engine.connect() as connection:
        plan = connection.exec_driver_sql(
            "EXPLAIN QUERY PLAN SELECT * FROM knowledge_documents WHERE tenant = 't' AND collection = 'c' AND seq > 3 "
            "ORDER BY seq LIMIT 10"
        ).all()
    assert "ix_knowledge_documents_seq" in plan[0][3]
    assert len(plan) == 1, "no sorting"
