"""A candidate serves only where the log, or a replay, proves it better; what the log cannot tell is said and not guessed."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from meliora.errors import InvalidRequest
from meliora.routing.learned.dial import Dial
from meliora.routing.learned.explore import Exploration
from meliora.routing.learned.policy import Policy
from meliora.routing.learning.evaluate import Log, evaluate, log_of, progressive, served_by
from meliora.routing.learning.records import Outcome
from meliora.routing.learning.replay import replay
from meliora.routing.learning.table import Outcomes
from meliora.routing.learning.trunk import fit_trunk, read_all
from meliora.telemetry.records import RoutedCandidate
from tests.routing.learned.planted import cold

MODELS = ("cheap", "strong")
TRUNK = fit_trunk(read_all(["what is one and one", "write a long proof of it", "name a river"] * 4), 1)
EASY, HARD = np.zeros(TRUNK.size, np.float32), np.zeros(TRUNK.size, np.float32)
EASY[0] = HARD[0] = 1
EASY[1], HARD[1] = -1, 1
CHANCE = {(False, 0): 0.9, (True, 0): 0.2, (False, 1): 0.9, (True, 1): 0.9}
"""Of a good answer, by (hard, model)."""
COST = (0.001, 0.010)
DIAL = Dial(willingness_to_pay=0.05)


def policy(number: int, cheap: tuple[float, float], strong: tuple[float, float] = (0.9, 0.0)) -> Policy:
    """A policy that expects mean and slope (by hardness) of each model's quality."""
    blank = cold(MODELS, "strong", dict(zip(MODELS, COST, strict=True)), TRUNK, number)
    mean = np.zeros_like(blank.quality.mean)
    mean[0, :2], mean[1, :2] = cheap, strong
    return replace(blank, quality=replace(blank.quality, mean=mean), handicap=0.0)


RIGHT = policy(2, (0.55, -0.35))
ALWAYS_STRONG = policy(1, (0.0, 0.0))
ALWAYS_CHEAP = policy(3, (1.0, 0.0))


def log(n: int, served: tuple[float, float] = (0.3, 0.7), seed: int = 1) -> Log:
    rng = np.random.default_rng(seed)
    hard = rng.random(n) < 0.5
    action = (rng.random(n) >= served[0]).astype(np.int64)
    chance = np.array([CHANCE[bool(h), int(a)] for h, a in zip(hard, action, strict=True)])
    return Log(
        TRUNK.id,
        MODELS,
        np.where(hard[:, None], HARD, EASY),
        np.tile(served, (n, 1)),
        np.ones((n, 2), bool),
        action,
        (rng.random(n) < chance).astype(float),
        np.array(COST)[action],
    )


def test_a_better_policy_is_proved_better_and_a_worse_one_worse() -> None:
    made = log(700)
    better = evaluate(made, RIGHT, ALWAYS_STRONG, DIAL)
    assert better.serves
    assert better.verdict().startswith("better by +")
    assert better.difference.low <= 0.09 <= better.difference.high  # half of the traffic saves .009 US$ at .05 a point
    assert better.candidate.low <= 0.9 - (0.001 + 0.010) / 2 / 0.05 <= better.candidate.high
    assert better.snips.value == pytest.approx(better.candidate.value, abs=0.05)
    worse = evaluate(made, ALWAYS_CHEAP, ALWAYS_STRONG, DIAL)
    assert not worse.serves
    assert worse.verdict().startswith("worse by -")


def test_the_running_policy_is_no_better_than_itself() -> None:
    found = evaluate(log(400), ALWAYS_STRONG, ALWAYS_STRONG, DIAL)
    assert (found.difference.value, found.serves) == (0.0, False)


def test_few_decisions_prove_nothing() -> None:
    found = evaluate(log(12), RIGHT, ALWAYS_STRONG, DIAL)
    assert not found.serves
    assert "30 are needed" in found.verdict()


def test_what_the_log_never_served_cannot_be_told() -> None:
    found = evaluate(log(300, served=(0.0, 1.0)), ALWAYS_CHEAP, ALWAYS_STRONG, DIAL)
    assert found.unsupported_share == 1.0
    assert math.isnan(found.candidate.value)
    assert not found.serves
    assert "100% of the log has no support" in found.verdict()


def test_support_is_counted_by_the_decision() -> None:
    found = evaluate(log(400, served=(0.0, 1.0)), RIGHT, ALWAYS_STRONG, DIAL)
    assert 0.4 < found.unsupported_share < 0.6


def test_decisions_of_unknown_cost_are_left_out_and_counted() -> None:
    made = log(400)
    cost = made.cost.copy()
    cost[:100] = np.nan
    found = evaluate(replace(made, cost=cost), RIGHT, ALWAYS_STRONG, DIAL)
    assert found.unpriced_share == 0.25
    assert found.difference.n <= 300


def test_an_empty_log_proves_nothing() -> None:
    found = evaluate(log(0), RIGHT, ALWAYS_STRONG, DIAL)
    assert not found.serves
    assert found.decisions == 0


