"""Distributions agree with their tables, and with each other."""

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from meliora.stats.special import log_gamma, normal_cdf, normal_quantile, student_cdf, student_quantile


@given(st.floats(1e-6, 1 - 1e-6))
def test_a_normal_quantile_is_where_its_share_lies(share):
    assert normal_cdf(normal_quantile(share)) == pytest.approx(share, rel=1e-6)


def test_the_normal_is_right_far_out_and_for_arrays():
    assert normal_cdf(-8.0) == pytest.approx(6.22096e-16, rel=1e-5)
    assert np.allclose(normal_cdf(np.array([0.0, 1.959964])), [0.5, 0.975])
    assert normal_quantile(0) == -math.inf
    assert normal_quantile(1) == math.inf
    with pytest.raises(ValueError, match="share from 0 to 1"):
        normal_quantile(1.1)


@given(st.floats(1e-4, 1e8))
def test_log_gamma_is_that_of_the_standard_library(x):
    assert log_gamma(x) == pytest.approx(math.lgamma(x), rel=1e-10, abs=1e-10)


@pytest.mark.parametrize(
    ("share", "freedom", "t"), [(0.975, 1, 12.7062), (0.975, 5, 2.57058), (0.95, 10, 1.81246), (0.995, 30, 2.75000)]
)
def test_student_quantiles_are_those_of_the_tables(share, freedom, t):
    assert student_quantile(share, freedom) == pytest.approx(t, rel=1e-5)
    assert student_quantile(1 - share, freedom) == pytest.approx(-t, rel=1e-5)


@given(st.floats(0.001, 0.999), st.floats(0.5, 1e5))
@example(0.50000001, 10.0)
@example(0.5000001, 1000.0)
def test_a_student_quantile_is_where_its_share_lies(share, freedom):
    assert student_cdf(student_quantile(share, freedom), freedom) == pytest.approx(share, abs=1e-9)


def test_student_has_no_quantile_without_freedom():
    with pytest.raises(ValueError, match="positive freedom"):
        student_cdf(1.0, 0.0)
    assert student_quantile(1.0, 3) == math.inf
    with pytest.raises(ValueError, match="share from 0 to 1"):
        student_quantile(-0.1, 3)
    assert student_cdf(-math.inf, 3) == 0.0
