"""A prior expects of a model what its price and the prompt say, and no more surely than it should; outcomes move it fast."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from meliora.errors import InvalidRequest
from meliora.routing.learned.dial import Dial, choose
from meliora.routing.learned.snapshot import decode, encode
from meliora.routing.learning.online import Learning, OnlineLearner, Seen
from meliora.routing.learning.prior import begin, blank, guarded
from meliora.routing.learning.prior_file import load
from meliora.routing.learning.prior_fit import fit_prior, line
from meliora.routing.pool import Candidate
from tests.routing.learning.public import candidates, planted_prior, prompt, public_set

POOL = candidates({"cheap": 0.1, "dear": 5.0})


def test_a_dearer_model_is_expected_to_be_better_and_a_weaker_one_to_suffer_more_from_hard_prompts() -> None:
    policy = begin(planted_prior(), POOL, "dear")
    easy, hard = policy.predict(prompt(False, 99_999)), policy.predict(prompt(True, 99_999))
    assert easy.quality[1] > easy.quality[0] and hard.quality[1] > hard.quality[0]
    assert easy.quality[0] - hard.quality[0] > easy.quality[1] - hard.quality[1] > 0


def test_what_was_planted_is_found_again() -> None:
    prior = planted_prior()
    assert prior.ability.slope == pytest.approx(0.05, abs=0.015)
    assert prior.ability.level_spread == pytest.approx(0.065, abs=0.03)
    assert prior.dependence.slope < 0
    assert prior.answer == pytest.approx(300, rel=0.2)


def test_a_model_without_a_price_has_the_mean_a_wider_spread_and_no_cost() -> None:
    prior = planted_prior()
    policy = begin(prior, [*POOL, Candidate("mystery"), Candidate("tiered", tier="deep")], "dear")
    seen = policy.predict("hello")
    assert math.isnan(seen.cost[2]) and math.isnan(seen.cost[3])
    assert policy.quality.mean[2, 0] == pytest.approx(prior.ability.level)
    assert policy.quality.mean[3, 0] > policy.quality.mean[2, 0], "a deep one is taken for a dear one"
    assert seen.spread[2] > seen.spread[3] > seen.spread[1]
    chosen = choose(seen, policy.models, Dial(willingness_to_pay=1.0))
    assert policy.models[chosen.index] == "dear"


def test_a_call_costs_by_the_price_list_more_where_the_prompt_is_longer_and_nothing_where_it_is_free() -> None:
    policy = begin(planted_prior(), [*POOL, *candidates({"free": 0.0})], "dear")
    short, long = policy.predict("hi").cost, policy.predict("Prove the lemma. " * 40).cost
    assert (long[:2] > short[:2]).all()
    assert short[1] / short[0] == pytest.approx(50, rel=1e-3)
    assert short[2] < 1e-9


def test_a_floor_takes_a_finite_price_and_at_the_highest_one_cost_counts_for_nothing() -> None:
    policy = begin(planted_prior(), POOL, "dear")
    assert (np.diff(policy.curve.pay) > 0).all() and (np.diff(policy.curve.quality) >= 0).all()
    assert 0 < Dial(quality_floor=1.0).pay(policy.curve) < math.inf
    assert Dial(quality_floor=0.9).pay(policy.curve) <= Dial(quality_floor=0.98).pay(policy.curve)


def test_the_reference_answers_alone_until_the_guard_holds_without_a_handicap() -> None:
    prior = planted_prior()
    free = begin(prior, POOL, "dear")
    assert free.handicap == 1.0
    strict = guarded(free, prior, Dial(willingness_to_pay=10.0), 0.002)
    assert strict.handicap == 1.0, "the cheap one is expected to be worse, and may be much worse"
    thrifty = guarded(free, prior, Dial(willingness_to_pay=0.001), 0.002)
    assert thrifty.handicap < 1.0, "at this dial the reference costs more than a right answer is worth"
    assert guarded(free, prior, Dial(willingness_to_pay=0.0), 0.002).handicap == 1.0


def test_it_survives_as_a_snapshot() -> None:
    policy = begin(planted_prior(), POOL, "dear", 3)
    again = decode(encode(policy))
    assert again.number == 3 and again.trunk == policy.trunk
    assert again.predict("Prove it.").quality == pytest.approx(policy.predict("Prove it.").quality, abs=1e-3)


def test_outcomes_move_it_past_what_the_price_said() -> None:
    """The cheap model is as good as the dear one: some dozens of outcomes say so, and it serves."""
    rng = np.random.default_rng(3)
    prior = planted_prior()
    pool = candidates({"cheap": 1.0, "dear": 20.0})
    start = begin(prior, pool, "dear")
    learner = OnlineLearner(start, Learning(pay=0.05, margin=0.01))
    for turn in range(400):
        seen = start.predict(prompt(bool(turn % 2), turn))
        model = "cheap" if turn % 2 < 1 or turn % 3 == 0 else "dear"
        learner.learn(Seen(phi=seen.phi, model=model, reward=float(rng.random() < 0.9), key=turn % 20))
    policy = learner.policy(1)
    assert policy.handicap == 0
    seen = policy.predict(prompt(False, 5))
    assert seen.quality[0] == pytest.approx(0.9, abs=0.08)
    assert policy.models[choose(seen, policy.models, Dial(willingness_to_pay=0.05)).index] == "cheap"


def test_a_first_outcome_does_not_open_the_guard() -> None:
    """One prompt on which the reference looks best says nothing of those on which it does not."""
    prior = planted_prior()
    start = begin(prior, POOL, "dear")
    learner = OnlineLearner(start, Learning(pay=0.5))
    learner.learn(Seen(phi=start.predict(prompt(True, 1)).phi, model="dear", reward=1.0))
    assert learner.policy(1).handicap == 1.0


def test_nothing_expected_is_the_cold_start() -> None:
    trunk = planted_prior().trunk
    policy = begin(blank(trunk), POOL, "dear")
    seen = policy.predict("Prove it.")
    assert seen.quality[0] == seen.quality[1] == pytest.approx(0.7)
    assert policy.handicap == 1.0
    held = guarded(policy, blank(trunk), Dial(), 0.01)
    assert held.models[choose(held.predict("x"), held.models, Dial()).index] == "dear"


@pytest.mark.parametrize(
    ("pool", "reference", "sentence"),
    [
        (POOL, "unheard of", "'unheard of' is not in the pool"),
        ([], "dear", "not in the pool"),
        (
            candidates({"dear": None, "a": 1.0, "b": 2.0}),
            "dear",
            "The price of the reference model 'dear' is not known",
        ),
        (candidates({"dear": 1.0}), "dear", "nothing to choose between"),
        (candidates({"dear": 1.0, "unpriced": None}), "dear", "only model of a known price"),
    ],
)
def test_what_a_prior_cannot_begin_with_is_said(pool: list[Candidate], reference: str, sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        begin(planted_prior(), pool, reference)


def test_a_line_is_fitted_within_sets_whatever_their_levels() -> None:
    x = np.array([0.0, 1.0, 2.0])
    found = line([(x, 0.3 + 0.1 * x), (x, 0.7 + 0.1 * x), (x + 1, 0.6 + 0.1 * x)])
    assert (found.slope, found.spread) == (pytest.approx(0.1), pytest.approx(0.0, abs=1e-6))
    assert found.level_spread == pytest.approx(np.std([0.3, 0.7, 0.5], ddof=1))
    value, own = found.at(100.0)
    assert value == found.at(found.high)[0] and own < 1e-6, "past what was seen the line goes on flat"
    assert found.at(found.centre, doubt=1.0)[1] == pytest.approx(0.01)


def test_few_sets_and_models_without_a_list_price_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="2 sets"):
        fit_prior({"a": public_set(0, 0.5), "b": public_set(1, 0.5)})
    known = public_set(0, 0.5)
    with pytest.raises(InvalidRequest, match="no list price"):
        type(known).of(known.outcomes, [replace(model, input_price=None) for model in known.models])


def test_the_shipped_prior_is_fit_for_use() -> None:
    prior = load()
    policy = guarded(begin(prior, POOL, "dear"), prior, Dial(), 0.01)
    seen = policy.predict("What is the capital of Peru?")
    assert 0.3 < seen.quality[0] < seen.quality[1] < 1
    assert seen.cost[0] == pytest.approx(0.1 * 200 / 1e6, rel=1.0)
    assert policy.models[choose(seen, policy.models, Dial()).index] == "dear"
