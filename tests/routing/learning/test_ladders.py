"""Cascades are measured by answers that are known of every model, and a policy keeps those that are worth having."""

import random
from dataclasses import replace

import numpy as np
import pytest

from meliora.errors import InvalidRequest
from meliora.routing.learned.policy import Policy
from meliora.routing.learned.snapshot import BadSnapshot, decode, encode
from meliora.routing.learning.fit import Fitting, fit
from meliora.routing.learning.forest import Growing
from meliora.routing.learning.ladders import LEAST, candidates, played
from meliora.routing.learning.table import Outcomes
from meliora.routing.learning.trunk import Embedding

MODELS = ("a", "b", "c", "big")
QUICK = Fitting(embedding=Embedding(width=8, growing=Growing(trees=10)), folds=3)
COSTS = np.array([0.01, 0.012, 0.02, 1.0])


def table(count: int = 400, seed: int = 1) -> Outcomes:
    """Give prompts on which three cheap models are right three times in four, each by itself, and wrong in ways of their own."""
    rng = random.Random(seed)
    prompts, rewards, said = [], [], []
    for number in range(count):
        prompts.append(f"Case {number}: {' '.join(rng.choices(('sum', 'proof', 'name', 'colour'), k=5))}")
        right = [rng.random() < chance for chance in (0.75, 0.75, 0.75, 0.9)]
        rewards.append([float(one) for one in right])
        said.append([0 if one else 1 + model for model, one in enumerate(right)])
    return Outcomes(tuple(prompts), MODELS, np.array(rewards), np.tile(COSTS, (count, 1)), said=np.array(said))


@pytest.fixture(scope="module")
def policy() -> Policy:
    return fit(table(), fitting=QUICK)


def one(said: list[int], rewards: list[float]) -> Outcomes:
    return Outcomes(("p",), MODELS, np.array([rewards]), COSTS[None], said=np.array([said]))


@pytest.mark.parametrize(
    ("said", "stood", "cost", "asked"),
    [
        ([5, 5, 6, 7], 0, 0.022, [0, 0]),
        ([5, 6, 5, 7], 0, 0.042, [1, 0]),
        ([5, 6, 6, 7], 1, 0.042, [1, 0]),
        ([5, 6, 7, 5], 3, 1.042, [1, 1]),
        ([-1, -1, -1, 5], 3, 1.042, [1, 1]),
    ],
)
def test_the_first_answer_that_two_gave_stands_and_all_who_were_asked_are_charged(said, stood, cost, asked) -> None:
    made = played(one(said, [0.1, 0.2, 0.3, 0.4]), (0, 1, 2, 3))
    assert made.stood.tolist() == [stood] and made.rewards.tolist() == [(0.1, 0.2, 0.3, 0.4)[stood]]
    assert made.costs.tolist() == [pytest.approx(cost)]
    assert made.asked.tolist() == [asked]
    assert made.later.sum() == pytest.approx(cost - 0.022)


def test_a_cascade_of_three_asks_the_strong_one_where_the_two_differ() -> None:
    made = played(one([5, 6, 6, 7], [0, 1, 1, 1]), (0, 1, 3))
    assert (made.stood.tolist(), made.asked.tolist()) == ([3], [[0, 1]])
    assert made.costs.tolist() == [pytest.approx(1.022)]


def test_the_cheaper_one_comes_first_and_nobody_is_asked_twice() -> None:
    found = candidates(table())
    assert found and all(len(set(legs)) == len(legs) for legs in found)
    assert all(COSTS[legs[0]] <= COSTS[legs[1]] for legs in found)


def test_a_policy_with_answers_holds_the_quality_of_the_best_at_less_than_any_model_alone(policy: Policy) -> None:
    assert policy.ladders is not None
    curve = policy.ladders.curve
    held = curve.cost[np.flatnonzero(curve.quality >= 1.0)[0]]
    assert held < 0.6 < policy.curve.cost[np.flatnonzero(policy.curve.quality >= 1.0)[0]]
    assert all(policy.ladders.of(model) == (model,) for model in range(len(MODELS)))


def test_what_is_foreseen_of_a_cascade_is_near_what_came_of_it(policy: Policy) -> None:
    ladders, fresh = policy.ladders, table(600, seed=9)
    assert ladders is not None
    foreseen = [policy.predict(prompt) for prompt in fresh.prompts]
    phi, cost = np.stack([each.phi for each in foreseen]), np.stack([each.cost for each in foreseen])
    quality, spent = ladders.at(phi, np.zeros((1, len(MODELS))), cost)
    for place in range(len(ladders.legs)):
        made = played(fresh, ladders.of(place))
        assert quality[:, place].mean() == pytest.approx(made.rewards.mean(), abs=0.06)
        assert spent[:, place].mean() == pytest.approx(made.costs.mean(), rel=0.2)


