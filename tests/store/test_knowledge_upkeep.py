"""Near-duplicates are asked about once, and what a change archived comes back, entry by entry, unless somebody else took it since."""

from __future__ import annotations

import pytest
from sqlalchemy import event

from meliora.errors import Conflict, InvalidRequest, NotFound
from meliora.knowledge.upkeep.keeper import Keeper
from meliora.knowledge.upkeep.plan import Rules
from meliora.store.knowledge.upkeep import ArchiveNote, LikePair
from tests.store.test_knowledge_documents import document, told


def pair(a: str, b: str) -> LikePair:
    return LikePair(a=a, b=b, containment=0.7, ratio=0.9, why="the numbers differ")


def notes(*ids: str) -> list[ArchiveNote]:
    return [ArchiveNote(document=id, why=f"{id} is stale", kept_instead="d") for id in ids]


@pytest.fixture
def shelf(store):
    store.knowledge_documents.put("t", "c", [document(id) for id in "abcd"])
    return store.knowledge_documents


@pytest.fixture
def upkeep(store, shelf):
    return store.knowledge_upkeep


def test_a_pair_is_asked_about_once_whichever_way_round(upkeep) -> None:
    assert upkeep.ask("t", "c", [pair("b", "a"), pair("a", "b"), pair("c", "d")]) == 2
    assert [(one.pair.a, one.pair.b, one.state) for one in upkeep.pairs("t", "c")] == [
        ("a", "b", "open"),
        ("c", "d", "open"),
    ]
    decided = upkeep.decide("t", "c", "b", "a", "kept", "dana")
    assert (decided.state, decided.decided_by) == ("kept", "dana")
    assert upkeep.ask("t", "c", [pair("a", "b")]) == 0
    assert [one.pair.a for one in upkeep.pairs("t", "c")] == ["c"]
    assert len(upkeep.pairs("t", "c", state=None)) == 2
    assert upkeep.decide("t", "c", "a", "b", "open", "dana").decided_by is None


def test_what_is_no_pair_is_refused(upkeep) -> None:
    with pytest.raises(InvalidRequest):
        upkeep.ask("t", "c", [pair("a", "a")])
    with pytest.raises(NotFound):
        upkeep.ask("t", "unknown", [pair("a", "b")])
    with pytest.raises(NotFound):
        upkeep.decide("t", "c", "a", "b", "merged", "dana")


def test_what_was_archived_says_why_and_comes_back(upkeep, shelf) -> None:
    assert upkeep.archive("t", "c", "chg_1", notes("a", "b", "gone")) == 2
    assert upkeep.archive("t", "c", "chg_1", notes("a", "b", "gone")) == 0
    assert [one.document.id for one in shelf.list("t", "c", state="archived")] == ["a", "b"]
    found = upkeep.archived("t", "c", change="chg_1")
    assert [(one.note.document, one.note.why, one.note.kept_instead) for one in found] == [
        ("a", "a is stale", "d"),
        ("b", "b is stale", "d"),
    ]
    assert upkeep.restore("t", "c", "chg_1", ["a", "c"]) == 1
    assert upkeep.restore("t", "c", "chg_1") == 1
    assert upkeep.restore("t", "c", "chg_1") == 0
    assert told(shelf, 4) == [(7, "a", True), (8, "b", True)]
    assert all(one.restored_us for one in upkeep.archived("t", "c"))
    assert set(upkeep.returned("t", "c")) == {"a", "b"}
    assert upkeep.returned("t", "other") == {}


def test_what_was_put_anew_deleted_or_archived_again_by_another_is_left_as_it_is(upkeep, shelf) -> None:
    upkeep.archive("t", "c", "chg_1", notes("a", "b", "c", "d"))
    shelf.put("t", "c", [document("a", "new")])
    shelf.delete("t", "c", ["b"])
    shelf.set_state("t", "c", ["c"], "live")
    upkeep.archive("t", "c", "chg_2", notes("c"))
    assert upkeep.restore("t", "c", "chg_1") == 1
    assert {one.document.id: one.state for one in shelf.list("t", "c", state=None)} == {
        "a": "live",
        "c": "archived",
        "d": "live",
    }
    assert [one.change for one in upkeep.archived("t", "c", document="c")] == ["chg_2", "chg_1"]


def test_a_fence_that_refuses_leaves_everything_as_it_was(upkeep, shelf) -> None:
    def overtaken(connection) -> None:
        raise Conflict("overtaken")

    with pytest.raises(Conflict, match="overtaken"):
        upkeep.archive("t", "c", "chg_1", notes("a"), overtaken)
    upkeep.archive("t", "c", "chg_1", notes("a"))
    with pytest.raises(Conflict, match="overtaken"):
        upkeep.restore("t", "c", "chg_1", fenced=overtaken)
    assert shelf.get("t", "c", "a").state == "archived"


def test_a_change_that_archived_nothing_has_nothing_to_restore(upkeep) -> None:
    with pytest.raises(NotFound):
        upkeep.restore("t", "c", "chg_1")
    upkeep.archive("t", "c", "chg_1", notes("a"))
    with pytest.raises(NotFound):
        upkeep.restore("other", "c", "chg_1")


def test_words_of_a_pair_go_with_either_document(upkeep, shelf) -> None:
    """What differs between two documents is words of them: nothing of it outlasts a deletion, whatever was decided."""
    upkeep.ask("t", "c", [pair("a", "b"), pair("b", "c"), pair("c", "d")])
    upkeep.decide("t", "c", "a", "b", "kept", "dana")
    shelf.delete("t", "c", ["b"])
    assert [(one.pair.a, one.pair.b) for one in upkeep.pairs("t", "c", state=None)] == [("c", "d")]


