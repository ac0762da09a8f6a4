"""Changes are found where they were planted, chance is not taken for one, and a gap is not a zero."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meliora.stats.changepoint import change_points, strongest


def hits(rng: np.random.Generator, rates: list[float], n: int = 200) -> list[float]:
    return rng.binomial(n, rates).astype(float).tolist()


def test_a_rise_of_errors_is_dated():
    rng = np.random.default_rng(1)
    found = strongest(hits(rng, [0.01] * 30 + [0.06] * 12), [200] * 42, shape="share")
    assert found is not None
    assert abs(found.index - 30) <= 1
    assert found.effect == pytest.approx(0.05, abs=0.015)
    assert found.p == 0.001


def test_several_changes_are_found_in_order_of_time():
    rng = np.random.default_rng(2)
    series = hits(rng, [0.02] * 20 + [0.15] * 15 + [0.05] * 20)
    found = change_points(series, [200] * 55, shape="share")
    assert [round(one.index / 5) * 5 for one in found] == [20, 35]
    assert found[0].after == pytest.approx(found[1].before)


@pytest.mark.parametrize("shape", ["share", "count", "mean"])
def test_chance_is_called_a_change_as_often_as_said(shape):
    rng = np.random.default_rng(3)
    found = []
    for _ in range(200):
        series = hits(rng, [0.1] * 24) if shape != "mean" else rng.exponential(1, 24).tolist()
        best = strongest(series, [200] * 24, shape=shape, rounds=199)
        assert best is not None
        found.append(best.p)
    assert 0.005 <= np.mean([p <= 0.05 for p in found]) <= 0.09


def test_a_gap_is_no_drop_and_indices_count_it():
    series = [10.0] * 10 + [None, math.nan, None] + [10.0] * 10
    assert strongest(series, [100] * 23, shape="share") is None
    rng = np.random.default_rng(4)
    means = [*rng.normal(1, 0.1, 10).tolist(), None, None, *rng.normal(2, 0.1, 10).tolist()]
    found = change_points(means, shape="mean")
    assert [one.index for one in found] == [12]
    assert found[0].effect == pytest.approx(1.0, abs=0.1)


def test_a_bin_without_requests_is_missing():
    assert change_points([0.0] * 5 + [50.0] * 5, [0.0] * 5 + [100.0] * 5, shape="share") == []


def test_busy_and_quiet_bins_of_one_rate_are_no_change():
    weights = [100.0] * 12 + [1000.0] * 12
    counts = np.random.default_rng(5).poisson(0.3 * np.array(weights)).astype(float)
    found = strongest(counts.tolist(), weights, shape="count")
    assert found is not None and found.p > 0.01
    assert strongest([5.0], [10.0], shape="count") is None
    assert strongest([], [], shape="count") is None


@settings(max_examples=25, deadline=None)
@given(st.lists(st.one_of(st.none(), st.integers(0, 20)), max_size=30))
def test_any_series_gives_changes_within_it(series):
    found = change_points(series, [20] * len(series), shape="share", alpha=0.2, rounds=49)
    assert [one.index for one in found] == sorted({one.index for one in found})
    for one in found:
        assert series[one.index] is not None
        assert 0 <= one.before <= 1


@pytest.mark.parametrize(
    ("totals", "weights", "shape"),
    [([1.0], [1.0, 2.0], "count"), ([2.0], [1.0], "share"), ([-1.0], [1.0], "count"), ([1.0], None, "share")],
)
def test_what_is_no_series_is_refused(totals, weights, shape):
    with pytest.raises(ValueError, match=r"bins and|negative|more hits"):
        strongest(totals, weights, shape=shape)
