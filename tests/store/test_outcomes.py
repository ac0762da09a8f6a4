"""What came of a policy's decisions: each signal reaches its reward once, a changed one replaces what stood."""

from __future__ import annotations

from typing import Any

import pytest

from meliora.errors import NotFound
from meliora.routing.learning.records import Reward, Settled
from meliora.routing.learning.rewards import RewardRule
from meliora.store import Store
from meliora.store.calls.feedbacks import FeedbackGiven
from meliora.telemetry.records import RoutedCandidate, RoutingTrace

MINUTE_US = 60_000_000
RULE = RewardRule()


def trace(**over: Any) -> RoutingTrace:
    """A decision between two models, of which the small one was served with probability .9."""
    candidates = (RoutedCandidate("small", 0.8, 0.9, 0.7, 100), RoutedCandidate("large", 0.2, 0.1, 0.8, None))
    values: dict[str, Any] = {
        "snapshot": 3,
        "trunk": "t1",
        "phi": b"\x00\x3c",
        "candidates": candidates,
        "chosen": "small",
    }
    return RoutingTrace(**values | over)


def settle(store: Store) -> int:
    return store.outcomes.settle([RULE.settle(signals) for signals in store.outcomes.waiting()])


def thumb(store: Store, call_id: str, kind: str = "thumbs_up") -> None:
    store.feedbacks.give("default", FeedbackGiven(feedback_type=kind, call_id=call_id))


def test_a_call_without_a_policy_leaves_no_outcome(store, feed) -> None:
    call = feed.call()
    with pytest.raises(NotFound):
        store.outcomes.get("default", call.id)
    assert store.outcomes.waiting() == ()


def test_a_decision_is_kept_whole_and_its_phi_apart_from_the_call(store, feed) -> None:
    call = feed.call(routing=trace())
    kept = store.outcomes.get("default", call.id)
    assert (kept.phi, kept.candidates, kept.snapshot, kept.trunk) == (b"\x00\x3c", trace().candidates, 3, "t1")
    assert (kept.model, kept.outcome, kept.latency_us, kept.propensity) == ("small", "ok", 100_000, 0.9)
    assert (kept.reward, kept.seq) == (None, None)
    shown = store.calls.get("default", call.id).routing
    assert shown["snapshot"] == 3 and "phi" not in shown


@pytest.mark.parametrize("how", ["observe", "cascade"])
def test_what_the_policy_did_not_serve_has_no_propensity(store, feed, how: str) -> None:
    call = feed.call(routing=trace(decided_by=how))
    assert store.outcomes.get("default", call.id).propensity is None


def test_success_alone_is_no_information(store, feed, clock) -> None:
    feed.call(routing=trace())
    assert settle(store) == 0
    assert store.outcomes.rewarded("default", "t1") == ()
    assert store.outcomes.counts("default") == {"none": 1}
    assert store.outcomes.waiting() == (), "and it is not looked at again"


def test_late_feedback_is_rewarded_once(store, feed, clock) -> None:
    calls = [feed.call(routing=trace()) for _ in range(3)]
    settle(store)
    thumb(store, calls[1].id)
    assert settle(store) == 1
    assert settle(store) == 0
    (kept,) = store.outcomes.rewarded("default", "t1")
    assert (kept.call_id, kept.reward, kept.source, kept.seq, kept.changed) == (calls[1].id, 1.0, "feedback", 1, 1)


def test_a_changed_mind_replaces_the_reward_and_keeps_its_place(store, feed, clock) -> None:
    first, second = feed.call(routing=trace()), feed.call(routing=trace())
    for call in (first, second):
        thumb(store, call.id)
        settle(store)
    thumb(store, first.id, "rating_2")
    assert settle(store) == 1
    rewarded = store.outcomes.rewarded("default", "t1")
    assert [(one.call_id, one.reward, one.seq) for one in rewarded] == [(first.id, 0.4, 1), (second.id, 1.0, 2)]
    assert [one.call_id for one in store.outcomes.changes("default", "t1", 2)] == [first.id]


def test_the_same_word_again_changes_nothing(store, feed, clock) -> None:
    call = feed.call(routing=trace())
    thumb(store, call.id)
    settle(store)
    thumb(store, call.id)
    assert settle(store) == 0


def test_feedback_before_its_call_is_ingested_counts_as_well(store, feed, clock) -> None:
    call = feed.finished(routing=trace())
    thumb(store, call.id, "thumbs_down")
    feed.take(call)
    assert settle(store) == 1
    assert store.outcomes.get("default", call.id).reward == 0.0


def test_a_signal_that_arrives_while_a_reward_is_made_is_not_lost(store, feed, clock) -> None:
    call = feed.call(routing=trace())
    waiting = store.outcomes.waiting()
    thumb(store, call.id)
    assert store.outcomes.settle([RULE.settle(signals) for signals in waiting]) == 0
    assert settle(store) == 1


