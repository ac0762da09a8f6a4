"""Endpoints are chosen by weight and health, and not at all when they are out."""

from dataclasses import dataclass, field

from meliora.gateway.balance import choose, retry_after
from meliora.gateway.breaker import Breaker
from meliora.settings import models

SETTINGS = models.Breaker(min_calls=10, open_seconds=10)


@dataclass
class Place:
    weight: float = 1.0
    breaker: Breaker = field(default_factory=lambda: Breaker(SETTINGS))

    def out(self, at: float) -> "Place":
        for _ in range(10):
            self.breaker.failure(at)
        return self


def shares(places: list[Place], now: float = 1.0) -> list[float]:
    picks = [choose(places, i / 1000, now) for i in range(1000)]
    return [sum(p is place for p in picks) / 1000 for place in places]


def test_shares_follow_the_weights():
    assert shares([Place(3), Place(1)]) == [0.75, 0.25]


def test_failures_take_share_away():
    ill = Place()
    for _ in range(8):
        ill.breaker.success(1.0)
    for _ in range(4):
        ill.breaker.failure(1.0)
    first, second = shares([ill, Place()])
    assert first == 0.4
    assert second == 0.6


def test_an_open_breaker_excludes_its_endpoint():
    assert shares([Place().out(1.0), Place()]) == [0.0, 1.0]


def test_a_standby_of_weight_zero_is_used_only_when_the_others_are_out():
    standby = Place(0)
    assert shares([Place(), standby]) == [1.0, 0.0]
    assert shares([Place().out(1.0), standby]) == [0.0, 1.0]


def test_none_when_all_are_out_and_it_says_when_to_come_back():
    places = [Place().out(1.0), Place().out(4.0)]
    assert choose(places, 0.5, 5.0) is None
    assert retry_after(places, 5.0) == 6.0
    assert retry_after([], 5.0) is None


def test_being_chosen_takes_the_place_of_the_probe():
    place = Place().out(1.0)
    assert choose([place], 0.0, 11.0) is place
    assert choose([place], 0.0, 11.0) is None


def test_no_endpoint_is_no_choice():
    assert choose([], 0.5, 1.0) is None
