"""What is looked into at times: the index also where what an earlier look at searches brought up is still on its way."""

from __future__ import annotations

import pytest

from meliora.loop.change import Origin
from meliora.loop.gates.signals import Schedule
from meliora.runtime.schedules import SEARCH_REPAIRS, schedules_of
from meliora.settings.loop import Loop as LoopSettings
from meliora.store import Store
from meliora.testing import FrozenClock

ORIGIN = Origin("schedule", "searches")


def index(store: Store) -> Schedule:
    return next(one for one in schedules_of(LoopSettings(), store, SEARCH_REPAIRS) if one.name == "index")


def looked(store: Store, clock: FrozenClock, *kinds: str) -> str:
    """Let a look at searches have brought up changes of these kinds."""
    cycle = store.cycles.open(
        "default", environment="production", origin=ORIGIN, subject="searches", kinds=SEARCH_REPAIRS
    )
    assert cycle is not None
    for kind in kinds:
        clock.advance(60)
        store.changes.add(
            "default",
            kind=kind,
            target=kind,
            surface="search",
            environment="production",
            origin=ORIGIN,
            cycle=cycle.id,
        )
    return cycle.id


def test_the_index_has_no_look_of_its_own_where_searches_are_looked_into(store: Store, clock: FrozenClock) -> None:
    assert not index(store).wanted("default")
    cycle = looked(store, clock, "reranker")
    assert not index(store).wanted("default"), "this night's look is under way"
    store.cycles.close("default", cycle, "unchanged")
    clock.advance(86_400)
    assert not index(store).wanted("default")


def test_it_has_one_while_an_earlier_change_is_on_its_way(store: Store, clock: FrozenClock) -> None:
    looked(store, clock, "query_repair", "reranker")
    clock.advance(86_400)
    assert index(store).wanted("default")
    assert not index(store).wanted("other")


@pytest.mark.parametrize("kinds", [(), ("query_repair", "reindex")])
def test_a_new_index_that_waits_for_a_person_is_not_proposed_a_second_time(
    store: Store, clock: FrozenClock, kinds: tuple[str, ...]
) -> None:
    looked(store, clock, *kinds)
    clock.advance(86_400)
    assert not index(store).wanted("default")


def test_only_kinds_that_there_are_are_scheduled(store: Store) -> None:
    scheduled = {one.name: one.kinds for one in schedules_of(LoopSettings(), store, ("routing_policy",))}
    assert scheduled == {"retrain": ("routing_policy",), "searches": (), "index": ()}