def test_a_cascade_moves_with_the_models_whose_answers_stand(policy: Policy) -> None:
    ladders, phi = policy.ladders, policy.predict("name").phi[None]
    assert ladders is not None
    before, _ = ladders.at(phi, np.zeros((1, 4)), COSTS[None])
    after, _ = ladders.at(phi, np.array([[-0.2, 0, 0, 0]]), COSTS[None])
    assert before - after == pytest.approx(0.2 * ladders.stood[None, :, 0], abs=1e-5)


def test_a_leg_without_a_price_leaves_its_cascades_without_one_and_no_others(policy: Policy) -> None:
    ladders = policy.ladders
    assert ladders is not None
    cost = np.array([[0.01, np.nan, 0.02, np.nan]])
    _, spent = ladders.at(policy.predict("name").phi[None], np.zeros((1, 4)), cost)
    for place in range(len(ladders.legs)):
        assert bool(np.isnan(spent[0, place])) is bool({1, 3} & set(ladders.of(place)))


def test_nothing_is_measured_without_answers_or_prices_or_of_few_prompts() -> None:
    whole = table()
    assert fit(replace(whole, said=None), fitting=QUICK).ladders is None
    assert fit(whole.take(range(LEAST - 1)), fitting=QUICK).ladders is None
    assert fit(replace(whole, costs=np.full_like(whole.costs, np.nan)), fitting=QUICK).ladders is None
    nobody = replace(whole, said=np.full_like(whole.said, -1))
    assert fit(nobody, fitting=QUICK).ladders is None, "where nobody agrees no cascade is worth its price"


def test_prompts_on_which_an_outcome_is_missing_are_left_out_and_not_read_as_nothing() -> None:
    whole = table()
    rewards = whole.rewards.copy()
    rewards[::5, 0] = np.nan
    made = fit(replace(whole, rewards=rewards), fitting=QUICK).ladders
    assert made is not None
    assert np.isfinite(made.quality).all() and np.isfinite(made.curve.quality).all()


def test_answers_that_do_not_fit_the_outcomes_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="answers"):
        replace(table(), said=np.zeros((3, 4), np.int64))


def test_a_snapshot_keeps_the_cascades_and_one_without_them_reads_as_before(policy: Policy) -> None:
    again = decode(encode(policy)).ladders
    assert again is not None and policy.ladders is not None
    for name in ("legs", "quality", "asked", "dearer", "stood", "anchor"):
        assert (getattr(again, name) == getattr(policy.ladders, name)).all()
    assert (again.curve.pay == policy.ladders.curve.pay).all()
    assert decode(encode(replace(policy, ladders=None))).ladders is None


def row(*legs: float) -> np.ndarray:
    return np.array([legs], np.float32)


@pytest.mark.parametrize(
    "wrong",
    [
        {"legs": np.full((4, 4), 9)},
        {"legs": np.float32(1).reshape(())},
        {"quality": np.float32(1).reshape(())},
        {"dearer": np.ones((1, 2), np.float32)},
    ],
)
def test_a_snapshot_whose_cascades_do_not_fit_the_models_is_refused(policy: Policy, wrong) -> None:
    assert policy.ladders is not None
    with pytest.raises(BadSnapshot, match="fit together"):
        decode(encode(replace(policy, ladders=replace(policy.ladders, **wrong))))


@pytest.mark.parametrize(
    "legs",
    [row(0, 1, 2, -1), row(0, -1, 2, 3), row(-1, 1, -1, 3), row(0, 1, 1, 3), row(0, 1, 0.5, 3), row(0, 1, 1e30, 3)],
)
def test_a_cascade_without_a_last_word_or_that_asks_twice_or_asks_nobody_is_refused(policy: Policy, legs) -> None:
    ladders = policy.ladders
    assert ladders is not None
    one = {name: getattr(ladders, name)[:1] for name in ("quality", "asked", "dearer", "stood")}
    decode(encode(replace(policy, ladders=replace(ladders, legs=row(0, 1, -1, 3), **one))))
    with pytest.raises(BadSnapshot, match="fit together"):
        decode(encode(replace(policy, ladders=replace(ladders, legs=legs, **one))))
    with pytest.raises(BadSnapshot, match="fit together"):
        decode(
            encode(replace(policy, ladders=replace(ladders, legs=row(0, 1, -1, 3), **{**one, "dearer": row(-1, 1)})))
        )
