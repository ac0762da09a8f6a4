"""A scan names the calls that explain a change by their smallest description, and none where chance explains it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meliora.diagnosis.cube import Cube, Problem
from meliora.diagnosis.slices import scan
from tests.diagnosis.calls import CALLS, TASKS, cube, even


def test_one_endpoint_that_fails_is_named_alone() -> None:
    (found,) = scan(cube(lambda call: 0.12 if call["endpoint"] == "b/big" else 0.01).problem("errors")).slices
    assert (found.attributes, found.effect) == ({"endpoint": "b/big"}, "worse")
    assert found.calls_now == 12 * CALLS
    assert found.observed > 5 * found.expected and found.share is not None and found.share > 0.8
    assert found.p_value < 1e-6


def test_a_conjunction_is_named_where_only_together_they_fail() -> None:
    bad = {"endpoint": "a/small", "task": "code"}
    (found,) = scan(cube(lambda call: 0.15 if bad.items() <= call.items() else 0.01).problem("errors")).slices
    assert found.attributes == bad


def test_three_attributes_may_be_needed_and_the_class_of_the_errors_comes_on_top() -> None:
    bad = {"endpoint": "a/small", "task": "code", "key": "key_2"}
    made = cube(
        lambda call: 0.25 if bad.items() <= call.items() else 0.01,
        classes=lambda call: "quota" if bad.items() <= call.items() else "timeout",
    )
    (found,) = scan(made.problem("errors")).slices
    assert found.attributes == {**bad, "error_class": "quota"}
    assert found.calls_now == CALLS  # all such calls, not the failed ones


def test_two_causes_are_both_named_and_the_same_calls_not_twice() -> None:
    made = cube(lambda call: 0.15 if call["endpoint"] == "b/big" else 0.08 if call["task"] == "extract" else 0.01)
    found = scan(made.problem("errors")).slices
    assert [one.attributes for one in found] == [{"endpoint": "b/big"}, {"task": "extract"}]
    assert found[1].calls_now == 3 * len(TASKS[:1]) * 4 * CALLS  # those of the endpoint are taken away


@pytest.mark.parametrize("seed", range(10))
def test_a_rise_everywhere_is_all_calls_and_no_part_of_them(seed: int) -> None:
    (found,) = scan(cube(even(0.03), seed=seed).problem("errors")).slices
    assert found.attributes == {} and found.share == pytest.approx(1, abs=1e-4)


def test_calls_that_are_known_by_another_name_too_are_named_once() -> None:
    rows = []
    for model, endpoint in (("x", "e1"), ("y", "e2"), ("z", "e3")):
        rows += [([model, endpoint], 0, (1000, 10)), ([model, endpoint], 1, (1000, 90 if model == "x" else 10))]
    (found,) = scan(Cube.of(["model", "endpoint"], rows, ["calls", "errors"]).problem("errors")).slices
    assert found.attributes == {"model": "x"}
    assert found.same_calls_as == ({"endpoint": "e1"},)


def test_more_calls_of_those_that_always_failed_is_no_slice_that_got_worse() -> None:
    def rate(call: dict[str, str]) -> float:
        return 0.09 if call["endpoint"] == "b/big" else 0.01

    made = cube(rate, rate, calls=lambda call: 6 * CALLS if call["endpoint"] == "b/big" else CALLS)
    (found,) = scan(made.problem("errors")).slices
    assert (found.attributes, found.effect) == ({"endpoint": "b/big"}, "more")
    assert found.observed == pytest.approx(found.expected, rel=0.15)


def test_what_is_not_known_of_a_call_is_a_value_like_any_other() -> None:
    rows = [([None, "k"], 0, (1000, 10)), (["code", "k"], 0, (1000, 10)), (["chat", "k"], 0, (1000, 10))]
    rows += [([None, "k"], 1, (1000, 120)), (["code", "k"], 1, (1000, 10)), (["chat", "k"], 1, (1000, 10))]
    (found,) = scan(Cube.of(["task", "key"], rows, ["calls", "errors"]).problem("errors")).slices
    assert found.attributes == {"task": "unknown"}


def test_calls_that_failed_before_anything_was_chosen_are_held_against_all_calls() -> None:
    """Each call without an endpoint failed, so their own rate is one at all times and tells nothing."""
    rows = [(["e1", "none"], 0, (1000, 0)), (["e1", "timeout"], 0, (10, 10)), ([None, "inference"], 0, (3, 3))]
    rows += [(["e1", "none"], 1, (900, 0)), (["e1", "timeout"], 1, (10, 10)), ([None, "inference"], 1, (90, 90))]
    made = Cube.of(["endpoint", "error_class"], rows, ["calls", "errors"], marks=["error_class"])
    (found,) = scan(made.problem("errors")).slices
    assert found.attributes in ({"endpoint": "unknown"}, {"error_class": "inference"})
    assert found.effect == "worse" and found.expected < 10 and found.calls_now == 1000


def test_a_new_model_that_fails_is_named_though_it_has_no_past() -> None:
    rows = [(["old"], 0, (5000, 50)), (["old"], 1, (4000, 40)), (["new"], 1, (1000, 100))]
    found = scan(Cube.of(["model"], rows, ["calls", "errors"]).problem("errors")).slices
    assert found[0].attributes == {"model": "new"} and found[0].calls_before == 0


def test_the_classes_of_the_additional_errors_are_told() -> None:
    made = cube(
        lambda call: 0.12 if call["endpoint"] == "b/big" else 0.01,
        classes=lambda call: (
            ("quota", "network", "auth", "data")[hash(call["key"]) % 4] if call["endpoint"] == "b/big" else "timeout"
        ),
    )
    found = scan(made.problem("errors")).slices
    assert sum(now for one in found for now, _ in one.classes.values()) > 200


def test_dearer_calls_are_told_in_money_though_each_counts_up_to_a_cap() -> None:
    rng = np.random.default_rng(5)
    rows = []
    for model in ("x", "y", "z"):
        for place in (0, 1):
            cost = rng.lognormal(6, 1, 2000) * (2 if (model, place) == ("x", 1) else 1)
            rows.append(([model], place, (2000, 2000, cost.sum(), np.minimum(cost, 4000).sum())))
    made = Cube.of(["model"], rows, ["calls", "priced", "cost", "cost_capped"], cost_cap=4000)
    (found,) = scan(made.problem("cost")).slices
    assert found.attributes == {"model": "x"}
    assert found.observed == rows[1][2][2] and found.expected == pytest.approx(found.observed / 2, rel=0.15)


def test_more_calls_explain_what_is_spent_in_all() -> None:
    rows = [
        ([key], place, (n, n, n * 500, n * 500))
        for key, place, n in (("k1", 0, 4000), ("k2", 0, 4000), ("k2", 1, 1000), ("k1", 1, 5000))
    ]
    made = Cube.of(["key"], rows, ["calls", "priced", "cost", "cost_capped"], cost_cap=1000, lasting=0.25)
    (found,) = scan(made.problem("spend")).slices
    assert found.attributes == {"key": "k1"}
    assert (found.observed, found.expected) == (2_500_000, pytest.approx(500_000, rel=0.01))
    assert scan(made.problem("cost")).slices == ()  # a call costs what it did


@pytest.mark.parametrize("seed", range(40))
def test_a_quiet_period_has_no_cause(seed: int) -> None:
    assert scan(cube(even(0.02), even(0.02), seed=seed).problem("errors")).slices == ()


def test_counts_that_vary_by_themselves_take_more_to_be_a_cause() -> None:
    made = cube(lambda call: 0.04 if call["endpoint"] == "b/big" else 0.01)
    assert scan(made.problem("errors")).slices
    assert scan(made.problem("errors", dispersion=8.0)).slices == ()


@pytest.mark.parametrize(
    "rows", [[], [(["x"], 0, (100, 1))], [(["x"], 1, (100, 50))], [(["x"], 0, (0, 0)), (["x"], 1, (0, 0))]]
)
def test_without_calls_in_both_windows_no_rate_is_compared(rows) -> None:
    found = scan(Cube.of(["model"], rows, ["calls", "errors"]).problem("errors"))
    assert all(one.p_value <= 0.01 for one in found.slices)
    assert found.expected_unchanged >= 0


def test_an_improvement_is_no_cause_of_a_breach() -> None:
    assert scan(cube(even(0.002), even(0.05)).problem("errors")).slices == ()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"), st.sampled_from("xyz"), st.integers(0, 1), st.integers(0, 400), st.integers(0, 400)
        ),
        max_size=30,
    )
)
def test_whatever_the_counts_a_scan_ends_and_says_sound_numbers(calls) -> None:
    rows = [([a, b], place, (max(n, hits), hits)) for a, b, place, n, hits in calls]
    found = scan(Cube.of(["model", "task"], rows, ["calls", "errors"]).problem("errors"))
    assert len(found.slices) <= 3
    for one in found.slices:
        assert one.share is None or 0 <= one.share <= 1
        assert 0 <= one.p_value <= 0.01 and one.score > 0 and np.isfinite(one.expected)


@pytest.mark.parametrize(
    "bad",
    [
        {"hits": np.full((2, 1), np.nan)},
        {"hits": np.full((2, 1), -1.0)},
        {"exposure": np.ones((2, 2))},
        {"attributes": ("a", "b")},
        {"lasting": 0.0},
        {"lasting": float("nan")},
        {"dispersion": 0.5},
    ],
)
def test_what_is_no_table_of_counts_is_refused(bad) -> None:
    one = np.ones((2, 1))
    good = {
        "attributes": ("a",),
        "values": (("x",),),
        "codes": np.zeros((1, 1), np.int32),
        "hits": one,
        "exposure": one,
        "calls": one,
    }
    Problem(**good)
    with pytest.raises(ValueError):
        Problem(**good | bad)


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="a row of 1 values and 2 counts"):
        Cube.of(["a", "b"], [(["x"], 0, (1, 1))], ["calls", "errors"])
