"""Tiers by task and queue, filled with what is configured."""

from __future__ import annotations

import pytest

from meliora.routing.decide import Decision, Wanted, decide
from meliora.routing.matrix import TASKS, level_of, matrix, tier_for
from meliora.routing.pool import Candidate, Pool
from meliora.routing.rules import RuleSet
from meliora.settings.escalation import TaskTiers
from meliora.settings.models import Settings


def choose(model: str) -> Decision:
    pool = Pool([Candidate("small", "fast"), Candidate("large", "deep"), Candidate("larger", "deep", input_price=1.0)])
    return decide(Wanted("t", model), pool, RuleSet(), Settings())


@pytest.mark.parametrize(("depth", "level"), [(0, "low"), (4, "low"), (5, "high"), (500, "high"), (None, None)])
def test_five_calls_in_flight_are_a_long_queue_and_an_unknown_one_is_neither(depth: int | None, level: str) -> None:
    assert level_of(depth, 5) == level


def test_every_task_has_a_tier_for_either_queue() -> None:
    for task in TASKS:
        assert tier_for(task, "low", TaskTiers()) == tier_for(task, None, TaskTiers())
    assert tier_for("reasoning", "high", TaskTiers(reasoning=("deep", "fast"))) == "fast"


def test_the_cells_hold_the_models_in_the_order_they_are_tried() -> None:
    rows = {row.task: row for row in matrix(TaskTiers(), choose)}
    assert set(rows) == set(TASKS)
    assert rows["simple"].low.models == ("small",)
    assert rows["reasoning"].low.models == ("large", "larger")
    assert (rows["chat"].low.call_with, rows["chat"].high.call_with) == ("auto:balanced", "auto:fast")


def test_a_cell_that_nothing_can_serve_says_why() -> None:
    def none(model: str) -> Decision:
        return decide(Wanted("t", model), Pool([]), RuleSet(), Settings())

    cell = matrix(TaskTiers(), none)[0].low
    assert cell.models == () and cell.why
