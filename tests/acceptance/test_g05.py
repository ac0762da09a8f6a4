"""G5: how each model does at each task, from sums and counts that no rounding spoils."""

from __future__ import annotations

import sqlalchemy as sa

from meliora.store.tables import model_performance
from meliora.testing.stack import RunningMeliora
from tests.gateway.asking import get, post

TOOL = "/tools/update_model_performance"


def test_g05_the_means_are_those_of_all_outcomes_and_an_unknown_cost_is_none(meliora: RunningMeliora) -> None:
    """A thousand tiny costs would vanish in a column that is rounded at each step."""
    name = {"modelId": "claude-sonnet-4", "taskType": "coding"}
    outcomes = [(True, 2340.0, 0.0000015), (True, 1000.5, None), (False, None, 0.0000025)]
    for success, latency, cost in outcomes * 4:
        answer = post(meliora.gateway, TOOL, {**name, "success": success, "latencyMs": latency, "cost": cost})
        assert answer.status == 200, answer.body
    (row,) = get(meliora.gateway, "/api/v1/model-performance?task_type=coding").json["items"]
    assert (row["model_id"], row["task_type"], row["total_calls"], row["successes"]) == (*name.values(), 12, 8)
    assert row["success_rate"] == 8 / 12
    assert row["avg_latency_ms"] == (2340.0 + 1000.5) / 2
    assert (row["timed_calls"], row["priced_calls"]) == (8, 8)
    unpriced = {"modelId": "local", "taskType": "coding", "success": True}
    scored = post(meliora.gateway, TOOL, unpriced).json["result"]
    assert scored["avgCost"] is None and scored["avgLatencyMs"] is None
    assert scored["successRate"] == 100.0


def test_g05_a_model_and_a_task_are_one_row(meliora: RunningMeliora) -> None:
    """The key is unique, also where two write at once."""
    for _ in range(3):
        post(meliora.gateway, TOOL, {"modelId": "m", "taskType": "t", "success": True, "latencyMs": 1, "cost": 0})
    with meliora.store.engine.connect() as connection:
        rows = connection.execute(sa.select(model_performance)).mappings().all()
    assert [(row["model_id"], row["task_type"], row["total_calls"]) for row in rows] == [("m", "t", 3)]
    assert rows[0]["last_updated"] > 0
    for wrong in ({"latencyMs": -1}, {"cost": -0.1}, {"success": "maybe"}, {"modelId": ""}):
        body = {"modelId": "m", "taskType": "t", "success": True, **wrong}
        assert post(meliora.gateway, TOOL, body).status == 400, wrong
