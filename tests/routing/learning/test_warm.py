"""A calibrated policy comes with what it would have saved on prompts its fit had not seen, and with a comparison it can lose."""

from __future__ import annotations

import math

import numpy as np
import pytest

from meliora.errors import InvalidRequest
from meliora.routing.learned.dial import Dial
from meliora.routing.learning.fit import OutOfFold
from meliora.routing.learning.table import Outcomes
from meliora.routing.learning.warm import Warm, fit_warm, held_against
from meliora.testing.policies import planted
from tests.routing.learned.planted import MODELS, PRICES, outcomes

DIAL = Dial(quality_floor=0.95)


def warm(table: Outcomes, **over) -> Warm:
    given = {"reference": None, "prices": PRICES, "running": None, "running_anchor": None} | over
    return fit_warm(table, DIAL, **given)


@pytest.fixture(scope="module")
def fitted() -> Warm:
    return warm(outcomes(200))


def test_it_saves_against_the_best_single_model_and_says_so(fitted: Warm) -> None:
    assert fitted.policy.reference == "large" and fitted.prompts == 200
    assert fitted.quality_share >= 0.95 and fitted.saving > 0.2
    kept = fitted.evidence["replay"]
    assert kept["low"] > 0 and kept["against"] is None and kept["verdict"].startswith("better than always large")
    assert fitted.evidence["saving"] == pytest.approx(fitted.saving, abs=1e-4)


def foreseen(table: Outcomes) -> OutOfFold:
    """Predictions that come near the truth."""
    noise = np.random.default_rng(5).normal(0, 0.1, table.rewards.shape)
    return OutOfFold(np.clip(table.rewards + noise, 0, 1), table.costs)


def test_it_does_not_prove_better_than_what_chooses_alike(fitted: Warm) -> None:
    table = outcomes(100)
    nobody = OutOfFold(np.tile([0.1, 0.2, 0.9], (100, 1)), table.costs)
    alike = planted({"small": (0.1, 1e-5), "middle": (0.2, 1e-4), "large": (0.9, 1e-3)}, number=4)
    kept = held_against(table, nobody, fitted.policy, DIAL, alike, 3)
    assert (kept["against"], kept["against_anchor"], kept["value"], kept["low"]) == (4, 3, 0.0, 0.0)
    assert kept["verdict"].startswith("not proved better than snapshot 4")


def test_it_proves_better_than_a_policy_that_takes_the_worst(fitted: Warm) -> None:
    table = outcomes(100)
    bad = planted({"small": (0.99, 1e-6), "middle": (0.5, 1e-3), "large": (0.4, 1e-2)}, number=2)
    kept = held_against(table, foreseen(table), fitted.policy, DIAL, bad, 2)
    assert 0 < kept["low"] < kept["value"] < kept["high"]


def test_a_running_policy_with_models_that_were_not_asked_is_no_comparison(fitted: Warm) -> None:
    other = planted({"elsewhere": (0.9, 1e-4), "large": (0.9, 1e-2)}, number=2)
    table = outcomes(60)
    kept = held_against(table, foreseen(table), fitted.policy, DIAL, other, 2)
    assert kept["low"] is None and "elsewhere" in kept["verdict"]


def test_unknown_costs_are_not_nought() -> None:
    table = outcomes(80)
    rewards = table.rewards.copy()
    rewards[:30] = np.nan
    unpriced = Outcomes(table.prompts, MODELS, rewards, np.full_like(table.costs, np.nan))
    found = warm(unpriced, prices={})
    assert found.prompts == 50, "prompts without any score are left out"
    assert math.isnan(found.saving) and found.evidence["saving"] is None
    assert found.evidence["replay"]["low"] is not None, "quality alone can still be compared"


def test_too_few_prompts_with_a_score_are_refused() -> None:
    table = outcomes(60)
    rewards = table.rewards.copy()
    rewards[:50] = np.nan
    with pytest.raises(InvalidRequest, match="10 of 60 prompts have a score"):
        warm(Outcomes(table.prompts, MODELS, rewards, table.costs))


def test_scores_that_are_all_the_same_teach_nothing() -> None:
    table = outcomes(40)
    with pytest.raises(InvalidRequest, match="the same score, 1"):
        warm(Outcomes(table.prompts, MODELS, np.ones_like(table.rewards), table.costs))
