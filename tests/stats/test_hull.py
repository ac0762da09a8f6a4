"""The hull is what mixing gives, and a mix is on it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meliora.stats.hull import Mix, at_cost, cheapest, hull

POINTS = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=12)


@given(POINTS)
def test_no_point_lies_above_the_hull(points):
    costs, qualities = [float(c) for c, _ in points], [float(q) for _, q in points]
    chain = hull(costs, qualities)
    assert [costs[i] for i in chain] == sorted({costs[i] for i in chain})
    for cost, quality in zip(costs, qualities, strict=True):
        assert quality <= at_cost(chain, costs, qualities, cost) + 1e-9


@given(POINTS, st.floats(0, 60))
def test_the_cheapest_mix_reaches_the_quality_unless_nothing_does(points, wanted):
    costs, qualities = [float(c) for c, _ in points], [float(q) for _, q in points]
    mix = cheapest(costs, qualities, wanted)
    assert mix.of(qualities) >= min(wanted, max(qualities)) - 1e-9
    assert all(
        cost >= mix.of(costs) - 1e-9 for cost, quality in zip(costs, qualities, strict=True) if quality >= wanted
    )


def test_a_mix_of_two_models():
    assert hull([1, 2, 10], [0.5, 0.51, 0.9]) == [0, 2]
    assert cheapest([1, 2, 10], [0.5, 0.51, 0.9], 0.7) == Mix(0, 2, pytest.approx(0.5))
    assert at_cost([0, 2], [1, 2, 10], [0.5, 0.51, 0.9], 5.5) == pytest.approx(0.7)


def test_below_the_cheapest_there_is_nothing_but_the_cheapest():
    assert at_cost([0, 1], [1, 2], [0.5, 0.9], 0.1) == 0.5


@pytest.mark.parametrize(("costs", "qualities"), [([], []), ([1.0], []), ([float("nan")], [1.0])])
def test_what_is_no_point_is_refused(costs, qualities):
    with pytest.raises(ValueError, match=r"hull needs|not a finite"):
        hull(costs, qualities)
