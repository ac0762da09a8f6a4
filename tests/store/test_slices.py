"""The calls of two windows are counted by their attributes as they are, on both databases."""

from __future__ import annotations

import pytest

from meliora.diagnosis.classes import QUOTA_WORDS
from meliora.diagnosis.cube import Cube
from meliora.diagnosis.diagnose import diagnose
from meliora.diagnosis.finding import Breach
from meliora.diagnosis.records import Limits, Window
from meliora.store.calls.feedbacks import FeedbackGiven
from meliora.store.calls.slices import Slices
from meliora.telemetry.records import Attempt
from meliora.telemetry.rollups import Roller
from tests.store.conftest import START_US

HOUR = 3_600_000_000
BEFORE, NOW = Window(START_US, START_US + 4 * HOUR), Window(START_US + 4 * HOUR, START_US + 5 * HOUR)
LIMITS = Limits(slow_us=200_000, cost_cap_micros=1000)
FAILED = {"outcome": "error", "status": 504, "error_code": "upstream_timeout", "model": None, "cost_micros": None}


def table(cube: Cube, *names: str) -> dict[tuple[str, ...], dict[str, list[float]]]:
    """Give the counts by these attributes, each before and now."""
    places = [cube.attributes.index(name) for name in names]
    found: dict[tuple[str, ...], dict[str, list[float]]] = {}
    for row in range(cube.codes.shape[1]):
        key = tuple(cube.values[at][cube.codes[at, row]] for at in places)
        sums = found.setdefault(key, {name: [0, 0] for name in cube.counts})
        for name, counts in cube.counts.items():
            sums[name] = [sums[name][0] + float(counts[0, row]), sums[name][1] + float(counts[1, row])]
    return found


def test_errors_are_counted_by_window_attributes_and_class(store, feed) -> None:
    feed.call(started_us=BEFORE.since_us)
    feed.call(started_us=NOW.since_us)
    feed.call(started_us=NOW.since_us, **FAILED)
    feed.call(started_us=NOW.until_us)  # beyond
    feed.call(started_us=NOW.since_us, tenant="other")
    cube = store.slices.cube("default", "errors", BEFORE, NOW, LIMITS)
    assert cube.looked_at == (1, 2) and not cube.partial and cube.lasting == 0.25
    assert table(cube, "endpoint", "error_class") == {
        ("sim/small", "none"): {"calls": [1, 1], "errors": [0, 0]},
        ("sim/small", "timeout"): {"calls": [0, 1], "errors": [0, 1]},
    }


def test_a_call_that_failed_counts_for_the_model_that_was_tried_last(store, feed) -> None:
    tried = (Attempt("e/small", "small", 1, 2, 502), Attempt("e/big", "big", 2, 3, 504))
    feed.call(started_us=NOW.since_us, **FAILED, attempts=tried)
    feed.call(started_us=NOW.since_us, **FAILED)
    cube = store.slices.cube("default", "errors", BEFORE, NOW, LIMITS)
    assert {key[0] for key in table(cube, "model")} == {"big", "unknown"}


@pytest.mark.parametrize("words", QUOTA_WORDS)
def test_a_quota_that_is_told_as_a_bad_request_is_known_by_its_words(store, feed, words: str) -> None:
    told = FAILED | {"status": 400, "error_code": "invalid_request_error"}
    feed.call(started_us=NOW.since_us, **told, error_message=f"Sorry: {words.capitalize()}.")
    feed.call(started_us=NOW.since_us, **told, error_message="messages: required")
    feed.call(started_us=NOW.since_us, **told)
    found = table(store.slices.cube("default", "errors", BEFORE, NOW, LIMITS), "error_class")
    assert {key[0]: counts["errors"][1] for key, counts in found.items()} == {"quota": 1, "data": 2}


def test_prompts_are_told_by_their_size(store, feed) -> None:
    for size in (0, 255, 256, 5000, 10_000_000):
        feed.call(started_us=NOW.since_us, request_bytes=size)
    found = table(store.slices.cube("default", "errors", BEFORE, NOW, LIMITS), "prompt")
    assert {key[0] for key in found} == {"unknown", "under 256 B", "256 B to 1 kB", "4 to 16 kB", "over 256 kB"}


def test_slow_calls_are_those_that_were_answered_and_not_from_the_cache(store, feed) -> None:
    at = NOW.since_us
    feed.call(started_us=at, ended_us=at + 200_001)
    feed.call(started_us=at, ended_us=at + 200_000)
    feed.call(started_us=at, ended_us=at + 300_000, cached=True)
    feed.call(started_us=at, ended_us=at + 300_000, **FAILED)
    cube = store.slices.cube("default", "slow", BEFORE, NOW, LIMITS)
    assert {name: counts.sum() for name, counts in cube.counts.items()} == {"calls": 4, "slow": 1, "timed": 2}
    assert "error_class" not in cube.attributes


