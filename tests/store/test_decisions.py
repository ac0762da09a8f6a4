"""How calls were decided, what was said of them, and sums of a metric by what its context names."""

from __future__ import annotations

from meliora.store.calls.decisions import Decided, Judged
from meliora.store.calls.feedbacks import FeedbackGiven


def test_calls_are_counted_by_reason_and_tier_within_the_time_asked_for(store, feed, clock) -> None:
    start = clock.now
    for second, (reason, tier) in enumerate(
        [("classifier:fast", "fast"), ("asked", None), ("classifier:fast", "fast")]
    ):
        feed.call(reason=reason, tier=tier, started_us=start + second * 1_000_000)
    assert store.decisions.decided("default") == (Decided("classifier:fast", "fast", 2), Decided("asked", None, 1))
    assert store.decisions.decided("default", until_us=start + 1) == (Decided("classifier:fast", "fast", 1),)
    assert store.decisions.decided("default", since_us=start + 3_000_000) == ()


def test_feedback_is_counted_by_what_decided_the_call(store, feed) -> None:
    for reason, word in [("rule:a", "thumbs_up"), ("rule:a", "rating_2"), ("asked", "rating_3"), ("asked", None)]:
        call = feed.call(reason=reason)
        if word is not None:
            store.feedbacks.give("default", FeedbackGiven(feedback_type=word, call_id=call.id))
    assert store.decisions.judged("default") == (Judged("asked", 1, 1), Judged("rule:a", 2, 1))


def test_a_metric_is_summed_by_a_text_in_its_context(store) -> None:
    for model, value in [("a", 0.25), ("b", 2.0), ("a", 0.5), (None, 1.0)]:
        store.metrics.record("default", "cost", value, "USD", {"model": model} if model else {})
    found = store.metrics.by_context("default", "cost", "model")
    assert [(one.group, one.count, one.total) for one in found] == [("b", 1, 2.0), (None, 1, 1.0), ("a", 2, 0.75)]
