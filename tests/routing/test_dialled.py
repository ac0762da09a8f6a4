"""What quality may cost: who says so, what is refused, and how the day's budget slows it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meliora.errors import InvalidRequest
from meliora.gateway.state import KeyState
from meliora.routing.dialled import Dialled, checked, dialled, pace
from meliora.settings.routing import Dial

HOUR = 3_600_000_000
DAY = 24 * HOUR


def key(**more: float) -> KeyState:
    return KeyState("k", "t", (), **more)


def test_the_request_comes_before_the_key_and_the_key_before_the_settings():
    settings = Dial(quality_floor=0.9)
    assert dialled(None, None, key(), settings) == Dialled(0.9)
    assert dialled(None, None, None, Dial(willingness_to_pay=0.2)) == Dialled(None, 0.2)
    assert dialled(None, None, key(quality_floor=0.95), settings) == Dialled(0.95, None, "key")
    assert dialled(None, None, key(willingness_to_pay=0.1), settings) == Dialled(None, 0.1, "key")
    assert dialled(b" 0.99", None, key(quality_floor=0.95), settings) == Dialled(0.99, None, "request")
    assert dialled(b"0.9", b"0.01", None, settings) == Dialled(0.9, 0.01, "request"), "hold this, but not at any price"
    assert dialled(None, b"0", key(quality_floor=0.95), settings) == Dialled(None, 0.0, "request")


@pytest.mark.parametrize(
    ("floor", "pay", "message"),
    [
        (b"0", None, "above 0, at most 1"),
        (b"1.01", None, "above 0, at most 1"),
        (b"nan", None, "above 0, at most 1"),
        (b"98%", None, "x-meliora-quality-floor is no number"),
        (None, b"-1", "from 0 up"),
        (None, b"inf", "from 0 up"),
        (None, b"nan", "from 0 up"),
        (None, b"", "x-meliora-willingness-to-pay is no number"),
    ],
)
def test_a_dial_that_makes_no_sense_is_refused_by_name(floor: bytes | None, pay: bytes | None, message: str):
    with pytest.raises(InvalidRequest, match=message) as refused:
        dialled(floor, pay, None, Dial())
    assert refused.value.field


def test_requests_may_be_kept_from_naming_their_own():
    with pytest.raises(InvalidRequest, match="not taken here"):
        dialled(b"0.98", None, None, Dial(from_requests=False))


def test_a_dial_says_what_it_is():
    assert str(Dialled(0.98)) == "floor:0.98"
    assert str(Dialled(0.9, 0.05)) == "floor:0.9;pay:0.05"
    assert str(Dialled(None, 0.05, pace=0.4)) == "pay:0.05;pace:0.40"


def test_a_key_that_has_as_much_money_as_time_pays_in_full():
    assert pace(0, 1000, 0, 0.05) == 1.0
    assert pace(500, 1000, 12 * HOUR, 0.05) == 1.0
    assert pace(100, 1000, 12 * HOUR, 0.05) == 1.0, "money that was saved is not spent faster"


def test_a_key_that_spends_faster_than_the_clock_pays_less_and_recovers_with_the_hours():
    assert pace(800, 1000, 12 * HOUR, 0.05) == pytest.approx(0.4)
    assert pace(800, 1000, 18 * HOUR, 0.05) == pytest.approx(0.8)
    assert pace(800, 1000, 20 * HOUR, 0.05) == 1.0
    assert pace(1000, 1000, 12 * HOUR, 0.05) == 0.05
    assert pace(0, 0, 12 * HOUR, 0.05) == 0.05


@given(st.integers(0, 2000), st.integers(0, DAY * 3), st.floats(0, 1))
def test_pace_is_a_share_and_never_rises_with_spending(spent: int, now: int, least: float):
    here = pace(spent, 1000, now, least)
    assert least <= here <= 1.0
    assert pace(spent + 1, 1000, now, least) <= here


def test_a_dial_of_a_body_is_checked_as_one_of_a_header():
    assert checked(0.5, 0.0) == Dialled(0.5, 0.0, "request")
    with pytest.raises(InvalidRequest, match="at most 1"):
        checked(1.5, None)
