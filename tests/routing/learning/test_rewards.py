"""The reward function: the first that is known decides, nothing is no information, and a value out of range is refused by name."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meliora.errors import InvalidRequest
from meliora.routing.learning.records import Reward, Signals
from meliora.routing.learning.rewards import RewardRule, documented
from meliora.settings.learning import Reward as Declared

SHARE = st.floats(0, 1)


def signals(**over: Any) -> Signals:
    values: dict[str, Any] = {"call_id": "c", "tenant": "t", "outcome": "ok", "started_us": 0, "touched": 1}
    return Signals(**values | over)


def test_an_answer_of_which_nothing_is_known_is_worth_nothing_known() -> None:
    assert RewardRule().reward(signals(cost_micros=1, latency_us=1)) is None
    assert RewardRule(Declared(formula="documented")).reward(signals(cost_micros=1, latency_us=1)) is None


def test_the_first_that_is_known_decides() -> None:
    rule = RewardRule(Declared(), {"s": 1.0})
    known: dict[str, Any] = {"outcome": "failed"}
    assert rule.reward(signals(**known)) == Reward(0.0, 1.0, "failure")
    known["again_us"] = 1000
    assert rule.reward(signals(**known)) == Reward(0.2, 0.25, "retry")
    known["scores"] = {"s": 0.9}
    assert rule.reward(signals(**known)) == Reward(0.9, 0.5, "scorer:s")
    known["feedback"] = 0.0
    assert rule.reward(signals(**known)) == Reward(0.0, 1.0, "feedback")


def test_scorers_are_weighed_against_each_other_and_unknown_ones_left_out() -> None:
    rule = RewardRule(Declared(scorer_weight=0.5), {"a": 1.0, "b": 0.25, "off": 0.0})
    found = rule.reward(signals(scores={"a": 1.0, "b": 0.0, "off": 0.0, "gone": 0.0}))
    assert found == Reward(0.8, 0.5, "scorer:a+b")
    assert rule.reward(signals(scores={"gone": 1.0})) is None


@pytest.mark.parametrize("value", [-0.1, 1.01, float("nan"), float("inf")])
def test_a_value_out_of_range_is_refused_by_name(value: float) -> None:
    rule = RewardRule(Declared(), {"mine": 1.0})
    for known, name in (({"feedback": value}, "feedback"), ({"scores": {"mine": value}}, "scorer mine")):
        with pytest.raises(InvalidRequest, match=name) as refused:
            rule.reward(signals(**known))
        assert refused.value.field == name


def test_the_documented_formula_adds_cheapness_and_speed() -> None:
    assert documented(1.0, 0, 0) == 1.0
    assert documented(0.6, 5_000, 2_500_000) == pytest.approx((0.6 + 0.3 * 0.5 + 0.2 * 0.5) / 1.5)
    assert documented(0.6, 50_000, 9_000_000) == pytest.approx(0.6 / 1.5)


def test_what_is_unknown_is_not_free_and_not_instant() -> None:
    assert documented(0.5, None, None) == 0.5
    assert documented(0.5, None, 0) == pytest.approx((0.5 + 0.2) / 1.2)
    assert documented(0.5, 0, None) == pytest.approx((0.5 + 0.3) / 1.3)


@given(SHARE, st.none() | st.integers(0, 10**9), st.none() | st.integers(0, 10**9))
def test_the_documented_formula_stays_in_range_and_grows_with_the_value(value: float, cost, latency) -> None:
    found = documented(value, cost, latency)
    assert 0 <= found <= 1
    assert found <= documented(1.0, cost, latency)


@given(
    st.sampled_from(["ok", "error", "failed", "cancelled"]),
    st.none() | SHARE,
    st.dictionaries(st.sampled_from("abc"), SHARE),
    st.booleans(),
)
def test_every_reward_is_in_range_and_counts_for_something(outcome, feedback, scores, repeated) -> None:
    rule = RewardRule(Declared(), {"a": 0.3, "b": 1.0})
    found = rule.reward(signals(outcome=outcome, feedback=feedback, scores=scores, again_us=1 if repeated else None))
    if found is None:
        assert outcome != "failed" and feedback is None and not repeated and scores.keys() <= {"c"}
    else:
        assert 0 <= found.value <= 1 and 0 < found.weight <= 1 and found.source


def test_a_prompt_sent_again_later_than_declared_is_no_retry() -> None:
    rule = RewardRule(Declared(retry_minutes=1))
    assert rule.reward(signals(again_us=60_000_000)) == Reward(0.2, 0.25, "retry")
    assert rule.reward(signals(again_us=60_000_001)) is None
    assert RewardRule(Declared(retry_minutes=0)).reward(signals(again_us=1)) is None
