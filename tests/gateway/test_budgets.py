"""Budgets are leased in slices; over several gateways the overshoot stays within what is declared."""

from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meliora.errors import BudgetExhausted
from meliora.gateway.budgets import PATIENCE_US, BudgetLedger
from meliora.gateway.state import KeyState, LeaseGrant, LeaseWish
from meliora.settings.models import Gateway

NOW = 1_795_219_200_000_000  # 2026-11-21, an hour of the day
DAY = 86_400_000_000
BUDGET = 1000
SLICE = 100


def key(**more) -> KeyState:
    return KeyState(id="k", tenant="t", hashes=(), **({"budget_day_micros": BUDGET} | more))


def ledger(without_store: str = "allow") -> BudgetLedger:
    return BudgetLedger(Gateway.model_validate({"budget_slice": SLICE / BUDGET, "budget_without_store": without_store}))


class Lessor:
    """Grants what is left of a budget, and never more in total."""

    def __init__(self, budget: int = BUDGET) -> None:
        self.budget = budget
        self.granted: dict[tuple[str, str], int] = defaultdict(int)
        self.spent: dict[tuple[str, str], int] = defaultdict(int)

    def lease(self, wishes: list[LeaseWish]) -> list[LeaseGrant]:
        grants = []
        for wish in wishes:
            name = (wish.key_id, wish.period)
            self.spent[name] += wish.spent_micros
            give = max(0, min(wish.want_micros, self.budget - self.granted[name]))
            self.granted[name] += give
            exhausted = wish.want_micros > 0 and give < wish.want_micros
            grants.append(LeaseGrant(wish.key_id, wish.period, give, exhausted))
        return grants


def spend(books: BudgetLedger, cost: int, now: int = NOW, who: KeyState | None = None) -> None:
    books.settle(books.reserve(who or key(), cost, now), cost)


def test_a_key_without_a_budget_is_never_asked():
    books = ledger()
    spend(books, 10**9, who=KeyState(id="free", tenant="t", hashes=()))
    assert books.wishes(NOW) == []


def test_it_asks_ahead_when_less_than_half_a_slice_is_left():
    books, lessor = ledger(), Lessor()
    spend(books, 1)
    wishes = books.wishes(NOW)
    assert wishes == [LeaseWish("k", "day:2026-11-21", 1, SLICE + 1, 1, -1)]
    books.grant(lessor.lease(wishes))
    spend(books, 40)
    assert books.wishes(NOW)[0].want_micros == 0
    books.grant([])
    assert not books.urgent
    spend(books, 11)
    assert books.urgent
    assert books.wishes(NOW)[0].want_micros == 51


def test_an_exhausted_budget_refuses_until_the_next_day_begins():
    books, lessor = ledger(), Lessor(50)
    spend(books, 60)
    books.grant(lessor.lease(books.wishes(NOW)))
    with pytest.raises(BudgetExhausted, match="day is used up"):
        books.reserve(key(), 1, NOW)
    spend(books, 1, NOW + DAY)


def test_a_month_and_a_day_are_both_kept():
    books = ledger()
    both = key(budget_month_micros=10 * BUDGET)
    spend(books, 5, who=both)
    assert {w.period for w in books.wishes(NOW)} == {"day:2026-11-21", "month:2026-11"}
    books.grant([LeaseGrant("k", "day:2026-11-21", 500), LeaseGrant("k", "month:2026-11", 0, exhausted=True)])
    with pytest.raises(BudgetExhausted, match="month"):
        books.reserve(both, 1, NOW)


def test_calls_in_flight_are_set_aside():
    books = ledger()
    books.wishes(NOW)
    spend(books, 0)
    books.grant([LeaseGrant("k", "day:2026-11-21", 100, exhausted=True)])
    first = books.reserve(key(), 100, NOW)
    with pytest.raises(BudgetExhausted):
        books.reserve(key(), 1, NOW)
    books.settle(first, 10)
    books.settle(first, 10)
    assert books.held("k", "day:2026-11-21") == 90


def test_an_unknown_cost_charges_the_estimate():
    books = ledger()
    books.settle(books.reserve(key(), 30, NOW), None)
    assert books.wishes(NOW)[0].spent_micros == 30


def test_a_report_that_was_not_answered_is_made_again():
    books = ledger()
    spend(books, 30)
    assert books.wishes(NOW)[0].spent_micros == 30
    spend(books, 5)
    assert books.wishes(NOW)[0].spent_micros == 35
    books.grant([])
    spend(books, 1)
    assert books.wishes(NOW)[0].spent_micros == 1


