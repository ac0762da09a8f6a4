"""What a cycle cost, and what is noted of it first."""

from __future__ import annotations

from meliora.loop.change import Origin
from meliora.loop.cycle import Cycle
from meliora.store import Store
from tests.store.conftest import Feed

OWN = ("loop", "routing")
EVER = (0, 2**60)


def opened(store: Store, tenant: str = "acme") -> Cycle:
    made = store.cycles.open(
        tenant, environment="staging", origin=Origin("gate", "g"), subject="g", kinds=("routing_rule",)
    )
    assert made is not None
    return made


def test_a_cycle_costs_what_the_loops_own_calls_of_its_tenant_and_time_cost(store: Store, feed: Feed) -> None:
    assert store.cycles.cost_micros("acme", *EVER, OWN) == 0
    feed.call(tenant="acme", feature="loop", cost_micros=30)
    feed.call(tenant="acme", feature="routing", cost_micros=4)
    feed.call(tenant="acme", feature="chat", cost_micros=1000)
    feed.call(tenant="other", feature="loop", cost_micros=1000)
    assert store.cycles.cost_micros("acme", *EVER, OWN) == 34
    assert store.cycles.cost_micros("acme", 0, 1, OWN) == 0


def test_a_call_of_unknown_price_makes_the_cost_unknown(store: Store, feed: Feed) -> None:
    feed.call(tenant="acme", feature="loop", cost_micros=30)
    feed.call(tenant="acme", feature="loop", cost_micros=None)
    assert store.cycles.cost_micros("acme", *EVER, OWN) is None


def test_what_is_settled_first_stays_and_other_notes_come_beside_it(store: Store) -> None:
    cycle = opened(store)
    store.cycles.settle("acme", cycle.id, {"a": 1})
    assert store.cycles.settle("acme", cycle.id, {"a": 2, "b": 3}).notes == {"a": 1, "b": 3}


def test_cycles_of_a_time_are_those_open_at_any_moment_of_it(store: Store) -> None:
    cycle = opened(store)
    assert [one.id for one in store.cycles.within("acme", 0, cycle.opened_us + 1)] == [cycle.id]
    assert store.cycles.within("acme", 0, cycle.opened_us) == ()
    ended = store.cycles.close("acme", cycle.id, "unchanged").closed_us
    assert ended is not None
    assert store.cycles.within("acme", ended + 1, ended + 9) == ()
    assert [one.id for one in store.cycles.closed(0)] == [cycle.id]
    assert store.cycles.closed(ended + 1) == ()
