"""Of those believed, few are wrong."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meliora.stats.multiple import alarm_z, benjamini_hochberg, calibrated, e_bh, e_lond, e_lond_level, lord
from meliora.stats.special import normal_cdf

SHARES = st.lists(st.floats(1e-6, 1), min_size=1, max_size=30)


def test_known_rejections():
    assert benjamini_hochberg([0.01, 0.04, 0.03, 0.5], 0.05) == [True, False, False, False]
    assert benjamini_hochberg([0.01, 0.02, 0.03, 0.5], 0.05) == [True, True, True, False]
    assert e_bh([90.0, 45.0, 1.0, 0.0], 0.05) == [True, True, False, False]
    assert benjamini_hochberg([]) == e_bh([]) == e_lond([]) == lord([]) == []


@given(SHARES)
def test_e_bh_on_reciprocals_is_benjamini_hochberg(p_values):
    assert e_bh([1 / p for p in p_values], 0.1) == benjamini_hochberg(p_values, 0.1)


@given(SHARES, st.integers(0, 29))
def test_stronger_evidence_rejects_no_less(p_values, place):
    stronger = [p / 2 if index == place else p for index, p in enumerate(p_values)]
    assert sum(benjamini_hochberg(stronger)) >= sum(benjamini_hochberg(p_values))
    assert sum(e_lond([1 / p for p in stronger])) >= sum(e_lond([1 / p for p in p_values]))


def test_the_levels_without_a_rejection_add_up_to_less_than_alpha():
    total = sum(e_lond_level([False] * place) for place in range(3000))
    assert 0.95 * 0.05 < total < 0.05
    assert e_lond_level([True, False]) == pytest.approx(2 * e_lond_level([False, False]))


def test_false_discoveries_stay_rare_under_dependence():
    rng = np.random.default_rng(1)
    shares: dict[str, list[float]] = {"e_lond": [], "e_bh": [], "lord": [], "bh": []}
    for _ in range(400):
        common = rng.standard_normal()
        null = rng.random(40) < 0.7
        z = 0.7 * common + 0.714 * rng.standard_normal(40)
        e = np.exp(np.where(null, 0, 5.0) * 3.0 + 3.0 * z - 4.5)
        p = 1 - np.asarray(normal_cdf(rng.standard_normal(40) + np.where(null, 0, 4.0)))
        found = {"e_lond": e_lond(e), "e_bh": e_bh(e), "lord": lord(p), "bh": benjamini_hochberg(p)}
        for name, rejected in found.items():
            shares[name].append(float((np.array(rejected) & null).sum() / max(sum(rejected), 1)))
    assert {name: np.mean(found) < 0.06 for name, found in shares.items()} == dict.fromkeys(shares, True)


@given(st.floats(1e-4, 1))
def test_a_calibrated_p_value_is_weaker_than_its_reciprocal(p):
    assert calibrated(p) <= 1 / p
    assert calibrated(0.0) == math.inf


@pytest.mark.parametrize("test", [benjamini_hochberg, e_bh, e_lond, lord])
def test_what_is_not_known_is_refused(test):
    with pytest.raises(ValueError, match="leave out"):
        test([0.5, math.nan])


def test_gates_raise_as_few_alarms_as_asked():
    assert 8 * 96 * (1 - float(normal_cdf(alarm_z(0.01, 8, 96)))) == pytest.approx(0.01)
    assert alarm_z(1000.0, 1, 96) == 0.0
    with pytest.raises(ValueError, match="all are positive"):
        alarm_z(0.0, 8, 96)
