"""The runs of learning while serving judge what the request path would serve, and an estimate's interval is held to the truth."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.routing.online import RULE, Field, Run, _rolling, chances, utilities, whole
from benchmarks.routing.ope import coverage
from meliora.routing.learned.dial import Dial, choose
from meliora.routing.learned.policy import Policy
from meliora.routing.learning.online import Learning
from meliora.routing.learning.table import Outcomes
from meliora.routing.learning.trunk import fit_trunk, phis, read_all
from tests.routing.learned.planted import cold

MODELS = ("cheap", "strong")


def table(n: int, seed: int) -> Outcomes:
    """Sums that the cheap model gets right, and proofs that it does not."""
    rng = np.random.default_rng(seed)
    hard = rng.random(n) < 0.5
    prompts = tuple(
        f"Prove that there are {row} primes below \\frac{{{row}}}{{2}}." if h else f"How much is {row} and {row}?"
        for row, h in enumerate(hard)
    )
    chance = np.stack([np.where(hard, 0.2, 0.9), np.full(n, 0.9)], axis=1)
    costs = np.tile([0.001, 0.01], (n, 1)) * rng.uniform(0.8, 1.2, (n, 2))
    return Outcomes(prompts, MODELS, (rng.random((n, 2)) < chance).astype(float), costs)


def blank() -> tuple[Policy, np.ndarray]:
    corpus = read_all(table(20, 1).prompts)
    trunk = fit_trunk(corpus, 2)
    return cold(MODELS, "strong", {"cheap": 0.001, "strong": 0.01}, trunk), phis(trunk, corpus)


def test_a_run_serves_as_the_request_path_does() -> None:
    policy, phi = blank()
    found = chances(policy, phi, 0.1)
    for row, one in enumerate(phi):
        chosen = choose(policy.predicted(one), MODELS, Dial(willingness_to_pay=0.1), RULE)
        assert found[row] == pytest.approx(chosen.probabilities, abs=1e-6)


def test_what_is_left_of_a_model_counts_in_its_utility() -> None:
    made = table(5, 2)
    full, fallen = utilities(made, 0.1), utilities(made, 0.1, np.array([1.0, 0.5]))
    assert full[:, 0].tolist() == fallen[:, 0].tolist()
    assert (full - fallen)[:, 1] == pytest.approx(made.rewards[:, 1] / 2)


def test_prompts_with_an_outcome_missing_are_left_out() -> None:
    made = table(6, 3)
    made.costs[2, 0] = np.nan
    assert len(whole(made)) == 5


def test_a_rolling_mean_begins_with_what_there_is() -> None:
    assert _rolling(np.array([1.0, 3.0, 5.0, 7.0]), 2).tolist() == [1.0, 2.0, 4.0, 6.0]


def test_a_run_learns_from_what_it_served_and_is_judged_on_other_prompts() -> None:
    train, test = table(120, 4), table(60, 5)
    policy, _ = blank()
    where = Field("easy", train, test, read_all(train.prompts), read_all(test.prompts), 1, policy, 0.1)
    run = Run(where, policy, np.random.default_rng(1), np.arange(120), Learning(pay=0.1))
    judged: list[int] = []
    before = run.value()
    run.go(60, judged.append)
    assert judged == [20, 40, 60]
    assert run.learner.outcomes == 60
    assert run.policy.number == 60
    assert run.served().sum() == pytest.approx(1)
    assert run.value() == pytest.approx(before, abs=0.05), "with so little known it holds to the reference"


def test_coverage_is_counted_over_logs_and_shown_beside_other_estimators() -> None:
    figure = coverage({"easy": table(150, 6)}, logs=3)
    assert figure.n == 3
    assert 0 <= figure.value <= 1
    assert {"difference", "snips", "plain_ips", "easy"} <= set(figure.beside)