def test_costs_are_summed_as_they_are_and_up_to_the_cap_and_unknown_ones_are_not_zero(store, feed) -> None:
    for cost in (400, 5000, None):
        feed.call(started_us=NOW.since_us, cost_micros=cost)
    cube = store.slices.cube("default", "cost", BEFORE, NOW, LIMITS)
    assert {name: counts[1].sum() for name, counts in cube.counts.items()} == {
        "calls": 3,
        "cost": 5400,
        "cost_capped": 1400,
        "priced": 2,
    }
    assert cube.cost_cap == 1000


def test_dissatisfaction_is_counted_among_the_calls_that_somebody_judged(store, feed) -> None:
    calls = [feed.call(started_us=NOW.since_us) for _ in range(3)]
    for call, word in zip(calls, ("thumbs_down", "thumbs_up"), strict=False):
        store.feedbacks.give("default", FeedbackGiven(feedback_type=word, call_id=call.id))
    cube = store.slices.cube("default", "dissatisfied", BEFORE, NOW, LIMITS)
    assert {name: counts[1].sum() for name, counts in cube.counts.items()} == {
        "calls": 3,
        "dissatisfied": 1,
        "judged": 2,
    }


def test_past_its_bound_only_the_newest_calls_are_looked_at_and_it_says_so(engine, store, feed) -> None:
    for second in range(5):
        feed.call(started_us=NOW.since_us + second, model=f"m{second}")
    cube = Slices(engine, looked_at=3).cube("default", "errors", BEFORE, NOW, LIMITS)
    assert cube.partial and cube.looked_at == (0, 3)
    assert {key[0] for key in table(cube, "model")} == {"m2", "m3", "m4"}


def test_windows_that_overlap_are_refused(store) -> None:
    with pytest.raises(ValueError, match="one after the other"):
        store.slices.cube("default", "errors", NOW, NOW, LIMITS)


def test_a_series_has_each_span_and_nothing_in_those_without_calls(store, feed) -> None:
    feed.call(started_us=NOW.since_us)
    feed.call(started_us=NOW.since_us + HOUR // 2, **FAILED)
    quarters = store.slices.series("default", "errors", NOW, HOUR // 4, LIMITS)
    assert [(point.start_us - NOW.since_us, point.hits, point.calls) for point in quarters] == [
        (0, 0, 1),
        (HOUR // 4, 0, 0),
        (HOUR // 2, 1, 1),
        (3 * HOUR // 4, 0, 0),
    ]
    spent = store.slices.series("default", "spend", NOW, HOUR // 4, LIMITS)
    assert [(point.hits, point.calls) for point in spent] == [(0.5, 1), (0, 1), (0, 1), (0, 1)]


def test_a_series_that_is_cut_begins_where_the_calls_that_are_looked_at_do(engine, feed) -> None:
    for quarter in range(4):
        feed.call(started_us=NOW.since_us + quarter * (HOUR // 4))
    found = Slices(engine, looked_at=2).series("default", "errors", NOW, HOUR // 4, LIMITS)
    assert [point.start_us - NOW.since_us for point in found] == [HOUR // 2, 3 * HOUR // 4]


def test_limits_come_from_the_calls_before_and_are_unknown_without_any(store, feed) -> None:
    assert store.slices.limits("default", BEFORE) == Limits(slow_us=None, cost_cap_micros=None)
    for milliseconds in range(1, 101):
        feed.call(started_us=BEFORE.since_us, ended_us=BEFORE.since_us + milliseconds * 1000, cost_micros=milliseconds)
    while Roller(store.windows).step():
        pass
    found = store.slices.limits("default", BEFORE)
    assert found.slow_us == pytest.approx(95_000, rel=0.02)
    assert found.cost_cap_micros == pytest.approx(99, abs=1)


def test_a_breach_is_diagnosed_from_the_calls_that_are_kept(store, feed) -> None:
    records = []
    for window, many in ((BEFORE, 400), (NOW, 400)):
        for place in range(many):
            at = window.since_us + place * (window.until_us - window.since_us) // many
            over = {"endpoint": f"e/{place % 4}", "task": "code" if place % 3 else "chat", "started_us": at}
            bad = window is NOW and place % 4 == 1 and place % 3
            records.append(feed.finished(**over | (FAILED if bad or place % 97 == 0 else {})))
    feed.take(*records)
    breach = Breach(
        tenant="default",
        metric="error_rate",
        gate="errors",
        environment="production",
        measured="errors",
        unit="share",
        value=0.17,
        low=None,
        high=None,
        baseline=0.01,
        direction="above",
        now=NOW,
        before=BEFORE,
    )
    found = diagnose(breach, store.slices, id="finding_1", at_us=NOW.until_us)
    assert {"endpoint": "e/1", "task": "code"}.items() <= found.slices[0].attributes.items()
    assert found.moment is not None and abs(found.moment.since_us - NOW.since_us) <= 600_000_000
    store.findings.keep("default", found)
    assert store.findings.get("default", "finding_1") == found
