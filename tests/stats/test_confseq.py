"""Looking after every unit keeps the promised level, and interval and evidence say the same."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meliora.stats.confseq import Tuning, boundary, interval, log_e_value, p_value, tightest
from meliora.stats.contrast import Contrast, Stage, contrast
from meliora.stats.sums import Sums

SEEN = st.builds(
    lambda difference, units, spread: Contrast(difference, 2 * spread / units, units / 2, units),
    st.floats(-0.3, 0.3),
    st.floats(100, 1e6),
    st.floats(0.01, 5),
)
TUNED = st.builds(Tuning, st.floats(0.001, 0.2), st.floats(50, 1e5))


@given(SEEN, TUNED, st.sampled_from(["both", "above", "below"]), st.floats(-0.2, 0.2))
def test_what_the_interval_excludes_the_evidence_rejects(seen, tuned, side, null):
    low, high = interval(seen, tuned, side)
    evidence = float(log_e_value(seen, tuned, side, null))
    excluded = null < low or null > high
    if excluded:
        assert evidence >= -math.log(tuned.alpha) - 1e-6
    elif side == "both":
        assert evidence <= -math.log(tuned.alpha) + 1e-6
    else:  # the one-sided interval is a little wider than its evidence
        assert evidence <= -math.log(tuned.alpha) + 0.2


@given(SEEN, TUNED)
def test_one_side_is_tighter_than_two_and_wider_than_a_single_look(seen, tuned):
    both, above = float(boundary(seen, tuned)), float(boundary(seen, tuned, "above"))
    assert above < both * 1.1
    assert both > math.sqrt(-2 * math.log(tuned.alpha))


@given(SEEN, TUNED)
def test_above_and_below_mirror_each_other(seen, tuned):
    mirrored = Contrast(-seen.difference, seen.variance, seen.clock, seen.fewest)
    assert interval(seen, tuned, "above")[0] == pytest.approx(-interval(mirrored, tuned, "below")[1])
    assert interval(seen, tuned, "above")[1] == math.inf


def test_the_boundary_is_tightest_where_it_was_tuned_for():
    at = {
        target: float(boundary(Contrast(0.0, 1.0, 500.0, 1000), Tuning(0.05, target))) for target in (100, 1000, 10000)
    }
    assert at[1000] < at[100]
    assert at[1000] < at[10000]
    assert at[1000] == pytest.approx(
        math.sqrt((1 + 1 / tightest(0.05)) * (math.log1p(tightest(0.05)) - 2 * math.log(0.05)))
    )


@given(st.floats(-1000, 1000))
def test_a_large_loss_is_no_evidence_of_a_gain(z):
    evidence = float(log_e_value(Contrast(z, 1.0, 500.0, 1000), Tuning(0.05, 1000), "above"))
    assert evidence < 0 or z > 0


def test_nothing_is_said_of_too_few_units_nor_where_nothing_varies_nor_of_nan():
    tuned = Tuning(least=100)
    for seen in (Contrast(0.9, 1e-6, 49.0, 99), Contrast(0.5, 0.0, 500.0, 1000), Contrast(math.nan, math.nan, 0.0, 0)):
        assert interval(seen, tuned) == (-math.inf, math.inf)
        assert log_e_value(seen, tuned, "above") == -math.inf
        assert p_value(log_e_value(seen, tuned)) == 1.0


@pytest.mark.parametrize(("alpha", "target", "least"), [(0, 100, 100), (1, 100, 100), (0.05, 0, 100), (0.05, 100, 1)])
def test_what_cannot_be_tuned_is_refused(alpha, target, least):
    with pytest.raises(ValueError, match=r"alpha lies|is positive"):
        Tuning(alpha, target, least)


def test_a_look_after_every_pair_of_units_rarely_excludes_the_truth():
    rng = np.random.default_rng(11)
    trials, tuned = 1000, Tuning(0.05, 500)
    held = np.zeros((2, trials))
    excluded = np.zeros(trials, dtype=bool)
    for units in range(1, 1500):
        held += rng.random((2, trials)) < 0.7
        low, high = interval(
            contrast([Stage(*(Sums.of_rate(np.full(trials, units), arm).rate_point() for arm in held))]), tuned
        )
        excluded |= (np.asarray(low) > 0) | (np.asarray(high) < 0)
    assert 0.005 < excluded.mean() < 0.05


def test_evidence_under_the_null_is_one_or_less_on_average():
    rng = np.random.default_rng(12)
    units, trials = 400, 20000
    arms = rng.binomial(units, 0.4, (2, trials)).astype(float)
    seen = contrast([Stage(*(Sums.of_rate(np.full(trials, units), arm).rate_point() for arm in arms))])
    for side in ("both", "above", "below"):
        assert np.exp(log_e_value(seen, Tuning(0.05, 400), side)).mean() < 1.05
