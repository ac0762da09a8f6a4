"""Evidence that a bound is passed: it grows when it is, is rare when it is not, and needs no assumption on the values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meliora.stats.exceedance import CAP, STAKES, START, WEIGHTS, evidence, mean_growth, rate_growth


def test_a_bet_on_a_rate_is_the_likelihood_ratio_of_its_odds() -> None:
    found = rate_growth(3, 100, 0.01)
    other = 2 * 0.01 / (0.99 + 2 * 0.01)
    assert found[0] == pytest.approx(3 * math.log(other / 0.01) + 97 * math.log((1 - other) / 0.99))


@given(st.floats(0.001, 0.9), st.integers(1, 30))
def test_a_bet_on_a_rate_is_worth_nothing_on_average_while_the_bound_holds(bound: float, n: int) -> None:
    """The expected growth factor over all outcomes of a binomial at the bound is exactly 1."""
    chances = np.array([math.comb(n, k) * bound**k * (1 - bound) ** (n - k) for k in range(n + 1)])
    factors = np.exp(rate_growth(np.arange(n + 1), n, bound))
    assert chances @ factors == pytest.approx(np.ones(len(WEIGHTS)), rel=1e-9)


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=20))
def test_a_bet_on_a_mean_is_worth_nothing_on_average_whatever_the_values(values: list[float]) -> None:
    """Values drawn from any list, with its own mean as the bound: the expected factor is at most 1."""
    bound = float(np.mean(values))
    if bound <= 1e-3:
        return
    factors = np.exp([mean_growth([value], [1], bound) for value in values])
    assert (factors.mean(axis=0) <= 1 + 1e-9).all()


def test_one_outlier_is_no_trend() -> None:
    huge, tenfold = mean_growth([1e9], [1], 100.0), mean_growth([CAP * 100.0], [1], 100.0)
    assert huge == pytest.approx(tenfold)
    assert math.exp(huge.max()) < 5


def test_evidence_sums_the_bets_begun_at_each_cell() -> None:
    growth = np.log([[2.0] * len(STAKES), [3.0] * len(STAKES)])
    assert math.exp(evidence(growth, [START, START])) == pytest.approx(sum(WEIGHTS) * (2 * 3 + 3))


def test_thin_cells_begin_less_of_a_bet_and_empty_ones_none() -> None:
    growth = np.log([[2.0] * len(STAKES)])
    assert math.exp(evidence(growth, [START / 4])) == pytest.approx(0.5)
    assert evidence(growth, [0]) == -math.inf
    assert evidence(np.empty((0, 2)), []) == -math.inf


def test_far_evidence_neither_overflows_nor_is_lost() -> None:
    growth = np.full((50, 2), 100.0)
    assert evidence(growth, np.full(50, 1e4)) == pytest.approx(5000, abs=1)
    assert evidence(-growth, np.full(50, 1e4)) == pytest.approx(-100, abs=1)


def test_it_works_on_many_series_at_once() -> None:
    growth = np.random.default_rng(1).normal(size=(4, 6, 2))
    n = np.full((4, 6), 50)
    together = evidence(growth, n)
    assert together == pytest.approx([float(evidence(growth[i], n[i])) for i in range(4)])


def test_a_rate_that_stands_on_its_bound_rarely_shows_evidence_and_a_doubled_one_does() -> None:
    rng = np.random.default_rng(7)
    cells, n, bound = 72, 100, 0.01
    for rate, least, most in ((0.005, 0.0, 0.002), (0.01, 0.0, 72 / 200), (0.02, 0.95, 1.0)):
        hits = rng.binomial(n, rate, (2000, cells))
        found = evidence(rate_growth(hits, np.full(hits.shape, n), bound), np.full(hits.shape, n))
        share = float((found >= math.log(200)).mean())
        assert least <= share <= most, (rate, share)


@pytest.mark.parametrize("bound", [0.0, 1.0, -1.0, math.nan])
def test_a_bound_that_is_no_rate_is_refused(bound: float) -> None:
    with pytest.raises(ValueError, match="rate"):
        rate_growth(1, 2, bound)


@pytest.mark.parametrize(("values", "bound"), [([-1.0], 1.0), ([math.nan], 1.0), ([math.inf], 1.0), ([1.0], 0.0)])
def test_what_no_bet_can_be_made_on_is_refused(values: list[float], bound: float) -> None:
    with pytest.raises(ValueError, match="mean"):
        mean_growth(values, [1.0], bound)