def test_another_tenants_word_moves_nothing(store, feed, clock) -> None:
    call = feed.call(routing=trace())
    with pytest.raises(NotFound):
        store.feedbacks.give("other", FeedbackGiven(feedback_type="thumbs_down", call_id=call.id))
    with pytest.raises(NotFound):
        store.outcomes.score("other", call.id, "s", 0.0)
    assert settle(store) == 0


@pytest.mark.parametrize(
    ("again", "minutes", "seen"),
    [
        ({"user": "ann"}, 1, True),
        ({"user": "bob", "session": "s"}, 1, True),
        ({"user": "ann"}, 6, False),
        ({"user": "bob", "session": "other"}, 1, False),
        ({"user": "ann", "prompt_hash": "q"}, 1, False),
        ({"user": "ann", "tenant": "other"}, 1, False),
    ],
)
def test_a_prompt_sent_again_in_time_counts_against_its_answer(store, feed, again, minutes, seen) -> None:
    call = feed.call(routing=trace(), prompt_hash="p", session="s")
    settle(store)
    feed.call(started_us=call.started_us + minutes * MINUTE_US, **{"prompt_hash": "p"} | again)
    assert settle(store) == int(seen)
    assert store.outcomes.get("default", call.id).source == ("retry" if seen else None)
    assert store.outcomes.waiting() == ()


def test_repetitions_within_one_batch_and_across_a_slot_are_seen(store, feed) -> None:
    start = 6 * 3_600_000_000 * 90_000 - 1000
    calls = [feed.finished(routing=trace(), prompt_hash="p", started_us=start + 600 * number) for number in range(3)]
    feed.take(*calls)
    settle(store)
    assert [store.outcomes.get("default", call.id).source for call in calls] == ["retry", "retry", None]


def test_the_answer_to_the_repetition_is_not_held_against_itself(store, feed, clock) -> None:
    first = feed.call(routing=trace(), prompt_hash="p")
    second = feed.call(routing=trace(), prompt_hash="p")
    settle(store)
    assert store.outcomes.get("default", first.id).source == "retry"
    assert store.outcomes.get("default", second.id).source is None


@pytest.mark.parametrize(
    ("how", "ending"),
    [
        ({"status": 502, "error_code": "upstream_error"}, "failed"),
        ({"status": 429, "error_code": "upstream_error"}, "failed"),
        ({"status": 400, "error_code": "invalid_request"}, "error"),
        ({"status": 429, "error_code": "budget_exhausted"}, "error"),
    ],
)
def test_a_failure_counts_against_the_model_unless_the_call_was_at_fault(store, feed, clock, how, ending) -> None:
    call = feed.call(routing=trace(), outcome="error", model=None, **how)
    kept = store.outcomes.get("default", call.id)
    assert (kept.outcome, kept.model) == (ending, "small")
    assert settle(store) == int(ending == "failed")


def test_scores_count_until_a_person_speaks(store, feed, clock) -> None:
    rule = RewardRule(scorers={"a": 1.0})
    call = feed.call(routing=trace())
    store.outcomes.score("default", call.id, "a", 0.25)
    store.outcomes.score("default", call.id, "unlisted", 1.0)
    for expected in ((0.25, "scorer:a"), (1.0, "feedback")):
        store.outcomes.settle([rule.settle(one) for one in store.outcomes.waiting()])
        kept = store.outcomes.get("default", call.id)
        assert (kept.reward, kept.source) == expected
        thumb(store, call.id)


def test_a_scorer_that_could_not_say_says_nothing(store, feed, clock) -> None:
    call = feed.call(routing=trace())
    store.outcomes.score("default", call.id, "a", None, "no JSON came back")
    assert store.outcomes.waiting()[0].scores == {}


def test_outcomes_of_another_trunk_or_behind_the_window_are_left_out(store, feed, clock) -> None:
    for number in range(4):
        thumb(store, feed.call(routing=trace(trunk="t2" if number == 0 else "t1")).id)
        settle(store)
    rewarded = store.outcomes.rewarded("default", "t1", after=2, limit=5)
    assert [one.seq for one in rewarded] == [3, 4]
    assert [one.seq for one in store.outcomes.rewarded("default", "t1", limit=1)] == [4]
    assert len(store.outcomes.logged("default", "t1", 0)) == 3


def test_a_reward_for_a_call_that_is_gone_is_left_out(store) -> None:
    assert store.outcomes.settle([Settled("call_x", "default", 1, Reward(1, 1, "feedback"))]) == 0


def test_an_erased_person_leaves_nothing_to_learn_from(store, feed, clock) -> None:
    call = feed.call(routing=trace())
    late = feed.finished(routing=trace())
    thumb(store, call.id)
    settle(store)
    store.housekeeping.erase("default", "ann")
    feed.take(late)
    for gone in (call, late):
        with pytest.raises(NotFound):
            store.outcomes.get("default", gone.id)


def test_outcomes_leave_with_their_calls(store, feed, clock) -> None:
    from meliora.telemetry.rollups import Roller

    call = feed.call(routing=trace())
    Roller(store.windows).step()
    assert store.housekeeping.drop_calls(clock.now + 3_600_000_000, 100) == 1
    with pytest.raises(NotFound):
        store.outcomes.get("default", call.id)
