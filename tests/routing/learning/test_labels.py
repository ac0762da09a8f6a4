"""A judge is believed as far as people bear it out."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meliora.routing.learning.labels import MANY, calibrated

SHARE = st.floats(0, 1)


def pairs(count: int, chance, seed: int = 3) -> tuple[list[float], list[float]]:
    """Give scores of a judge, and labels that are 1 with the probability `chance(score)`."""
    rng = random.Random(seed)
    scores = [rng.randrange(11) / 10 for _ in range(count)]
    return scores, [float(rng.random() < chance(score)) for score in scores]


@pytest.mark.parametrize(("count", "method"), [(400, "logistic"), (2 * MANY, "isotonic")])
def test_a_judge_that_is_too_kind_is_corrected(count: int, method: str) -> None:
    scores, labels = pairs(count, lambda score: score**3)
    found = calibrated(scores, labels, 50)
    assert found is not None and found.method == method and found.labels == count
    for score in (0.2, 0.5, 0.9):
        assert found.value(score) == pytest.approx(score**3, abs=0.12)
    assert found.error_after < found.error_before


def test_too_few_labels_calibrate_nothing() -> None:
    scores, labels = pairs(49, lambda score: score)
    assert calibrated(scores, labels, 50) is None
    assert calibrated([0.5] * 80, [1.0] * 80, 50) is None, "a judge that always says the same"


def test_a_judge_that_people_contradict_is_given_no_weight() -> None:
    scores, labels = pairs(300, lambda score: 1 - score)
    found = calibrated(scores, labels, 50)
    assert found is not None
    assert found.value(0.0) == pytest.approx(found.value(1.0))
    assert found.value(0.5) == pytest.approx(sum(labels) / len(labels), abs=0.01)


@given(st.lists(st.tuples(SHARE, SHARE), min_size=2, max_size=60), SHARE, SHARE)
def test_the_map_never_falls_and_stays_in_range(seen: list[tuple[float, float]], one: float, other: float) -> None:
    found = calibrated([score for score, _ in seen], [label for _, label in seen], 2)
    if found is not None:
        low, high = found.value(min(one, other)), found.value(max(one, other))
        assert 0 <= low <= high + 1e-12 and high <= 1 + 1e-12


@given(st.integers(0, 2**32), st.floats(0.3, 3))
@settings(max_examples=10)
def test_the_isotonic_map_gives_back_the_share_of_each_score_that_is_in_order(seed: int, power: float) -> None:
    scores, _ = pairs(MANY, lambda score: score, seed)
    labels = [score**power for score in scores]
    found = calibrated(scores, labels, 2)
    assert found is not None
    for score in set(scores):
        assert found.value(score) == pytest.approx(score**power)
    assert found.error_after == pytest.approx(0, abs=1e-12)
