"""Log-odds with an informative prior are those of the paper and of the posterior that they stand for; a quiet text accuses no word."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meliora.stats.logodds import PRIOR_WORDS, log_odds_z

COUNTS = st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 5000)), min_size=2, max_size=12)


def by_the_paper(now: list[int], before: list[int], prior_words: float) -> list[float]:
    """Monroe, Colaresi & Quinn (2008), word by word: equation 15 for the difference, 18 to 20 for its variance, 21 for z, 22 for the
    prior from the background, here both texts."""
    n_i, n_j = sum(now), sum(before)
    z = []
    for y_i, y_j in zip(now, before, strict=True):
        alpha = prior_words * (y_i + y_j) / (n_i + n_j)
        if not alpha:
            z.append(0.0)
            continue
        omega_i = (y_i + alpha) / (n_i + prior_words - y_i - alpha)
        omega_j = (y_j + alpha) / (n_j + prior_words - y_j - alpha)
        z.append((math.log(omega_i) - math.log(omega_j)) / math.sqrt(1 / (y_i + alpha) + 1 / (y_j + alpha)))
    return z


@given(COUNTS, st.floats(1.0, 10_000.0))
def test_each_word_scores_as_the_paper_has_it(counts, prior_words):
    now, before = ([pair[at] for pair in counts] for at in (0, 1))
    if sum(a + b > 0 for a, b in counts) < 2:
        return
    assert log_odds_z(now, before, prior_words) == pytest.approx(
        by_the_paper(now, before, prior_words), rel=1e-9, abs=1e-9
    )


def test_the_score_is_how_far_the_posterior_lies_from_no_difference():
    """Drawn from the two posteriors, the difference of log-odds has the mean and spread that the score stands for.

    The paper's variance (equation 20) leaves out the terms of all other words, which the share of the word says: put back here.
    """
    now, before = np.array([60.0, 400, 900, 40]), np.array([20.0, 450, 880, 50])
    prior = (now + before) * PRIOR_WORDS / (now + before).sum()
    rng = np.random.default_rng(3)
    a, b = rng.dirichlet(now + prior, 200_000), rng.dirichlet(before + prior, 200_000)
    drawn = np.log(a / (1 - a)) - np.log(b / (1 - b))
    share = (now + before) / (now + before).sum()
    found = log_odds_z(now, before) * np.sqrt(1 - share)
    assert found == pytest.approx(drawn.mean(axis=0) / drawn.std(axis=0), rel=0.02, abs=0.02)


@given(COUNTS)
def test_before_and_now_changed_over_turn_the_sign_alone(counts):
    now, before = ([pair[at] for pair in counts] for at in (0, 1))
    assert log_odds_z(now, before) == pytest.approx(-log_odds_z(before, now), abs=1e-9)


def test_ten_times_as_much_of_the_same_text_accuses_no_word():
    before = np.array([5.0, 50, 500, 1, 0])
    assert np.abs(log_odds_z(before * 10, before)).max() < 1e-9


def test_two_drawings_of_one_text_seldom_accuse_a_word():
    rng = np.random.default_rng(11)
    shares = 1 / (np.arange(300) + 4.0)
    shares /= shares.sum()
    beyond = [
        np.abs(log_odds_z(rng.multinomial(20_000, shares), rng.multinomial(2_000, shares))) > 2.576 for _ in range(100)
    ]
    assert np.mean(beyond) <= 0.011  # two-sided 1%; the prior pulls in


def test_a_word_twice_as_common_stands_first():
    rng = np.random.default_rng(12)
    shares = 1 / (np.arange(300) + 4.0)
    first = 0
    for _ in range(40):
        grown = shares.copy()
        planted = int(rng.integers(5, 60))
        grown[planted] *= 2
        z = log_odds_z(rng.multinomial(20_000, grown / grown.sum()), rng.multinomial(20_000, shares / shares.sum()))
        first += int(z.argmax()) == planted
    assert first >= 38


def test_one_word_alone_has_nothing_to_be_held_against():
    assert log_odds_z([1000], [10]).tolist() == [0.0]
    assert log_odds_z([1000, 0], [10, 0]).tolist() == [0.0, 0.0]
    assert log_odds_z([0, 0], [0, 0]).tolist() == [0.0, 0.0] and log_odds_z([], []).tolist() == []


def test_an_empty_side_is_no_rise_of_anything():
    assert np.abs(log_odds_z([5, 50, 500], [0, 0, 0])).max() < 1e-9


@pytest.mark.parametrize(
    ("now", "before", "prior", "said"),
    [
        ([1, 2], [1], 500, "same words"),
        ([[1, 2]], [[1, 2]], 500, "same words"),
        ([1, -1], [1, 1], 500, "negative or not finite"),
        ([1, math.nan], [1, 1], 500, "negative or not finite"),
        ([1, 1], [math.inf, 1], 500, "negative or not finite"),
        ([1, 1], [1, 1], 0, "number above 0"),
        ([1, 1], [1, 1], math.nan, "number above 0"),
        ([1, 1], [1, 1], math.inf, "number above 0"),
    ],
)
def test_what_is_no_count_is_refused_by_name(now, before, prior, said):
    with pytest.raises(ValueError, match=said):
        log_odds_z(now, before, prior)
