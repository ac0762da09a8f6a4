"""Slices of a budget never add up to more than the budget, whoever dies, reports twice, or comes late."""

from __future__ import annotations

import random
import threading

import pytest

from meliora.errors import NotFound
from meliora.gateway.state import LeaseWish
from meliora.store.gateways import ALIVE_US, Heartbeat
from meliora.store.keys import KeyWish

DAY_US = 86_400_000_000
DAY, MONTH = "day:2026-11-21", "month:2026-11"
BUDGET = 1000  # a slice of 5% is 50


@pytest.fixture
def key(store) -> str:
    return store.keys.create("default", KeyWish(budget_day_micros=BUDGET)).key.id


@pytest.fixture
def beat(store, clock):
    def alive(*names: str) -> None:
        for name in names:
            store.gateways.beat(Heartbeat(id=name, version="0", format=1, host="h", pid=1, started_us=1), clock.now)

    return alive


@pytest.fixture
def ask(store, clock):
    def lease(gateway: str, key: str, *, spent: int = 0, want: int = 50, period: str = DAY, **more):
        return store.budgets.lease(gateway, [LeaseWish(key, period, spent, want, **more)], clock())[0]

    return lease


def test_a_gateway_gets_what_it_wants_up_to_a_slice(key, ask) -> None:
    assert ask("g1", key, want=30).granted_micros == 30
    assert ask("g1", key, want=900).granted_micros == 50


def test_grants_end_where_the_budget_does(store, clock, key, ask) -> None:
    grants = [ask(f"g{place}", key) for place in range(21)]
    assert sum(grant.granted_micros for grant in grants) == BUDGET
    assert (grants[-1].granted_micros, grants[-1].exhausted) == (0, True)
    day, month = store.budgets.status("default", key, clock.now)
    assert (day.budget_micros, day.spent_micros, day.held_micros, day.left_micros) == (BUDGET, 0, BUDGET, 0)
    assert (month.budget_micros, month.left_micros) == (None, None)


def test_what_is_reported_as_spent_stays_spent(store, clock, key, ask) -> None:
    ask("g1", key)
    ask("g1", key, spent=40, want=0)
    day, _ = store.budgets.status("default", key, clock.now)
    assert (day.spent_micros, day.held_micros) == (40, 10)


def test_an_overdraft_is_paid_out_of_the_next_grant(store, clock, key, ask) -> None:
    ask("g1", key)
    assert ask("g1", key, spent=70, want=70).granted_micros == 70
    day, _ = store.budgets.status("default", key, clock.now)
    assert (day.spent_micros, day.held_micros) == (70, 50)


def test_a_dead_gateways_slice_comes_back_less_what_its_calls_cost(store, feed, clock, key, ask, beat) -> None:
    beat("g1", "g2")
    ask("g1", key)
    feed.call(key_id=key, gateway="g1", cost_micros=35)
    clock.now += ALIVE_US + 1
    beat("g2")
    ask("g2", key)
    day, _ = store.budgets.status("default", key, clock.now)
    assert (day.spent_micros, day.held_micros) == (35, 50)
    feed.call(key_id=key, gateway="g1", cost_micros=20)  # was still in its spool
    ask("g2", key, want=0)
    assert store.budgets.status("default", key, clock.now)[0].spent_micros == 55


def test_a_gateway_that_was_taken_for_dead_is_not_counted_twice(store, feed, clock, key, ask, beat) -> None:
    beat("g1")
    ask("g1", key)
    feed.call(key_id=key, gateway="g1", cost_micros=35)
    clock.now += ALIVE_US + 1
    beat("g2")
    ask("g2", key)
    beat("g1")
    ask("g1", key, spent=35, want=0)
    assert store.budgets.status("default", key, clock.now)[0].spent_micros == 35


def test_a_running_total_makes_a_repeated_report_harmless(store, clock, key, ask) -> None:
    ask("g1", key)
    for _ in range(3):
        ask("g1", key, spent=40, want=0, total_micros=40, held_micros=10)
    day, _ = store.budgets.status("default", key, clock.now)
    assert (day.spent_micros, day.held_micros) == (40, 10)


def test_grants_that_never_arrived_are_not_held_for_ever(store, clock, key, ask) -> None:
    for _ in range(40):
        granted = ask("g1", key, want=50, held_micros=0, total_micros=0)
    assert granted.granted_micros == 50
    assert store.budgets.status("default", key, clock.now)[0].held_micros == 50


def test_a_past_period_is_noted_and_grants_nothing(store, clock, key, ask) -> None:
    ask("g1", key)
    clock.now += DAY_US
    late = ask("g1", key, spent=30, want=50)
    assert late.granted_micros == 0
    assert ask("g1", key, period="day:2026-11-22").granted_micros == 50
    assert store.budgets.status("default", key, clock.now)[0].spent_micros == 0


def test_without_a_budget_all_is_granted_and_without_a_key_nothing(store, clock, key, ask) -> None:
    assert ask("g1", key, want=10**9, period=MONTH).granted_micros == 10**9
    unknown = ask("g1", "key_none")
    assert (unknown.granted_micros, unknown.exhausted) == (0, True)
    store.keys.revoke("default", key)
    assert ask("g1", key).granted_micros == 0
    with pytest.raises(NotFound):
        store.budgets.status("acme", key, clock.now)


def test_many_gateways_at_once_never_get_more_than_the_budget(store, clock, key) -> None:
    held = {f"g{place}": 0 for place in range(4)}
    spent = dict.fromkeys(held, 0)

    def run(gateway: str) -> None:
        source = random.Random(gateway)
        for _ in range(12):
            use = source.randint(0, held[gateway])
            wish = LeaseWish(key, DAY, use, source.randint(0, 60))
            grant = store.budgets.lease(gateway, [wish], clock())[0]
            spent[gateway] += use
            held[gateway] += grant.granted_micros - use

    threads = [threading.Thread(target=run, args=(gateway,)) for gateway in held]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(spent.values()) + sum(held.values()) <= BUDGET
    day, _ = store.budgets.status("default", key, clock.now)
    assert (day.spent_micros, day.held_micros) == (sum(spent.values()), sum(held.values()))
