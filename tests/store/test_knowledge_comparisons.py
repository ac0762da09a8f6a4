"""Of several workers one compares a collection; what it found is told with its time, and of what changed since nothing."""

from __future__ import annotations

import threading

import pytest

from meliora.errors import InvalidRequest, NotFound
from meliora.knowledge.upkeep import keeper as keeping
from meliora.knowledge.upkeep.keeper import LEASE_US, Keeper
from meliora.knowledge.upkeep.plan import Rules, plan
from meliora.knowledge.upkeep.redundancy import Pair
from meliora.knowledge.upkeep.staleness import DAY_US
from meliora.testing import FrozenClock
from tests.store.test_knowledge_documents import document

TEXT = "the door of the archive is kept locked while the owner of the house is away in the summer of {}"
EVERY = DAY_US


@pytest.fixture
def shelf(store):
    """Keep three subjects, the first two of them twice."""
    twice = [document(f"{name}{at}", TEXT.format(name) + "." * at) for name in ("rome", "oslo") for at in (0, 1)]
    store.knowledge_documents.put("t", "c", [*twice, document("lone", "another thing altogether, of other words")])
    return store.knowledge_documents


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every collection be too large to be compared while somebody waits."""
    monkeypatch.setattr(keeping, "MOST_COMPARED", 0)


def kept_by(store, clock) -> Keeper:
    shelves = store.knowledge_documents, store.knowledge_figures, store.knowledge_upkeep, store.knowledge_comparisons
    return Keeper(*shelves, lambda *_: (), clock, Rules())


def pairs_of(keeper: Keeper) -> set[frozenset[str]]:
    known = keeper.compared("t", "c")
    assert known is not None
    return {frozenset((one.kept, one.archived)) for one in known.found.pairs}


ROME, OSLO = frozenset(("rome0", "rome1")), frozenset(("oslo0", "oslo1"))


def test_what_was_never_compared_is_unknown_and_says_so(store, shelf, clock, large) -> None:
    keeper = kept_by(store, clock)
    assert keeper.compared("t", "c") is None
    assert "redundant" in keeper.health(keeper.look("t", "c")).unknown
    with pytest.raises(InvalidRequest, match="never compared"):
        keeper.plan("t", "c", stale=False)
    with pytest.raises(NotFound):
        keeper.compared("t", "unknown")


def test_nobody_who_asks_reads_a_large_collection(store, shelf, clock, large, monkeypatch) -> None:
    keeper = kept_by(store, clock)
    keeper.compare("t", "c")

    def read(*_given: object, **_more: object) -> None:
        raise AssertionError("the documents were read")

    monkeypatch.setattr(store.knowledge_documents, "list", read)
    assert pairs_of(keeper) == {ROME, OSLO}
    assert keeper.health(keeper.look("t", "c")).redundant == 2
    found = keeper.plan("t", "c", stale=False).pruning
    assert {frozenset((one.id, one.kept_instead)) for one in found.entries} == {ROME, OSLO}


def test_long_texts_are_not_compared_while_somebody_waits(store, shelf, clock, monkeypatch) -> None:
    keeper = kept_by(store, clock)
    assert pairs_of(keeper) == {ROME, OSLO}
    monkeypatch.setattr(keeping, "MOST_CHARACTERS", 400)
    assert kept_by(store, clock).compared("t", "c") is None


def test_a_plan_by_the_record_is_that_of_all_documents(store, shelf, clock, large) -> None:
    keeper = kept_by(store, clock)
    keeper.compare("t", "c")
    known = keeper.compared("t", "c")
    assert known is not None and known.recorded
    whole = plan("c", list(shelf.list("t", "c")), clock(), redundancy=known.found, rules=Rules())
    assert keeper.plan("t", "c").pruning == whole
    assert len(whole.entries) == 2


def test_of_what_changed_since_no_pair_tells(store, shelf, clock, large) -> None:
    keeper = kept_by(store, clock)
    keeper.compare("t", "c")
    shelf.put("t", "c", [document("rome1", "something else")])
    known = keeper.compared("t", "c")
    assert known is not None and known.changed and known.total == 1
    assert pairs_of(keeper) == {OSLO}
    shelf.delete("t", "c", ["oslo0"])
    assert pairs_of(keeper) == set()
    assert keeper.plan("t", "c", stale=False).pruning.entries == ()


def test_who_was_erased_while_it_was_compared_stands_in_no_pair(store, shelf, clock) -> None:
    latest = shelf.latest("t", "c")
    shelf.delete("t", "c", ["rome0"])
    found = [Pair(kept="rome0", archived="rome1", containment=1.0, ratio=1.0)]
    assert store.knowledge_comparisons.note("t", "c", latest, found, 5, 0)
    with store.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM knowledge_doubles").scalar_one() == 0


def test_an_older_comparison_does_not_take_the_place_of_a_later_one(store, shelf, clock) -> None:
    later = shelf.latest("t", "c")
    found = [Pair(kept="rome0", archived="rome1", containment=1.0, ratio=1.0)]
    assert store.knowledge_comparisons.note("t", "c", later, found, 5, 0)
    assert not store.knowledge_comparisons.note("t", "c", later - 1, [], 4, 0)
    assert store.knowledge_comparisons.last("t", "c", 10).total == 1


def test_one_of_several_workers_compares_and_another_takes_over_from_the_dead(store, shelf) -> None:
    clock = FrozenClock()
    comparisons = store.knowledge_comparisons
    comparisons._clock_us = clock.now_us
    claim = comparisons.claim
    assert claim("t", "c", "one", EVERY, LEASE_US)
    assert claim("t", "c", "one", EVERY, LEASE_US), "who failed at it tries again"
    assert not claim("t", "c", "two", EVERY, LEASE_US)
    clock.advance(LEASE_US / 1e6 - 1)
    assert not claim("t", "c", "two", EVERY, LEASE_US)
    clock.advance(1)
    assert claim("t", "c", "two", EVERY, LEASE_US)
    assert not claim("t", "c", "one", EVERY, LEASE_US)
    comparisons.note("t", "c", shelf.latest("t", "c"), [], 5, 0)
    clock.advance(EVERY / 1e6)
    assert not claim("t", "c", "one", EVERY, LEASE_US), "nothing changed since"
    shelf.put("t", "c", [document("new")])
    assert claim("t", "c", "one", EVERY, LEASE_US)
    comparisons.note("t", "c", shelf.latest("t", "c"), [], 6, 0)
    shelf.put("t", "c", [document("newer")])
    assert not claim("t", "c", "one", EVERY, LEASE_US), "it is not due"


def test_workers_that_look_at_the_same_moment_compare_once(store, shelf, clock, monkeypatch) -> None:
    compared: list[str] = []
    compare = keeping.redundant
    monkeypatch.setattr(keeping, "redundant", lambda kept: compared.append("once") or compare(kept))
    keepers = [kept_by(store, clock) for _ in range(4)]
    start = threading.Barrier(len(keepers))

    def look(at: int) -> None:
        start.wait()
        keepers[at].compare_if_due("t", "c", f"worker {at}", EVERY)

    threads = [threading.Thread(target=look, args=(at,)) for at in range(len(keepers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert compared == ["once"]
    assert store.knowledge_comparisons.last("t", "c", 10).total == 2


def test_a_dropped_collection_leaves_no_comparison(store, shelf, clock) -> None:
    kept_by(store, clock).compare("t", "c")
    shelf.drop("t", "c")
    shelf.put("t", "c", [document("a")])
    assert store.knowledge_comparisons.last("t", "c", 10) is None
