"""A budget burns where both windows say so with enough requests; silence is not quiet."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meliora.stats.burnrate import PAIRS, Counted, burn


def test_both_windows_must_burn():
    assert burn(Counted(300, 10000), Counted(30, 1000), 0.001, 14.4).state == "burning"
    assert burn(Counted(300, 10000), Counted(0, 1000), 0.001, 14.4).state == "quiet"
    assert burn(Counted(10, 10000), Counted(900, 1000), 0.001, 14.4).state == "quiet"


def test_one_failure_in_a_small_window_is_no_proof():
    found = burn(Counted(2, 100), Counted(2, 10), 0.001, 14.4)
    assert found.state == "quiet"
    assert found.rate == pytest.approx(20)
    assert found.low is not None and found.low < 14.4


@pytest.mark.parametrize(("long", "short"), [((0, 0), (0, 0)), ((9, 99), (1, 10)), ((500, 1000), (0, 0))])
def test_too_few_requests_are_unknown(long, short):
    found = burn(Counted(*long), Counted(*short), 0.01, 6.0)
    assert found.state == "unknown"
    assert found.rate is found.low is found.high is None


@given(st.integers(100, 10000), st.floats(0, 1), st.sampled_from(PAIRS))
def test_what_burns_is_shown_to_exceed_its_factor(total, share, pair):
    found = burn(Counted(int(total * share), total), Counted(10, 10), 0.01, pair.factor)
    assert found.low is not None
    assert (found.state == "burning") == (found.low > pair.factor)


@pytest.mark.parametrize(("budget", "factor"), [(0.1, 14.4), (0.0, 1.0), (1.0, 1.0), (0.1, 0.0)])
def test_a_budget_that_could_never_burn_so_fast_is_refused(budget, factor):
    with pytest.raises(ValueError, match="no share of requests"):
        burn(Counted(1, 100), Counted(1, 100), budget, factor)
