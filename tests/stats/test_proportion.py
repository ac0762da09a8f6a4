"""Intervals of a share."""

from __future__ import annotations

import random

import pytest

from meliora.stats.proportion import wilson


def test_known_values_and_edges() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(10, 10) == (pytest.approx(0.7225, abs=1e-4), pytest.approx(1.0))
    assert wilson(1, 2) == (pytest.approx(0.0945, abs=1e-4), pytest.approx(0.9055, abs=1e-4))
    with pytest.raises(ValueError, match="3 of 2"):
        wilson(3, 2)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5])
def test_it_covers_the_true_share_about_as_often_as_it_says(share: float) -> None:
    source = random.Random(5)
    covered = 0
    for _ in range(1000):
        low, high = wilson(sum(source.random() < share for _ in range(40)), 40)
        covered += low <= share <= high
    assert 0.92 <= covered / 1000 <= 0.985
