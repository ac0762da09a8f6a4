"""Keys keep to their rates; the gateway to its own number of calls in flight."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meliora.errors import Overloaded, RateLimited
from meliora.gateway.limits import Limiter
from meliora.gateway.state import KeyState


def key(name: str = "k", **limits) -> KeyState:
    return KeyState(id=name, tenant="t", hashes=(), **limits)


def test_a_minutes_worth_may_be_used_at_once_and_then_flows_back():
    limiter, one = Limiter(100), key(requests_per_minute=6)
    for _ in range(6):
        limiter.admit(one, 1, 0.0)
    with pytest.raises(RateLimited) as caught:
        limiter.admit(one, 1, 0.0)
    assert caught.value.retry_after == pytest.approx(10.0)
    limiter.admit(one, 1, 10.001)


def test_waiting_for_retry_after_is_enough():
    limiter, one = Limiter(100), key(tokens_per_minute=600)
    limiter.admit(one, 600, 0.0)
    with pytest.raises(RateLimited) as caught:
        limiter.admit(one, 50, 1.0)
    limiter.admit(one, 50, 1.0 + (caught.value.retry_after or 0) + 1e-6)


def test_the_estimate_gives_way_to_what_was_used_and_may_leave_a_debt():
    limiter, one = Limiter(100), key(tokens_per_minute=600)
    call = limiter.admit(one, 100, 0.0)
    limiter.settle(call, 1200)
    with pytest.raises(RateLimited) as caught:
        limiter.admit(one, 10, 0.0)
    assert caught.value.retry_after == pytest.approx(61.0)


def test_unused_tokens_come_back():
    limiter, one = Limiter(100), key(tokens_per_minute=600)
    limiter.settle(limiter.admit(one, 600, 0.0), 0)
    limiter.admit(one, 600, 0.0)


def test_an_estimate_above_a_minutes_worth_passes_when_the_bucket_is_full():
    limiter, one = Limiter(100), key(tokens_per_minute=600)
    limiter.admit(one, 10_000, 0.0)
    with pytest.raises(RateLimited):
        limiter.admit(one, 1, 0.0)


def test_a_refused_call_takes_nothing():
    limiter, one = Limiter(100), key(requests_per_minute=2, tokens_per_minute=60)
    limiter.admit(one, 60, 0.0)
    for _ in range(5):
        with pytest.raises(RateLimited, match="tokens"):
            limiter.admit(one, 60, 0.0)
    limiter.admit(one, 60, 60.0)


def test_a_limit_of_zero_lets_nothing_pass():
    for limits in ({"requests_per_minute": 0}, {"tokens_per_minute": 0}, {"concurrent": 0}):
        with pytest.raises(RateLimited):
            Limiter(100).admit(key(**limits), 1, 0.0)


def test_calls_in_flight_are_limited_by_key_and_for_all():
    limiter, one = Limiter(3), key(concurrent=2)
    first = limiter.admit(one, 1, 0.0)
    limiter.admit(one, 1, 0.0)
    with pytest.raises(RateLimited, match="in flight"):
        limiter.admit(one, 1, 0.0)
    limiter.admit(key("other"), 1, 0.0)
    with pytest.raises(Overloaded):
        limiter.admit(key("third"), 1, 0.0)
    limiter.settle(first, None)
    limiter.settle(first, None)
    assert limiter.flying == 2
    limiter.admit(one, 1, 0.0)


def test_a_changed_limit_holds_at_once_and_keeps_what_was_used():
    limiter = Limiter(100)
    for _ in range(5):
        limiter.admit(key(requests_per_minute=5), 1, 0.0)
    limiter.admit(key(requests_per_minute=6), 1, 0.0)
    with pytest.raises(RateLimited):
        limiter.admit(key(requests_per_minute=6), 1, 0.0)


def test_several_gateways_share_a_rate():
    limiter, one = Limiter(100), key(requests_per_minute=10)
    limiter.gateways = 5
    limiter.admit(one, 1, 0.0)
    limiter.admit(one, 1, 0.0)
    with pytest.raises(RateLimited):
        limiter.admit(one, 1, 0.0)


def test_idle_keys_are_forgotten_and_busy_ones_and_debtors_are_not():
    limiter = Limiter(1000)
    for number in range(200):
        limiter.settle(limiter.admit(key(str(number), requests_per_minute=5), 1, 0.0), None)
    limiter.admit(key("busy", concurrent=1), 1, 0.0)
    limiter.settle(limiter.admit(key("debtor", tokens_per_minute=60), 1, 0.0), 600)
    limiter.admit(key("new", requests_per_minute=5), 1, 100.0)
    assert limiter.keys == 3
    with pytest.raises(RateLimited):
        limiter.admit(key("debtor", tokens_per_minute=60), 60, 101.0)


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(0, 100)), max_size=60), st.integers(1, 120))
def test_over_any_span_no_more_than_the_burst_and_the_flow_is_let_in(steps, rate):
    limiter, one, now, taken = Limiter(1000), key(requests_per_minute=rate), 0.0, 0
    for wait, tokens in steps:
        now += wait
        try:
            limiter.settle(limiter.admit(one, tokens, now), tokens)
            taken += 1
        except RateLimited as error:
            assert (error.retry_after or 0) > 0
    assert taken <= rate + rate * now / 60 + 1e-6
