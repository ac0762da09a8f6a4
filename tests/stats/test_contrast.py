"""Arms are compared within each stage of a ramp, so that no drift becomes an effect."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meliora.stats.contrast import Stage, contrast
from meliora.stats.sums import Point, Sums


def stage(control: tuple[float, float], treated: tuple[float, float]) -> Stage:
    return Stage(Sums.of_rate(*control).rate_point(), Sums.of_rate(*treated).rate_point())


def test_a_drift_during_a_ramp_is_no_effect():
    early, late = stage((950, 665), (50, 35)), stage((500, 250), (500, 250))
    assert contrast([early, late]).difference == pytest.approx(0.0)
    pooled = stage((1450, 915), (550, 285))
    assert abs(float(contrast([pooled]).z())) > 4


@given(st.lists(st.tuples(st.integers(10, 500), st.integers(10, 500), st.floats(-1, 1)), min_size=1, max_size=5))
def test_the_difference_lies_among_those_of_the_stages(found):
    stages = [Stage(Point(a, 0.5, 0.2 / a), Point(b, 0.5 + d, 0.2 / b)) for a, b, d in found]
    seen = contrast(stages)
    assert min(d for *_, d in found) - 1e-9 <= float(seen.difference) <= max(d for *_, d in found) + 1e-9
    assert seen.clock == pytest.approx(sum(a * b / (a + b) for a, b, _ in found))
    assert seen.fewest == min(sum(a for a, *_ in found), sum(b for _, b, _ in found))


def test_equal_stages_say_what_one_large_one_says():
    one = contrast([stage((1000, 700), (1000, 750))])
    two = contrast([stage((500, 350), (500, 375))] * 2)
    assert two.difference == pytest.approx(one.difference)
    assert two.variance == pytest.approx(one.variance, rel=0.01)


def test_a_stage_with_too_few_units_or_unknown_numbers_does_not_count():
    full = stage((100, 70), (100, 60))
    empty, broken = stage((9, 9), (100, 0)), Stage(Point(50, math.nan, 1.0), Point(50, 1.0, 1.0))
    assert contrast([full, empty, broken]) == contrast([full])
    nothing = contrast([empty])
    assert math.isnan(float(nothing.difference))
    assert nothing.clock == 0
    assert math.isnan(float(contrast([]).z()))


def test_a_small_arm_that_missed_the_rare_large_values_is_not_taken_for_steady():
    control, treated = Point(900, 5.0, 100.0 / 900), Point(100, 2.0, 1.0 / 100)
    assert float(contrast([Stage(control, treated)]).variance) > 0.9


def test_a_relative_difference_has_the_error_of_its_ratio():
    rng = np.random.default_rng(1)
    found = []
    for _ in range(2000):
        values = rng.exponential(2.0, 400), rng.exponential(2.4, 400)
        seen = contrast([Stage(*(Sums.of(arm).point() for arm in values))], relative=True)
        found.append((float(seen.difference), float(seen.error())))
    differences, errors = np.array(found).T
    assert differences.mean() == pytest.approx(0.2, abs=0.01)
    assert errors.mean() == pytest.approx(differences.std(), rel=0.06)
    nothing = Stage(Point(50, 0.0, 1.0), Point(50, 1.0, 1.0))
    assert math.isnan(float(contrast([nothing], relative=True).difference))


def test_arrays_and_numbers_agree():
    arms = [(200.0, 150.0), (220.0, 140.0)], [(5.0, 1.0), (400.0, 300.0)]
    single = [contrast([stage(*trial)]) for trial in arms]
    control, treated = (Sums.of_rate(*np.array([trial[arm] for trial in arms]).T).rate_point() for arm in (0, 1))
    seen = contrast([Stage(control, treated)])
    assert np.allclose(np.asarray(seen.difference), [one.difference for one in single], equal_nan=True)
    assert np.allclose(np.asarray(seen.variance), [one.variance for one in single], equal_nan=True)
