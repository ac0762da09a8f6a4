"""The preferences benchmark: its planted users, its oracles and its control."""

from __future__ import annotations

import random

import pytest

from benchmarks.report import ControlFailed
from benchmarks.routing import preferences
from benchmarks.routing.preferences import GAPS, LOOKS, MODELS, Posterior, Trial, User, measure, user


@pytest.mark.parametrize("gap", GAPS)
def test_a_planted_user_likes_one_model_best_by_the_gap(gap: float) -> None:
    for seed in range(20):
        likes = sorted(user(gap, random.Random(seed)).likes, reverse=True)
        assert len(likes) == MODELS
        assert likes[0] - likes[1] == pytest.approx(gap)
        assert likes[-1] >= 0


def test_one_label_in_ten_is_flipped() -> None:
    source, sure = random.Random(1), User((1.0, 0.0))
    assert sum(sure.label(0, source) for _ in range(5000)) / 5000 == pytest.approx(0.9, abs=0.015)
    assert sum(sure.label(1, source) for _ in range(5000)) / 5000 == pytest.approx(0.1, abs=0.015)


def test_the_oracle_is_bayes_rule_over_whose_the_planted_probabilities_are() -> None:
    posterior = Posterior((0.8, 0.2))
    assert posterior._chances().tolist() == [0.5, 0.5]
    posterior.see(0, False)
    up, down = 0.1 + 0.8 * 0.8, 0.1 + 0.8 * 0.2
    assert sorted(posterior._chances().tolist()) == pytest.approx([down, up])
    assert posterior.choice() == 1


def test_it_measures_every_gap_and_the_oracle_with_more_labels_reaches_more() -> None:
    figures, curves = measure(users=6, seed=3)
    assert [one.name for one in figures] == [
        "preferences.within_gap20",
        "preferences.within_gap10",
        "preferences.within_gap05",
        "preferences.confidence_error",
    ]
    assert all(len(curve.shares) == len(LOOKS) for curve in curves)
    assert figures[0].beside["every_label"] >= figures[0].beside["learner"]
    again, _ = measure(users=6, seed=3)
    assert again == figures


def test_a_learner_that_beats_what_cannot_be_beaten_fails_the_control(monkeypatch: pytest.MonkeyPatch) -> None:
    lucky = Trial(learner=(True,) * len(LOOKS), confidence=1.0, best=True, same=False, own=True, every=True)
    monkeypatch.setattr(preferences, "trial", lambda *_: lucky)
    with pytest.raises(ControlFailed, match="beats"):
        measure(users=5, seed=1)
