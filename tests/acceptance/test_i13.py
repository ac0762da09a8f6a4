"""I13: feedback and performance metrics with the documented columns, the latter over windows of five minutes."""

from __future__ import annotations

from pathlib import Path

from meliora.testing.stack import RunningMeliora
from tests.acceptance.lives import living
from tests.gateway.asking import get, post

FIVE_MINUTES_US = 300_000_000


def test_i13_calls_become_windows_of_five_minutes_with_extremes_and_percentiles(meliora: RunningMeliora) -> None:
    """Value, minimum, maximum and percentiles, without anybody recording a metric."""
    for _ in range(3):
        body = {"model": "simulated-small", "messages": [{"role": "user", "content": "hello"}]}
        assert post(meliora.gateway, "/v1/chat/completions", body).status == 200
    meliora.settle()
    points = get(meliora.gateway, "/api/v1/metrics").json["items"]
    windows = [point for point in points if point["metric_type"] == "window" and point["metric_unit"] == "ms"]
    assert windows
    for point in windows:
        assert point["metric_name"]
        assert point["window_start_us"] % FIVE_MINUTES_US == 0
        assert point["min_value"] <= point["p50_value"] <= point["p95_value"] <= point["p99_value"]
        assert point["min_value"] <= point["metric_value"] <= point["max_value"]
        assert point["samples"] >= 1


def test_i13_feedback_has_the_documented_columns(meliora: RunningMeliora) -> None:
    """Kind, model, task and metadata; model and task come from the call where nobody named them."""
    body = {"model": "simulated-code", "messages": [{"role": "user", "content": "Write a Python function."}]}
    call_id = post(meliora.gateway, "/v1/chat/completions", body).headers["x-meliora-call"]
    meliora.settle()
    given = {"call_id": call_id, "feedback_type": "rating_4", "metadata": {"tone": "dry", "style": "short"}}
    assert post(meliora.gateway, "/api/v1/learning/feedback", given).status == 200
    (kept,) = get(meliora.gateway, "/api/v1/learning/feedback?model=simulated-code").json["items"]
    assert (kept["feedback_type"], kept["model_used"], kept["task_type"]) == ("rating_4", "simulated-code", "code")
    assert kept["metadata"] == {"tone": "dry", "style": "short"}


def test_i13_an_improvement_that_was_applied_or_taken_back_is_an_event_with_what_it_brought(
    tmp_path: Path, switched: None
) -> None:
    """Before, after and the measured impact; nothing is worth anything once it is taken back."""
    with living(tmp_path) as life:
        life.breach()
        change = life.run()
        (event,) = life.get("/api/v1/learning/events?event_type=improvement_applied")["items"]
        assert change.id in str(event) and 0 < event["impact_score"] <= 1
        life.admin.post(f"/api/v1/changes/{change.id}/rollback", json={"why": "no good"})
        life.run()
        newest = life.get("/api/v1/learning/events?event_type=improvement_applied")["items"][0]
        assert newest["impact_score"] == 0.0
