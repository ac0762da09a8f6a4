"""G8: the tools over HTTP, as the documents call them."""

from __future__ import annotations

import sqlalchemy as sa

from meliora.testing.stack import RunningMeliora
from tests.gateway.asking import get, post


def test_g08_the_documented_requests_are_answered(meliora: RunningMeliora) -> None:
    """Analyze, get, record: each as its example has it."""
    gateway = meliora.gateway
    metric = {"name": "api_latency", "value": 234.5, "unit": "ms", "context": {"endpoint": "/route"}}
    recorded = post(gateway, "/tools/record_metric", metric)
    assert recorded.status == 200 and recorded.json["success"] is True
    assert recorded.json["result"]["metric_value"] == 234.5
    performance = {
        "modelId": "claude-sonnet-4",
        "taskType": "coding",
        "success": True,
        "latencyMs": 2340,
        "cost": 0.0125,
    }
    assert post(gateway, "/tools/update_model_performance", performance).status == 200
    heuristic = {"pattern": "coding", "preferredLayer": "code"}
    assert post(gateway, "/tools/update_routing_heuristic", heuristic).status == 200
    analysis = post(gateway, "/tools/analyze_metrics", {"taskType": "coding", "includeReport": True}).json["result"]
    assert analysis["models"][0]["avgCost"] == 0.0125
    assert "claude-sonnet-4 (coding)" in analysis["text"]
    assert analysis["report"]["routingHeuristics"] == 1
    assert post(gateway, "/tools/analyze_metrics", {"includeReport": False}).json["result"]["report"] is None
    assert post(gateway, "/tools/analyze_metrics", {"taskType": "chat"}).json["result"]["models"] == []
    listed = get(gateway, "/tools/get_routing_heuristics?activeOnly=true").json["result"]
    assert [one["pattern"] for one in listed] == ["coding"]
    assert get(gateway, "/tools/get_routing_heuristics?activeOnly=maybe").status == 400


def test_g08_a_tool_that_failed_never_answers_success(meliora: RunningMeliora) -> None:
    """With the table gone the answer is an error that says so."""
    with meliora.store.engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE performance_metrics"))
    answer = post(meliora.gateway, "/tools/record_metric", {"name": "a", "value": 1, "unit": "ms"})
    assert answer.status == 503, answer.body
    assert "success" not in answer.json
    assert answer.json["error"]["code"] in ("schema_mismatch", "store_error")
    assert post(meliora.gateway, "/tools/no_such_tool", {}).status == 404
