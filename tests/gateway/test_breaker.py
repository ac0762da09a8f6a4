"""The breaker opens on a share of failures, probes once, and comes back."""

from hypothesis import given
from hypothesis import strategies as st

from meliora.gateway.breaker import Breaker
from meliora.settings import models

SETTINGS = models.Breaker(window=30, min_calls=10, failure_ratio=0.5, open_seconds=10)


def opened(at: float = 100.0) -> Breaker:
    breaker = Breaker(SETTINGS)
    for _ in range(10):
        breaker.failure(at)
    return breaker


def test_it_stays_closed_below_the_least_number_of_calls():
    breaker = Breaker(SETTINGS)
    for _ in range(9):
        breaker.failure(1.0)
    assert breaker.state(1.0) == "closed"
    assert breaker.admit(1.0)


def test_it_opens_at_the_ratio_and_refuses():
    breaker = Breaker(SETTINGS)
    for _ in range(5):
        breaker.success(1.0)
    for _ in range(4):
        breaker.failure(1.0)
    assert breaker.state(1.0) == "closed"
    breaker.failure(1.0)
    assert breaker.state(1.0) == "open"
    assert not breaker.admit(5.0)
    assert breaker.retry_after(5.0) == 6.0


def test_failures_that_left_the_window_do_not_count():
    breaker = Breaker(SETTINGS)
    for _ in range(9):
        breaker.failure(1.0)
    breaker.failure(40.0)
    assert breaker.state(40.0) == "closed"
    assert breaker.view(40.0).failures == 1


def test_half_open_lets_exactly_one_probe_pass_and_success_closes_it():
    breaker = opened()
    assert breaker.state(110.0) == "half_open"
    assert [breaker.admit(110.0) for _ in range(3)] == [True, False, False]
    breaker.success(111.0)
    assert breaker.state(111.0) == "closed"
    assert breaker.view(111.0).failures == 0


def test_failed_probes_double_the_open_time_up_to_eight_times():
    breaker, now, waits = opened(), 100.0, []
    for _ in range(5):
        now += breaker.retry_after(now)
        assert breaker.admit(now)
        breaker.failure(now)
        waits.append(breaker.retry_after(now))
    assert waits == [20.0, 40.0, 80.0, 80.0, 80.0]


def test_a_cancelled_probe_frees_its_place():
    breaker = opened()
    assert breaker.admit(110.0)
    breaker.cancelled(111.0)
    assert breaker.admit(111.0)


def test_a_probe_that_never_reports_frees_its_place_after_a_while():
    breaker = opened()
    assert breaker.admit(110.0)
    assert not breaker.admit(119.0)
    assert breaker.admit(120.0)


def test_reports_of_calls_from_before_it_opened_change_nothing():
    breaker = opened()
    breaker.success(101.0)
    breaker.failure(102.0)
    assert breaker.state(103.0) == "open"
    assert breaker.retry_after(103.0) == 7.0


@given(st.lists(st.tuples(st.floats(0, 20), st.sampled_from("sfca"))))
def test_its_counts_never_go_wrong_whatever_comes(steps):
    breaker, now = Breaker(SETTINGS), 0.0
    for wait, what in steps:
        now += wait
        {"s": breaker.success, "f": breaker.failure, "c": breaker.cancelled, "a": breaker.admit}[what](now)
        view = breaker.view(now)
        assert 0 <= view.failures <= view.calls
        assert 0.0 <= breaker.health(now) <= 1.0
        assert breaker.available(now) == (breaker.health(now) > 0)
        assert (view.state == "closed") <= (view.retry_after == 0)
