"""Retries stay within a share of the traffic; waits grow, and honour what the upstream asked for."""

from hypothesis import given
from hypothesis import strategies as st

from meliora.gateway.retry import RetryBudget, backoff
from meliora.settings import models


def test_the_floor_is_allowed_without_any_traffic():
    budget = RetryBudget(models.Retry(budget_ratio=0.2, budget_floor=0.5))
    assert [budget.allow(1.0) for _ in range(6)] == [True] * 5 + [False]


def test_the_share_grows_with_the_calls():
    budget = RetryBudget(models.Retry(budget_ratio=0.2, budget_floor=0))
    assert not budget.allow(1.0)
    for _ in range(50):
        budget.call(1.0)
    assert sum(budget.allow(2.0) for _ in range(50)) == 10


def test_what_is_ten_seconds_old_is_forgotten():
    budget = RetryBudget(models.Retry(budget_ratio=0.2, budget_floor=0.1))
    assert budget.allow(1.0)
    assert not budget.allow(10.5)
    assert budget.allow(11.0)


def test_waits_double_up_to_the_longest():
    settings = models.Retry(backoff=0.2, backoff_max=5)
    assert [backoff(n, None, 1.0, settings) for n in (1, 2, 3, 10, 1000)] == [0.2, 0.4, 0.8, 5, 5]


@given(st.integers(1, 50), st.floats(0, 1), st.none() | st.floats(0, 100))
def test_a_wait_is_never_shorter_than_asked_and_never_wild(attempt, random, asked):
    settings = models.Retry()
    wait = backoff(attempt, asked, random, settings)
    assert wait >= max(asked or 0, 0)
    assert wait <= max(settings.backoff_max, (asked or 0) + settings.backoff_max)
