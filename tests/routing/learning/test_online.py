"""Outcomes move a policy towards what models really do, and no key, alarm or unlucky start moves it where it must not go."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meliora.errors import InvalidRequest
from meliora.routing.learned.dial import Dial, choose
from meliora.routing.learned.explore import Exploration
from meliora.routing.learned.policy import Costs, Curve, Heads, Policy, Trunk
from meliora.routing.learning.guard import handicap
from meliora.routing.learning.online import Learning, OnlineLearner, Seen
from tests.routing.learned.planted import cold

SIZE = 4
MODELS = ("cheap", "middle", "strong")


def planted(quality: tuple[float, ...] = (0.5, 0.6, 0.8), doubt: float = 0.1) -> Policy:
    """Three models with these mean qualities, known to within `doubt`, at 1, 2 and 10 thousandths of a dollar a call."""
    count = len(MODELS)
    mean = np.zeros((count, SIZE), np.float32)
    mean[:, 0] = quality
    logs = np.zeros((count, SIZE), np.float32)
    logs[:, 0] = np.log([0.001, 0.002, 0.010])
    return Policy(
        number=1,
        models=MODELS,
        reference="strong",
        embedding=Trunk(
            "planted",
            np.zeros(SIZE - 1, np.float32),
            np.ones(SIZE - 1, np.float32),
            np.zeros(1, np.float32),
            np.zeros((1, 0), np.float32),
        ),
        quality=Heads(mean, (doubt / 0.4 * np.eye(SIZE, dtype=np.float32))[None], np.full(count, 0.16, np.float32)),
        costs=Costs(logs, np.full(count, np.nan, np.float32), np.ones(count, np.float32)),
        curve=Curve(np.array([0.01]), np.array([1.0]), np.array([1.0])),
    )


def prompt(rng: np.random.Generator) -> np.ndarray:
    return np.concatenate((np.ones(1), rng.standard_normal(SIZE - 1))).astype(np.float32)


def at(policy: Policy, phi: np.ndarray) -> np.ndarray:
    return policy.quality.mean.astype(float) @ phi


def test_outcomes_bring_the_policy_to_what_models_really_do() -> None:
    rng = np.random.default_rng(1)
    learner = OnlineLearner(planted(doubt=0.3), Learning(forget=1.0))
    truth = np.array([[0.7, 0.1, 0.0, 0.0], [0.4, 0.0, 0.1, 0.0], [0.6, 0.0, 0.0, -0.1]])
    for _ in range(3000):
        phi, model = prompt(rng), int(rng.integers(3))
        chance = float(np.clip(truth[model] @ phi, 0, 1))
        learner.learn(Seen(phi=phi, model=MODELS[model], reward=float(rng.random() < chance)))
    assert learner.policy(2).quality.mean == pytest.approx(truth, abs=0.06)


def test_an_outcome_of_one_model_says_something_of_the_others() -> None:
    phi = np.ones(SIZE, np.float32)
    for shared, moved in ((0.5, True), (0.0, False)):
        learner = OnlineLearner(planted(), Learning(shared=shared))
        before = at(learner.policy(2), phi)
        learner.learn(Seen(phi=phi, model="strong", reward=0.0))
        change = at(learner.policy(3), phi) - before
        assert change[2] < change[0] <= 0
        assert (change[0] < -1e-4) == moved


def test_evidence_makes_the_policy_surer_of_the_model_it_saw() -> None:
    phi = np.ones(SIZE, np.float32)
    learner = OnlineLearner(planted(), Learning(shared=0.0))
    _, before = learner.policy(2).quality.at(phi)
    for _ in range(20):
        learner.learn(Seen(phi=phi, model="middle", reward=1.0))
    _, after = learner.policy(3).quality.at(phi)
    assert after[1] < 0.8 * before[1]
    assert after[0] == pytest.approx(before[0], rel=1e-3)


def test_the_same_outcomes_give_the_same_snapshot() -> None:
    made = []
    for _ in range(2):
        rng = np.random.default_rng(5)
        learner = OnlineLearner(planted(), Learning(pay=0.1))
        for _ in range(100):
            learner.learn(Seen(phi=prompt(rng), model=MODELS[rng.integers(3)], reward=float(rng.random()), cost=0.004))
        made.append(learner.policy(7))
    assert made[0].number == 7
    np.testing.assert_array_equal(made[0].quality.mean, made[1].quality.mean)
    np.testing.assert_array_equal(made[0].quality.factor, made[1].quality.factor)


def test_without_an_outcome_the_snapshot_predicts_as_its_anchor() -> None:
    anchor = planted()
    snapshot = OnlineLearner(anchor).policy(2)
    phi = prompt(np.random.default_rng(2))
    for one, other in zip(snapshot.quality.at(phi), anchor.quality.at(phi), strict=True):
        assert one == pytest.approx(other, rel=1e-4)
    assert snapshot.costs.at(phi) == pytest.approx(anchor.costs.at(phi))


def test_calls_that_cost_more_than_predicted_raise_the_predicted_cost() -> None:
    phi = np.ones(SIZE, np.float32)
    learner = OnlineLearner(planted())
    for _ in range(200):
        learner.learn(Seen(phi=phi, model="cheap", reward=1.0, cost=0.002))
    found = learner.policy(2).costs.at(phi)
    assert found[0] == pytest.approx(0.002, rel=0.1)
    assert found[1] == pytest.approx(0.002, rel=1e-5)


def test_a_price_that_is_not_known_stays_unknown() -> None:
    anchor = planted()
    costs = replace(anchor.costs, ratio=np.array([np.nan, 1, 1], np.float32))
    learner = OnlineLearner(replace(anchor, costs=costs), Learning(pay=0.1))
    learner.learn(Seen(phi=np.ones(SIZE, np.float32), model="cheap", reward=1.0, cost=0.5))
    assert math.isnan(learner.policy(2).costs.at(np.ones(SIZE, np.float32))[0])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(MODELS), st.sampled_from([0.0, 1.0]), st.sampled_from([0.05, 0.1]))
def test_a_flood_from_one_key_moves_no_prediction_past_the_bound(
    seed: int, model: str, reward: float, bound: float
) -> None:
    """The flood repeats one prompt or draws many; whichever prompts were recently asked, none moves by more."""
    rng = np.random.default_rng(seed)
    learner = OnlineLearner(planted(), Learning(influence=bound, watch=replace(Learning().watch, threshold=1e9)))
    asked = [prompt(rng) for _ in range(40)]
    for phi in asked:
        learner.learn(Seen(phi=phi, model=MODELS[rng.integers(3)], reward=0.6, key=f"key {rng.integers(4)}"))
    before = learner.policy(2)
    same = prompt(rng)
    for turn in range(150):
        phi = same if seed % 2 else asked[turn % len(asked)]
        learner.learn(Seen(phi=phi, model=model, reward=reward, key="flood"))
    after = learner.policy(3)
    for phi in asked:
        assert np.abs(at(after, phi) - at(before, phi)).max() <= bound + 1e-5


def test_a_key_that_is_alone_is_believed() -> None:
    """Where a tenant has one key only, the bound would be a bound on learning."""
    learner = OnlineLearner(planted(), Learning(influence=0.05))
    phi = np.array([1, 0, 0, 0], np.float32)
    for _ in range(400):
        learner.learn(Seen(phi=phi, model="strong", reward=0.5, key="only"))
    assert at(learner.policy(2), phi)[2] == pytest.approx(0.5, abs=0.08)


def test_a_model_that_was_replaced_is_noticed_and_doubted_again() -> None:
    rng = np.random.default_rng(3)
    learner = OnlineLearner(planted(doubt=0.02))
    phi = np.array([1, 0, 0, 0], np.float32)
    for _ in range(800):
        learner.learn(Seen(phi=phi, model="strong", reward=float(rng.random() < 0.8)))
    _, sure = learner.policy(2).quality.at(phi)
    turns = 0
    while not learner.alarms and turns < 400:
        learner.learn(Seen(phi=phi, model="strong", reward=float(rng.random() < 0.5), task="general"))
        turns += 1
    for _ in range(60):
        learner.learn(Seen(phi=phi, model="strong", reward=float(rng.random() < 0.5)))
    assert learner.alarms and learner.alarms[0].model == "strong" and learner.alarms[0].shift < 0
    expected, spread = learner.policy(3).quality.at(phi)
    assert expected[2] == pytest.approx(0.5, abs=0.12)
    assert spread[2] > 1.5 * sure[2]


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"model": "unheard of"}, "unheard of"),
        ({"reward": 1.2}, "reward is 1.2"),
        ({"reward": math.nan}, "reward is nan"),
        ({"weight": 0.0}, "weight is 0.0"),
        ({"cost": -1.0}, "cost is -1.0"),
        ({"phi": np.ones(SIZE + 1, np.float32)}, "shape"),
        ({"phi": np.full(SIZE, np.nan, np.float32)}, "no number"),
    ],
)
def test_an_outcome_that_cannot_be_is_refused_by_name_and_changes_nothing(wrong: dict[str, object], named: str) -> None:
    learner = OnlineLearner(planted())
    good = {"phi": np.ones(SIZE, np.float32), "model": "cheap", "reward": 0.5}
    with pytest.raises(InvalidRequest, match=named):
        learner.learn(Seen(**(good | wrong)))  # pyright: ignore[reportArgumentType]
    assert learner.outcomes == 0
    np.testing.assert_array_equal(learner.policy(2).quality.mean, OnlineLearner(planted()).policy(2).quality.mean)


def test_learning_that_makes_no_sense_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"influence=2, margin=-1"):
        Learning(margin=-1, influence=2)


def test_the_guard_holds_back_what_is_not_known_well_enough() -> None:
    rng = np.random.default_rng(4)
    prompts = np.stack([prompt(rng) for _ in range(100)]).astype(float)
    mean = np.zeros((2, SIZE))
    mean[:, 0] = (0.7, 0.8)
    price = np.tile([0.0, 0.15], (100, 1))
    known, guessed = np.tile(np.eye(SIZE) * 1e-6, (2, 1, 1)), np.tile(np.eye(SIZE) * 0.04, (2, 1, 1))
    assert handicap(prompts, mean, known, price, 1, 0.01) == 0
    held = handicap(prompts, mean, guessed, price, 1, 0.01)
    assert held >= 0.05  # the gain of .05 a prompt is not certain, so nothing of it is taken
    assert handicap(prompts, mean, guessed, price, 1, 0.5) == 0  # unless as much may be lost


def test_the_guard_reckons_a_reference_of_unknown_price_as_free() -> None:
    prompts = np.ones((10, SIZE))
    mean = np.array([[0.8, 0, 0, 0], [0.8, 0, 0, 0]])
    price = np.tile([0.1, np.nan], (10, 1))
    assert handicap(prompts, mean, np.zeros((2, SIZE, SIZE)), price, 1, 0.0) == 0
    assert handicap(prompts, np.array([[0.85, 0, 0, 0], [0.8, 0, 0, 0]]), np.zeros((2, SIZE, SIZE)), price, 1, 0.0) == 0


def test_a_cold_policy_with_a_guard_stays_with_the_reference_until_it_knows() -> None:
    rng = np.random.default_rng(6)
    learner = OnlineLearner(planted(quality=(0.7, 0.7, 0.7), doubt=0.3), Learning(pay=0.05))
    truth = (0.3, 0.8, 0.8)
    choices: list[int] = []
    policy = learner.policy(1)
    for turn in range(1000):
        phi = np.array([1, 0, 0, 0], np.float32)
        prediction = policy.predicted(phi)
        best = int((prediction.quality - prediction.cost / 0.05).argmax())
        choices.append(best)
        tried = int(rng.integers(3)) if rng.random() < 0.2 else best
        reward = float(rng.random() < truth[tried])
        learner.learn(Seen(phi=phi, model=MODELS[tried], reward=reward))
        if turn % 20 == 19:
            policy = learner.policy(1)
    assert 0 not in choices[20:], "the cheap and bad one was never worth it"
    assert choices[-1] == 1, "the middle one is as good as the strong one and costs a fifth"


def test_what_the_guard_holds_back_is_explored_all_the_same() -> None:
    """A policy in doubt serves the reference, and tries the others as often as they may be better."""
    learner = OnlineLearner(planted(quality=(0.7, 0.7, 0.7), doubt=0.3), Learning(pay=0.1))
    phi = np.array([1, 0, 0, 0], np.float32)
    learner.learn(Seen(phi=phi, model="strong", reward=1.0))
    policy = learner.policy(2)
    chosen = choose(policy.predicted(phi), MODELS, Dial(willingness_to_pay=0.1), Exploration(0.0, 0.2, loss=1.0), 0.99)
    assert policy.handicap > 0
    assert chosen.probabilities[2] == pytest.approx(0.8)
    assert chosen.probabilities[:2].min() > 0.05


def test_a_policy_that_knows_nothing_serves_the_reference_from_its_first_call() -> None:
    start = cold(MODELS, "strong", {"cheap": 0.001, "middle": None, "strong": 0.01}, planted().embedding)
    for policy in (start, OnlineLearner(start, Learning(pay=0.1)).policy(1), OnlineLearner(start).policy(1)):
        prediction = policy.predicted(np.array([1, 0, 0, 0], np.float32))
        chosen = choose(prediction, MODELS, Dial(willingness_to_pay=0.1), Exploration(0.01, 0.1), 0.99)
        assert chosen.probabilities[2] == pytest.approx(0.9)
        assert math.isnan(prediction.cost[1]), "an unknown price stays unknown"
    with pytest.raises(InvalidRequest, match="unheard of"):
        cold(MODELS, "unheard of", {}, planted().embedding)
