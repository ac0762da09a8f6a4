"""What a prior brings to a set is told by a prior that has not seen it, with the guard and without, against the mix of single models."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.report import Report
from benchmarks.routing.data import Set, Split
from benchmarks.routing.online import Field, begun
from benchmarks.routing.prior import Start, gain, measure, zero_loss
from benchmarks.routing.public import PRICES, SOURCES, known, listed
from meliora.routing.learning.table import Outcomes
from meliora.routing.learning.trunk import read_all
from tests.routing.learning.public import planted_prior, public_set


def field() -> Field:
    train, test = public_set(11, 0.6).outcomes, public_set(12, 0.6, 120).outcomes
    offline = Start.of(
        Field("planted", train, test, read_all(train.prompts), read_all(test.prompts), 3, None, 0.01),  # type: ignore[arg-type]
        planted_prior(),
    ).policy
    return Field("planted", train, test, read_all(train.prompts), read_all(test.prompts), 3, offline, 0.01)


def test_a_gain_is_told_with_the_guard_and_without_it() -> None:
    start = Start.of(field(), planted_prior())
    found = gain(start)
    assert found.name == "planted.prior_gain" and found.n == 120
    assert found.low is not None and found.high is not None and found.low <= found.value <= found.high
    assert set(found.beside) == {"guarded", "handicap", "quality", "cost"}
    if found.beside["handicap"] == 1:
        assert found.beside["guarded"] == 0, "the reference alone is neither gain nor loss"


def test_beside_the_zero_router_it_is_held_at_equal_cost() -> None:
    found = zero_loss(Start.of(field(), planted_prior()))
    assert found.name == "planted.prior_zero_loss" and abs(found.value) < 20


def test_learning_goes_on_from_it() -> None:
    start = Start.of(field(), planted_prior())
    figure, series = begun(start.where, start.guarded, 2, "prior", 240)
    assert figure.name == "planted.prior_loss_200" and figure.value < 0.1
    assert series.steps[-1] == 240


def test_a_set_has_no_part_in_its_own_prior_nor_one_without_a_licence_in_any() -> None:
    def whole(name: str) -> Set:
        outcomes = public_set(1, 0.5, 30).outcomes
        return Set(name, outcomes, (name,) * len(outcomes), {})

    sets = {name: whole(name) for name in (*SOURCES, "routerbench")}
    assert set(known(sets, but=("pareto",))) == SOURCES.keys() - {"pareto"}


def test_too_few_sets_are_missing_figures_and_no_error() -> None:
    outcomes = public_set(1, 0.5, 40).outcomes
    part = Set("pareto", outcomes, ("pareto",) * 40, {})
    report = Report("routing", 7)
    measure(report, Split({"pareto": part}, {"pareto": part}), quick=True, folder=None)
    assert "too few for a prior" in report.missing["pareto.prior_gain"]


def test_a_model_that_is_not_listed_has_the_price_that_makes_up_its_cost() -> None:
    name = next(iter(PRICES))
    table = Outcomes(("x" * 400,), (name, "new", "free of word"), np.ones((1, 3)), np.array([[1.0, 0.0006, np.nan]]))
    found = listed(table)
    assert (found[0].input_price, found[0].output_price) == PRICES[name]
    assert found[1].blended_price == pytest.approx(2.0)
    assert found[2].blended_price is None
