"""A fit needs outcomes that hold together, and works with outcomes that are only partly seen."""

import numpy as np
import pytest

from meliora.errors import InvalidRequest
from meliora.routing.learned.dial import Dial, choose
from meliora.routing.learned.features import read
from meliora.routing.learned.policy import LEFT
from meliora.routing.learning.fit import Fitting, fit
from meliora.routing.learning.forest import Growing
from meliora.routing.learning.table import Outcomes
from meliora.routing.learning.trunk import Embedding, everywhere, fit_trunk, phis, plant, read_all
from tests.routing.learned.planted import MODELS, outcomes

QUICK = Fitting(embedding=Embedding(width=8, growing=Growing(trees=10)), folds=3)


def test_phi_of_many_is_phi_of_each():
    corpus = read_all(outcomes(60).prompts)
    bare = fit_trunk(corpus, 12)
    trunk, _ = plant(bare, phis(everywhere(bare), corpus), outcomes(60).rewards, Embedding(growing=Growing(trees=5)))
    one_by_one = np.stack([trunk.phi(read(prompt)) for prompt in outcomes(60).prompts])
    assert phis(trunk, corpus) == pytest.approx(one_by_one, abs=1e-4)


def test_the_same_outcomes_give_the_same_policy():
    one, other = (fit(outcomes(80), fitting=QUICK) for _ in range(2))
    assert one.trunk == other.trunk
    assert (one.quality.mean == other.quality.mean).all()


def test_outcomes_seen_for_one_model_a_prompt_are_learned_from():
    table = outcomes(900)
    rng = np.random.default_rng(3)
    seen = rng.integers(0, 3, len(table))[:, None] == np.arange(3)
    policy = fit(Outcomes(table.prompts, MODELS, np.where(seen, table.rewards, np.nan), table.costs), fitting=QUICK)
    hard = policy.predict(
        "Please tell me of lemma and theorem and proof and lemma and integral and proof, case 901."
    ).quality
    easy = policy.predict(
        "Please tell me of weather and colour and name and greet and capital and name, case 902."
    ).quality
    assert hard[2] - hard[0] > easy[2] - easy[0] + 0.2


def test_without_any_cost_the_policy_still_predicts_quality():
    table = outcomes(100)
    policy = fit(Outcomes(table.prompts, MODELS, table.rewards, np.full_like(table.costs, np.nan)), fitting=QUICK)
    made = policy.predict("Please tell me of lemma.")
    assert np.isnan(made.cost).all()
    assert choose(made, MODELS, Dial()).index == made.quality.argmax()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: Outcomes(t.prompts, t.models, t.rewards + 1, t.costs), "outside 0..1"),
        (lambda t: Outcomes(t.prompts, t.models, t.rewards, -t.costs), "negative"),
        (lambda t: Outcomes(t.prompts[:-1], t.models, t.rewards, t.costs), "prompts"),
        (lambda t: Outcomes(t.prompts, ("a", "a", "b"), t.rewards, t.costs), "twice"),
        (lambda t: fit(t.take(range(5))), "too few"),
        (lambda t: fit(t, reference="nobody"), "nobody"),
    ],
)
def test_what_does_not_hold_together_is_named(change, says):
    with pytest.raises(InvalidRequest, match=says):
        change(outcomes(30))


def test_a_prompt_unlike_all_others_is_predicted_nearer_to_the_means_but_can_still_be_learned_from():
    policy = fit(outcomes(300), fitting=QUICK)
    means = outcomes(300).rewards.mean(axis=0)
    odd = read("lemma \\frac{1}{2} = ??? {[(`theorem`)]} 123456789012345 %%%")
    free = everywhere(policy.embedding).phi(odd)
    held = policy.embedding.phi(odd)
    away = np.abs(policy.predicted(free).quality - means).max()
    assert 0 < np.abs(policy.predicted(held).quality - means).max() < 0.5 * away
    assert np.linalg.norm(held[1:]) == pytest.approx(LEFT * np.linalg.norm(free[1:]), rel=1e-4)
