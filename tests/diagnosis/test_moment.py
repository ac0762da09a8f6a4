"""When it began, and which events are near."""

from __future__ import annotations

import random

from meliora.diagnosis.moment import around, began
from meliora.diagnosis.records import Event, Moment, Point

MINUTE = 60_000_000
SPAN = 5 * MINUTE


def points(rates, calls: int = 200, seed: int = 1) -> list[Point]:
    source = random.Random(seed)
    return [Point(at * SPAN, sum(source.random() < rate for _ in range(calls)), calls) for at, rate in enumerate(rates)]


def test_a_beginning_is_found_within_a_span_of_it() -> None:
    found = began(points([0.01] * 40 + [0.08] * 8), SPAN)
    assert found is not None and abs(found.since_us // SPAN - 40) <= 1
    assert found.until_us == found.since_us + SPAN
    assert found.before < 0.02 < 0.06 < found.after


def test_the_order_in_which_spans_are_given_does_not_matter() -> None:
    given = points([0.01] * 30 + [0.1] * 8)
    assert began(given[::-1], SPAN) == began(given, SPAN)


def test_an_even_series_has_no_beginning() -> None:
    assert sum(began(points([0.02] * 40, seed=seed), SPAN) is None for seed in range(20)) >= 17


def test_a_fall_is_no_beginning_of_a_breach() -> None:
    assert began(points([0.1] * 20 + [0.01] * 20), SPAN) is None


def test_spans_without_calls_are_unknown_and_not_quiet() -> None:
    empty = [Point(at * SPAN, 0, 0) for at in range(20)]
    busy = [Point(point.start_us + 20 * SPAN, point.hits, point.calls) for point in points([0.05] * 20)]
    assert began(empty + busy, SPAN) is None
    assert began(empty, SPAN) is None
    assert began([], SPAN) is None


def test_money_has_a_beginning_too() -> None:
    source = random.Random(3)
    spans = [Point(at * SPAN, source.gauss(10 if at < 30 else 25, 2), 1) for at in range(40)]
    found = began(spans, SPAN, money=True)
    assert found is not None and found.since_us == 30 * SPAN


def test_events_are_named_by_nearness_and_of_two_as_near_the_earlier_first() -> None:
    moment = Moment(since_us=100 * MINUTE, until_us=105 * MINUTE, before=0.0, after=1.0, p_value=0.001)
    at = {"far": 10, "deploy": 97, "price": 108, "within": 103, "yesterday": -2000}
    events = [Event(at_us=minute * MINUTE, kind="settings", text=name) for name, minute in at.items()]
    near = around(moment, events)
    assert [one.event.text for one in near] == ["within", "deploy", "price", "far"]
    assert [one.distance_us // MINUTE for one in near] == [0, -3, 3, -90]
    assert len(around(moment, events, most=2)) == 2