def test_a_policy_that_reads_prompts_otherwise_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="by the trunk"):
        evaluate(replace(log(50), trunk="another"), RIGHT, ALWAYS_STRONG, DIAL)


def test_only_models_that_were_allowed_are_weighed() -> None:
    made = log(3)
    allowed = np.array([[False, True], [True, True], [True, False]])
    found = served_by(ALWAYS_CHEAP, replace(made, allowed=allowed), DIAL, Exploration(0.0, 0.0))
    assert found.tolist() == [[0.0, 1.0], [1.0, 0.0], [1.0, 0.0]]


def test_a_model_that_the_log_does_not_know_has_no_support() -> None:
    new = replace(ALWAYS_CHEAP, models=("new", "strong"))
    found = evaluate(log(50), new, ALWAYS_STRONG, DIAL)
    assert (found.unsupported_share, found.serves) == (1.0, False)


def test_the_reward_model_of_a_row_knows_nothing_that_came_later() -> None:
    made = log(300)
    whole = progressive(made, made.reward)
    turned = made.reward.copy()
    turned[150:] = 1 - turned[150:]
    np.testing.assert_array_equal(progressive(made, turned)[:150], whole[:150])
    assert not whole[:50].any()
    assert whole[200:, 1].mean() == pytest.approx(0.9, abs=0.15)


def test_a_log_that_does_not_fit_together_is_refused() -> None:
    made = log(10)
    with pytest.raises(InvalidRequest, match="9 rewards"):
        replace(made, reward=made.reward[:9])
    with pytest.raises(InvalidRequest, match="no chance of being served"):
        replace(made, served=np.zeros((10, 2)))


def test_a_log_is_made_of_recorded_outcomes_that_a_policy_decided() -> None:
    def outcome(call: str, **changed: object) -> Outcome:
        fields: dict[str, object] = {
            "call_id": call,
            "tenant": "t",
            "key_id": "k",
            "started_us": 1,
            "task": "chat",
            "model": "strong",
            "outcome": "ok",
            "cost_micros": 10_000,
            "latency_us": 1,
            "snapshot": 1,
            "trunk": TRUNK.id,
            "phi": HARD.astype("<f2").tobytes(),
            "candidates": (
                RoutedCandidate("strong", 0.9, 0.8, 0.9, 10_000),
                RoutedCandidate("cheap", 0.1, 0.2, 0.5, None),
                RoutedCandidate("ruled out", 0.1, 0.0, 0.5, None),
            ),
            "decided_by": "policy",
            "explored": False,
            "reward": 1.0,
            "weight": 1.0,
            "source": "feedback",
            "seq": 1,
            "changed": 1,
        }
        return Outcome(**(fields | changed))  # pyright: ignore[reportArgumentType]

    made = log_of(
        [
            outcome("a"),
            outcome("b", model="cheap", cost_micros=None, reward=0.25),
            outcome("of another trunk", trunk="other"),
            outcome("not rewarded yet", reward=None),
            outcome("named by the caller", decided_by="named"),
        ],
        TRUNK.id,
    )
    assert made.models == ("cheap", "ruled out", "strong")
    assert made.action.tolist() == [2, 0]
    assert made.served.tolist() == [[0.2, 0.0, 0.8]] * 2
    assert made.allowed.tolist() == [[True, False, True]] * 2
    assert made.reward.tolist() == [1.0, 0.25]
    assert made.cost[0] == 0.01 and math.isnan(made.cost[1])
    np.testing.assert_array_equal(made.phi[0], HARD)
    assert len(log_of([], TRUNK.id)) == 0


def test_a_replay_needs_no_guess() -> None:
    table = Outcomes(
        tuple(f"prompt {row}" for row in range(40)),
        MODELS,
        np.array([[0.0, 0.5], [1.0, 1.0]] * 20),
        np.tile(COST, (40, 1)),
    )
    found = replay(table, ALWAYS_CHEAP, ALWAYS_STRONG, DIAL)
    assert found.candidate.value == pytest.approx(0.5 - 0.001 / 0.05)
    assert found.running.value == pytest.approx(0.75 - 0.010 / 0.05)
    assert not found.serves
    assert replay(table, ALWAYS_CHEAP, ALWAYS_STRONG, Dial(willingness_to_pay=0.015)).serves


def test_a_replay_leaves_out_prompts_with_an_unknown_outcome_and_refuses_unknown_models() -> None:
    rewards = np.ones((10, 2))
    rewards[:4, 0] = np.nan
    table = Outcomes(tuple(f"prompt {row}" for row in range(10)), MODELS, rewards, np.tile(COST, (10, 1)))
    assert replay(table, ALWAYS_CHEAP, ALWAYS_STRONG, DIAL).candidate.n == 6
    other = Outcomes(table.prompts, ("strong", "third"), np.ones((10, 2)), table.costs)
    with pytest.raises(InvalidRequest, match="no column for cheap"):
        replay(other, ALWAYS_CHEAP, ALWAYS_STRONG, DIAL)