def test_without_the_store_the_setting_decides():
    later = NOW + PATIENCE_US + 1
    for mode, passes in (("allow", True), ("deny", False)):
        books = ledger(mode)
        spend(books, SLICE - 1)
        books.wishes(NOW)
        if passes:
            spend(books, 10 * BUDGET, later)
            spend(books, 10 * BUDGET, later)
        else:
            with pytest.raises(BudgetExhausted) as caught:
                books.reserve(key(), 1, later)
            assert caught.value.retry_after


def test_a_budget_of_zero_lets_nothing_pass():
    with pytest.raises(BudgetExhausted):
        ledger().reserve(key(budget_day_micros=0), 1, NOW)


def test_a_call_over_midnight_is_charged_to_the_day_it_began_in():
    books = ledger()
    call = books.reserve(key(), 10, NOW)
    assert books.wishes(NOW + DAY) == []
    books.settle(call, 12)
    assert books.wishes(NOW + DAY) == [LeaseWish("k", "day:2026-11-21", 12, 0, 12, -12)]
    books.grant([])
    books.wishes(NOW + DAY)
    assert books.held("k", "day:2026-11-21") is None, "periods that are over are forgotten"


def test_a_clock_that_jumps_back_begins_the_old_period_again():
    books = ledger()
    spend(books, 10, NOW + DAY)
    spend(books, 10, NOW)
    assert {w.period for w in books.wishes(NOW)} == {"day:2026-11-21", "day:2026-11-22"}


Step = st.tuples(
    st.sampled_from(["reserve", "settle", "tick", "tick", "lost"]),
    st.integers(0, 3),
    st.integers(1, 60),
    st.integers(0, 40),
)


@settings(max_examples=150)
@given(st.integers(1, 4), st.lists(Step, max_size=150))
def test_the_overshoot_of_any_number_of_gateways_stays_within_what_is_declared(gateways, steps):
    lessor = Lessor()
    books = [ledger() for _ in range(gateways)]
    flying: list[list] = [[] for _ in books]
    spent = above = 0
    for what, which, cost, more in steps:
        which %= gateways
        if what == "reserve":
            try:
                flying[which].append((books[which].reserve(key(), cost, NOW), cost + more))
            except BudgetExhausted:
                continue
        elif what == "settle" and flying[which]:
            call, actual = flying[which].pop()
            books[which].settle(call, actual)
            spent += actual
            above += max(0, actual - call.estimate)
        elif what == "tick":
            books[which].grant(lessor.lease(books[which].wishes(NOW)))
        elif what == "lost":
            lessor.lease(books[which].wishes(NOW))
    for which, calls in enumerate(flying):
        for call, actual in calls:
            books[which].settle(call, actual)
            spent += actual
            above += max(0, actual - call.estimate)
    assert spent <= BUDGET + gateways * (SLICE + 60) + above


@given(st.lists(st.integers(1, 30), max_size=100))
def test_with_a_store_that_answers_all_that_is_spent_is_reported_once(costs):
    lessor, books, spent = Lessor(10**9), ledger(), 0
    for cost in costs:
        try:
            spend(books, cost)
            spent += cost
        except BudgetExhausted:
            pass
        books.grant(lessor.lease(books.wishes(NOW)))
    assert sum(lessor.spent.values()) == spent
    assert spent == sum(costs), "and nothing is refused while the budget lasts"


def test_what_is_spent_counts_others_as_the_store_says_and_calls_in_flight_at_their_estimate():
    books, who = ledger(), key(budget_month_micros=10 * BUDGET)
    assert books.spent(who, NOW) == (None, None), "nothing was heard yet"
    spend(books, 30, who=who)
    wishes = books.wishes(NOW)
    spend(books, 5, who=who)  # while the report is on its way
    books.grant([LeaseGrant(w.key_id, w.period, SLICE, spent_micros=w.spent_micros + 100) for w in wishes])
    assert books.spent(who, NOW) == (135, 135)
    books.reserve(who, 7, NOW)
    assert books.spent(who, NOW) == (142, 142)
    assert books.spent(KeyState(id="other", tenant="t", hashes=()), NOW) == (None, None)
    assert books.spent(who, NOW + DAY) == (None, 142), "another day begins without a word of it, in the same month"
