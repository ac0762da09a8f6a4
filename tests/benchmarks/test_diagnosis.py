"""The diagnosis benchmark: its traffic, what counts as found, and its control."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.diagnosis.measure import causes, control, explain, quiet_periods, same_calls
from benchmarks.diagnosis.planted import SHAPES, planted, quiet
from benchmarks.report import ControlFailed, Figure, Report


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_planted_makes_a_rise_that_a_gate_sees(shape) -> None:
    case = planted(np.random.default_rng(3), shape, "errors", 3000)
    before, now = case.cube.problem("errors").hits.sum(axis=1)
    assert now * 8 > 1.2 * before
    assert len(case.causes) == (2 if shape == "two causes" else 1)


def test_the_planted_calls_are_found_by_whatever_name() -> None:
    case = planted(np.random.default_rng(3), "one endpoint", "errors", 8000)
    (cause,) = case.causes
    assert same_calls(case.cube, explain(case).slices[0].attributes, cause)
    assert not same_calls(case.cube, {}, cause)


def test_a_quiet_case_has_no_cause_planted() -> None:
    assert quiet(np.random.default_rng(3), "cost", 500).causes == ()


def test_it_measures_its_figures() -> None:
    report = Report("diagnosis", 7, echo=lambda line: None)
    causes(report, 1, 7)
    quiet_periods(report, 3, 7)
    assert [one.name for one in report.figures] == ["cause_top1", "cause_top3", "quiet_no_cause_share"]
    control(report)


def test_it_fails_where_the_cases_are_so_easy_that_anything_finds_them() -> None:
    report = Report("diagnosis", 7, echo=lambda line: None)
    report.add(Figure("cause_top1", 0.99, "share", beside={"one value of most excess": 0.9}))
    with pytest.raises(ControlFailed):
        control(report)
