"""What the database sums up of a collection is what one would find who read every document of it."""

from __future__ import annotations

import random
from collections import Counter

import pytest
import sqlalchemy as sa

from meliora.errors import NotFound
from meliora.knowledge.documents import CATEGORIES, Kept
from meliora.knowledge.front import Opinion
from meliora.knowledge.quality.records import Searched
from meliora.knowledge.upkeep import keeper as keeping
from meliora.knowledge.upkeep.keeper import Keeper
from meliora.knowledge.upkeep.plan import Rules, plan
from meliora.knowledge.upkeep.relevance import Relevance
from meliora.knowledge.upkeep.staleness import DAY_US, ageing, all_stale
from meliora.store.engine import writing
from meliora.store.tables import knowledge_documents as table
from tests.store.test_knowledge_documents import document

COUNT = 300
DAYS = {"own": 20.0, "configuration": 0.5}


@pytest.fixture
def now(clock) -> int:
    return clock() + 1_000_000


@pytest.fixture
def shelf(store, now):
    rng = random.Random(3)
    ids = [f"{rng.choice('aBäz')}{at}" for at in range(COUNT)]
    categories = [*CATEGORIES, "", "own", "none", "other"]
    made = [
        document(id, category=rng.choice(categories), source=rng.choice(("", "none", f"s{rng.randrange(40)}")))
        for id in ids
    ]
    store.knowledge_documents.put("t", "c", made)
    store.knowledge_documents.put("t", "elsewhere", [document("x", category="own")])
    store.knowledge_documents.put("u", "c", [document(id, category="own") for id in ids[:9]])
    with writing(store.engine) as connection:
        for id in ids:
            own = sa.and_(table.c.tenant == "t", table.c.collection == "c", table.c.id == id)
            # half of the times in whole days, so that many documents are equally sure and some stand at their limit
            added, updated, used = (now - rng.randrange(0, 400) * DAY_US // rng.choice((1, 7)) for _ in range(3))
            values = {"added_us": rng.choice((0, added, added)), "updated_us": updated}
            values |= {"accessed_us": used, "accesses": rng.randrange(5)} if rng.random() < 0.5 else {}
            values |= {"state": "archived"} if rng.random() < 0.1 else {}
            connection.execute(sa.update(table).where(own).values(**values))
    return store.knowledge_documents


def read(shelf) -> list[Kept]:
    found = list(shelf.list("t", "c", limit=500))
    assert 200 < len(found) < COUNT
    return found


def kept_by(store, now: int, searches: tuple[Searched, ...] = (), **rules) -> Keeper:
    shelves = store.knowledge_documents, store.knowledge_figures, store.knowledge_upkeep, store.knowledge_comparisons
    return Keeper(*shelves, lambda *_: searches, lambda: now, Rules(stale_days=DAYS, **rules))


def test_sums_are_those_of_all_documents_read(store, shelf, now) -> None:
    every = read(shelf)
    found = store.knowledge_figures.figures("t", "c", ageing(now, DAYS))
    stale = Counter(one.category for one in all_stale(every, now, DAYS))
    assert stale.total() > 20
    assert {one.category: one.stale for one in found.categories} == {
        name: stale[name] for name in {d.document.category for d in every}
    }
    assert Counter({one.category: one.documents for one in found.categories}) == Counter(
        d.document.category for d in every
    )
    assert found.accesses == sum(one.accesses for one in every)
    assert found.never_accessed == sum(one.accessed_us is None for one in every)
    firsts = list(dict.fromkeys(one.document.category for one in every))
    assert [one.category for one in found.categories] == firsts
    assert store.knowledge_figures.figures("t", "unknown", ageing(now)).documents == 0


@pytest.mark.parametrize("most", [3, 100])
def test_sources_are_the_first_ones_counted(store, shelf, now, most: int) -> None:
    expected: dict[str, int] = {}
    for one in [*read(shelf), *shelf.list("t", "elsewhere")]:
        source = one.document.source or "none"
        if source in expected or len(expected) < most:
            expected[source] = expected.get(source, 0) + 1
    found = kept_by(store, now).sources("t", ["c", "elsewhere"], most, "none")
    assert list(found.items()) == list(expected.items())


def test_the_stalest_come_in_the_order_of_all_of_them(store, shelf, now) -> None:
    keeper = kept_by(store, now)
    expected = all_stale(read(shelf), now, DAYS)
    assert keeper.stale("t", "c") == expected
    assert keeper.stale("t", "c", 7) == expected[:7]
    with pytest.raises(NotFound):
        keeper.stale("t", "unknown")


@pytest.mark.parametrize("least", [0.0, 0.55, 0.8, 0.9, 1.0])
@pytest.mark.parametrize("most", [5, 500])
def test_a_plan_is_that_of_all_documents_read(store, shelf, now, monkeypatch, least: float, most: int) -> None:
    monkeypatch.setattr(keeping, "MOST_COMPARED", 0)
    monkeypatch.setattr(keeping, "MOST_ENTRIES", most)
    every = read(shelf)
    ids = [one.document.id for one in every]
    bad = {id: Relevance(score=0.001, evidence=90, weight=90) for id in [*ids[::3], "gone"]}
    rules = {"protected": ("history", "own"), "least": least}
    keeper = kept_by(store, now, **rules)
    monkeypatch.setattr(keeper, "_relevances", lambda *_: bad)
    whole = plan("c", every, now, relevances=bad, rules=Rules(stale_days=DAYS, **rules))
    surest = sorted(whole.entries, key=lambda one: (-one.confidence, one.id))[:most]
    found = keeper.plan("t", "c", redundant=False).pruning
    assert list(found.entries) == sorted(surest, key=lambda one: one.id)
    assert found.protected == whole.protected > 0


def test_only_live_documents_are_given_by_id_and_without_their_texts(store, shelf) -> None:
    every = {one.document.id: one for one in shelf.list("t", "c", state=None, limit=500)}
    found = store.knowledge_figures.light("t", "c", [*every, "unknown"])
    assert set(found) == {id for id, one in every.items() if one.state == "live"}
    assert {one.document.text for one in found.values()} == {""}
    assert all(one.hash == every[id].hash and one.accessed_us == every[id].accessed_us for id, one in found.items())


def test_stale_ones_are_counted_within_categories(store, shelf, now) -> None:
    stale = [one for one in all_stale(read(shelf), now, DAYS) if one.confidence >= 0.8 and one.category == "own"]
    count = store.knowledge_figures.count_stale("t", "c", ageing(now, DAYS), 0.8, ["own"])
    assert count == len(stale) > 0


def test_documents_are_compared_again_after_a_change_alone(store, shelf, now, feed, monkeypatch) -> None:
    times: list[int] = []
    compare = keeping.redundant
    monkeypatch.setattr(keeping, "redundant", lambda kept: times.append(len(kept)) or compare(kept))
    text = "the door of the archive is kept locked while the owner of the house is away in the summer"
    shelf.put("default", "d", [document("a", text), document("b", text + ".")])
    keeper = kept_by(store, now)
    assert keeper.health(keeper.look("default", "d")).redundant == 1
    assert keeper.health(keeper.look("default", "d")).redundant == 1
    assert times == [2]
    assert keeper.compared("default", "d").found.pairs[0].kept == "a"
    store.searches.give("default", Opinion(search=feed.search(collection="d").id, said="click", document="b"))
    shelf.note_uses("default", "d", 0, 0.5)
    assert keeper.health(keeper.look("default", "d", worth=False)).redundant == 1
    assert times == [2]
    assert keeper.compared("default", "d").found.pairs[0].kept == "b"  # the one that is used stays
    assert times == [2, 2]
    shelf.put("default", "d", [document("b", "something else")])
    assert keeper.health(keeper.look("default", "d", worth=False)).redundant == 0