def test_words_of_a_pair_go_with_the_person_whose_document_it_has(store, upkeep, shelf) -> None:
    shelf.put("t", "c", [document("mine", user="ann")])
    upkeep.ask("t", "c", [pair("a", "mine"), pair("c", "d")])
    assert store.housekeeping.erase("t", "ann").documents == 1
    assert [(one.pair.a, one.pair.b) for one in upkeep.pairs("t", "c", state=None)] == [("c", "d")]


def test_a_pair_waits_only_while_both_documents_can_be_found(upkeep, shelf) -> None:
    upkeep.ask("t", "c", [pair("a", "b")])
    upkeep.archive("t", "c", "chg_1", notes("a"))
    assert upkeep.pairs("t", "c") == ()
    upkeep.restore("t", "c", "chg_1")
    assert len(upkeep.pairs("t", "c")) == 1


def test_a_pair_that_nobody_decided_goes_when_a_document_changes(upkeep, shelf) -> None:
    """What differs was told of the text before: it is looked at anew."""
    upkeep.ask("t", "c", [pair("a", "b"), pair("a", "c")])
    upkeep.decide("t", "c", "a", "c", "kept", "dana")
    shelf.put("t", "c", [document("a", "another text")])
    assert [(one.pair.b, one.state) for one in upkeep.pairs("t", "c", state=None)] == [("c", "kept")]


def test_a_pair_of_a_document_that_went_meanwhile_is_not_kept(upkeep, shelf) -> None:
    """The worker compares for minutes: who was erased meanwhile does not come back as a pair."""
    shelf.delete("t", "c", ["a"])
    upkeep.archive("t", "c", "chg_1", notes("b"))
    assert upkeep.ask("t", "c", [pair("a", "c"), pair("b", "c"), pair("c", "d")]) == 1
    assert len(upkeep.pairs("t", "c", state=None)) == 1


LONG = "The harbour opens at six in the morning and closes at ten in the evening, on every day of the week but Sunday"


@pytest.fixture
def keeper(store, clock) -> Keeper:
    shelves = store.knowledge_documents, store.knowledge_figures, store.knowledge_upkeep, store.knowledge_comparisons
    return Keeper(*shelves, lambda *_: (), clock, Rules())


def living(shelf) -> list[str]:
    return [one.document.id for one in shelf.list("t", "c")]


def test_the_last_word_on_a_pair_stands(keeper, upkeep, shelf) -> None:
    """Who keeps the other one after all finds that one again; who keeps both finds both."""
    upkeep.ask("t", "c", [pair("a", "b")])
    assert keeper.decide("t", "c", ("a", "b"), "a", "dana").state == "merged"
    assert living(shelf) == ["a", "c", "d"]
    keeper.decide("t", "c", ("a", "b"), "b", "dana")
    assert living(shelf) == ["b", "c", "d"]
    assert keeper.decide("t", "c", ("a", "b"), None, "dana").state == "kept"
    assert living(shelf) == ["a", "b", "c", "d"]


def test_nothing_is_archived_in_place_of_what_cannot_be_found(keeper, upkeep, shelf) -> None:
    upkeep.ask("t", "c", [pair("a", "b")])
    upkeep.archive("t", "c", "another", notes("a"))
    with pytest.raises(Conflict, match="'a' cannot be found"):
        keeper.decide("t", "c", ("a", "b"), "a", "dana")
    assert living(shelf) == ["b", "c", "d"]
    assert [one.state for one in upkeep.pairs("t", "c", state=None)] == ["open"]
    assert keeper.decide("t", "c", ("a", "b"), "b", "dana").state == "merged"
    assert living(shelf) == ["b", "c", "d"]


def test_of_two_that_say_the_same_one_stays_whoever_archives_meanwhile(store, keeper, upkeep, shelf) -> None:
    """Two who apply plans at once may each keep another one: the store looks again while it archives."""
    shelf.put("t", "c", [document("same", LONG), document("sane", LONG)])
    planned = keeper.plan("t", "c", stale=False).pruning.entries
    assert [(one.id, one.kept_instead) for one in planned] == [("sane", "same")]

    class Meanwhile:
        def archive(self, *given):
            upkeep.archive("t", "c", "another", [ArchiveNote(document="same", why="says the same as sane")])
            return upkeep.archive(*given)

        def __getattr__(self, name: str):
            return getattr(upkeep, name)

    shelves = store.knowledge_documents, store.knowledge_figures, Meanwhile(), store.knowledge_comparisons
    other = Keeper(*shelves, lambda *_: (), lambda: 0, Rules())  # type: ignore[arg-type]
    done = other.plan("t", "c", stale=False, apply=True)
    assert (done.archived, done.left) == (0, ("sane",))
    assert "sane" in living(shelf)


def test_many_pairs_hold_the_collection_for_a_moment_at_a_time(store, upkeep, shelf) -> None:
    """Who puts a document while upkeep notes ten thousand pairs does not wait for all of them."""
    ids = [f"n{at}" for at in range(60)]
    shelf.put("t", "c", [document(id) for id in ids])
    pairs = [pair(one, other) for one in ids for other in ids if one < other]
    asked: list[int] = []
    event.listen(store.engine, "commit", lambda connection: asked.append(1))
    assert upkeep.ask("t", "c", [*pairs, *pairs[:9]]) == len(pairs) == 1770
    assert len(asked) >= 4
    assert upkeep.ask("t", "c", pairs) == 0
    shelf.delete("t", "c", ["n0"])
    assert (len(upkeep.pairs("t", "c", limit=500)), upkeep.waiting("t", "c")) == (500, 1770 - 59)
