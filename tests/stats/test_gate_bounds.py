"""A gate never sees a bare number: a bound that covers the truth, or none where too little was seen."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meliora.stats.gate_bounds import (
    Bound,
    mean_bound,
    mean_change,
    quantile_bound,
    quantile_change,
    share_bound,
    share_change,
)
from meliora.stats.histogram import LogHistogram
from meliora.stats.proportion import wilson
from meliora.stats.sums import Sums


def histogram(values) -> LogHistogram:
    made = LogHistogram()
    for value in values:
        made.add(float(value))
    return made


@pytest.mark.parametrize(
    "bound",
    [
        share_bound(0, 99),
        share_bound(0, 0, least=0),
        mean_bound(Sums.of([1.0] * 99)),
        mean_bound(Sums.of([]), least=0),
        quantile_bound(histogram(range(1, 90)), 0.5),
        quantile_bound(LogHistogram(), 0.5, least=0),
        share_change((1, 10), (100, 1000)),
        mean_change(Sums.of([1.0] * 10), Sums.of([1.0] * 1000)),
        mean_change(Sums.of([0.0] * 1000), Sums.of([1.0] * 1000)),
        quantile_change(histogram([1.0] * 10), histogram([1.0] * 1000), 0.5),
    ],
)
def test_too_little_is_neither_good_nor_bad(bound):
    assert bound == Bound(bound.n, None, None, None)


def test_a_tail_that_was_not_seen_has_no_bound():
    assert quantile_bound(histogram(range(1, 151)), 0.99).value is None
    assert quantile_bound(histogram(range(1, 2001)), 0.99).high is not None


@given(st.integers(100, 5000), st.floats(0, 1))
def test_a_share_has_its_wilson_interval_and_a_design_effect_widens_it(n, share):
    hits = int(n * share)
    plain, wide = share_bound(hits, n), share_bound(hits, n, design=3.0)
    assert (plain.low, plain.high) == wilson(hits, n)
    assert wide.low is not None and wide.high is not None
    assert wide.high - wide.low >= plain.high - plain.low


def _covered(bounds: list[Bound], truth: float) -> float:
    return float(np.mean([b.low is not None and b.high is not None and b.low <= truth <= b.high for b in bounds]))


def test_bounds_cover_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(7)
    rounds = range(250)
    costs = [mean_bound(Sums.of(rng.exponential(2, 300))) for _ in rounds]
    tails = [quantile_bound(histogram(rng.lognormal(0, 1, 400)), 0.9) for _ in rounds]
    shares = [share_change((rng.binomial(500, 0.12), 500), (rng.binomial(2000, 0.1), 2000)) for _ in rounds]
    means = [mean_change(Sums.of(rng.exponential(2.4, 300)), Sums.of(rng.exponential(2, 1000))) for _ in rounds]
    ratios = [
        quantile_change(histogram(1.2 * rng.lognormal(0, 1, 400)), histogram(rng.lognormal(0, 1, 800)), 0.9)
        for _ in rounds
    ]
    assert _covered(costs, 2.0) == pytest.approx(0.95, abs=0.045)
    assert _covered(tails, math.exp(1.2815516)) == pytest.approx(0.95, abs=0.045)
    for change in (shares, means, ratios):
        assert _covered(change, 0.2) == pytest.approx(0.95, abs=0.045)


def test_no_hits_on_one_side_still_bounds_the_change():
    found = share_change((0, 1000), (10, 1000))
    assert found.high is not None and found.high < 1
    assert found.value == pytest.approx(0.5 / 10.5 - 1)
    with pytest.raises(ValueError, match="hits <= n"):
        share_change((5, 4), (1, 100))


def test_nan_in_the_sums_is_no_bound():
    assert mean_bound(Sums.of_mean(1000.0, math.nan, math.nan)).value is None
