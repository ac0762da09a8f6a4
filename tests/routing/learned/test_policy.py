"""A fitted policy predicts, is written and read back, follows prices and obeys its dial."""

import math
from copy import copy
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meliora.errors import InvalidRequest
from meliora.routing.learned.dial import Dial, choose
from meliora.routing.learned.explore import Exploration
from meliora.routing.learned.policy import Policy
from meliora.routing.learned.snapshot import BadSnapshot, decode, encode
from meliora.routing.learning.fit import fit
from tests.routing.learned.planted import MODELS, PRICES, outcomes

HARD = "Please tell me of lemma and theorem and proof and integral and proof and lemma, case 7."
EASY = "Please tell me of weather and colour and name and capital and name and greet, case 7."


@pytest.fixture(scope="module")
def policy() -> Policy:
    return fit(outcomes(), prices=PRICES, number=7)


def test_a_hard_prompt_goes_to_the_strong_model_and_an_easy_one_does_not(policy):
    chosen = [choose(policy.predict(text), MODELS, Dial(quality_floor=0.97)).index for text in (HARD, EASY)]
    assert MODELS[chosen[0]] == "large"
    assert MODELS[chosen[1]] in {"small", "middle"}


def test_the_reference_is_the_best_single_model_unless_declared(policy):
    assert policy.reference == "large"
    assert fit(outcomes(40), reference="middle").reference == "middle"


@given(st.text(max_size=200))
def test_predictions_are_in_range(policy, text):
    made = policy.predict(text)
    assert ((made.quality >= 0) & (made.quality <= 1)).all()
    assert (made.low <= made.quality).all()
    assert (made.quality <= made.high).all()
    assert (made.cost > 0).all()
    assert made.phi[0] == 1


def test_a_snapshot_is_read_back_as_it_was_but_for_rounding(policy):
    back = decode(encode(policy))
    for text in (HARD, EASY, ""):
        there, here = back.predict(text), policy.predict(text)
        assert there.quality == pytest.approx(here.quality, abs=2e-3)
        assert there.cost == pytest.approx(here.cost, rel=1e-2)
    assert (back.number, back.trunk, back.models, back.reference) == (7, policy.trunk, MODELS, "large")
    assert encode(back) == encode(decode(encode(back)))


def test_an_altered_or_torn_snapshot_is_refused(policy):
    blob = encode(policy)
    for place in (0, 9, 40, len(blob) // 2, len(blob) - 1):
        altered = bytearray(blob)
        altered[place] ^= 1
        with pytest.raises(BadSnapshot):
            decode(bytes(altered))
    for size in (0, 7, 12, 100, len(blob) - 1):
        with pytest.raises(BadSnapshot):
            decode(blob[:size])


def test_a_snapshot_of_other_features_is_refused(policy, monkeypatch):
    monkeypatch.setattr("meliora.routing.learned.snapshot.FEATURES_VERSION", 99)
    blob = encode(policy)
    monkeypatch.undo()
    with pytest.raises(BadSnapshot, match="version 99"):
        decode(blob)


def test_a_snapshot_whose_forest_does_not_fit_together_is_refused(policy):
    forest = copy(policy.embedding.forest)
    object.__setattr__(forest, "leaves", np.zeros((2, 3, 1), np.float32))
    blob = encode(replace(policy, embedding=replace(policy.embedding, forest=forest)))
    with pytest.raises(BadSnapshot, match="forest"):
        decode(blob)


def test_a_snapshot_with_numbers_that_are_none_is_refused(policy):
    policy.quality.mean[0, 0], kept = math.nan, policy.quality.mean[0, 0]
    blob = encode(policy)
    policy.quality.mean[0, 0] = kept
    with pytest.raises(BadSnapshot, match=r"quality\.mean"):
        decode(blob)


def test_a_changed_price_scales_the_cost_and_an_unknown_one_is_no_price(policy):
    before = policy.predict(EASY).cost
    after = policy.repriced({"small": 0.3, "middle": None}).predict(EASY).cost
    assert after[0] == pytest.approx(3 * before[0])
    assert math.isnan(after[1])
    assert after[2] == before[2]


def test_a_model_without_a_known_price_is_never_chosen_for_being_cheap(policy):
    made = policy.repriced({"small": None}).predict(EASY)
    for pay in (0.0, 1e-9, 1e-3, 1e6):
        assert MODELS[choose(made, MODELS, Dial(willingness_to_pay=pay)).index] != "small"


def test_paying_nothing_is_the_cheapest_model_and_paying_all_is_the_best(policy):
    made = policy.predict(HARD)
    assert MODELS[choose(made, MODELS, Dial(willingness_to_pay=0)).index] == "small"
    assert choose(made, MODELS, Dial(willingness_to_pay=1e9)).index == made.quality.argmax()


def test_only_what_is_allowed_is_chosen(policy):
    made = policy.predict(HARD)
    choice = choose(made, {"small", "unknown"}, Dial())
    assert (choice.index, choice.why) == (0, "only")
    assert choice.probabilities.tolist() == [1, 0, 0]
    with pytest.raises(InvalidRequest, match="none of the allowed"):
        choose(made, {"unknown"}, Dial())


def test_exploration_gives_each_allowed_model_its_floor(policy):
    made = policy.predict(HARD)
    rule = Exploration(floor=0.01, cap=0.1)
    choice = choose(made, {"small", "large"}, Dial(quality_floor=1.0), rule, 0.999999)
    assert choice.probabilities[1] == 0
    assert choice.probabilities[0] >= 0.01
    assert choice.probabilities.sum() == pytest.approx(1)
    assert (choice.why == "explored") == (choice.index == 0)


@pytest.mark.parametrize(
    "wrong",
    [{"quality_floor": 0}, {"quality_floor": math.nan}, {"willingness_to_pay": -1}, {"willingness_to_pay": math.inf}],
)
def test_a_dial_out_of_range_says_so(wrong):
    with pytest.raises(InvalidRequest):
        Dial(**wrong)


def test_a_higher_floor_never_pays_less(policy):
    pays = [Dial(quality_floor=floor).pay(policy.curve) for floor in np.linspace(0.5, 1.1, 25)]
    assert pays == sorted(pays)


def test_where_nothing_else_holds_the_floor_the_reference_is_chosen(policy):
    choice = choose(policy.predict(EASY), MODELS, Dial(quality_floor=1.4))
    assert (MODELS[choice.index], choice.why) == ("large", "reference")
