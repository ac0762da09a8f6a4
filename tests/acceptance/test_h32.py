"""H32: metrics, keys, breakers and the activity log, to run it by."""

from __future__ import annotations

from meliora.testing.stack import RunningMeliora
from tests.gateway.asking import get, post


def test_h32_a_deployment_can_be_run_by_what_it_shows(meliora: RunningMeliora) -> None:
    """Prometheus counts the call, the breaker of its endpoint is listed, every act stands in the log, and a key is asked for."""
    gateway = meliora.gateway
    body = {"model": "simulated-small", "messages": [{"role": "user", "content": "hello"}]}
    assert post(gateway, "/v1/chat/completions", body).status == 200
    metrics = get(gateway, "/metrics", secret=None).body.decode()
    assert 'meliora_calls_total{dialect="chat",model="simulated-small",outcome="ok",status="200"} 1.0' in metrics
    key = post(gateway, "/api/v1/keys", {"name": "app", "scopes": ["call"]}).json
    post(gateway, "/api/v1/rules", {"pattern": "a", "preferred_layer": "fast"})
    post(gateway, f"/api/v1/keys/{key['key']['id']}", None, method="DELETE")
    acts = get(gateway, "/api/v1/activity")
    assert acts.status == 200, acts.body
    assert [act["action"] for act in acts.json["items"]] == ["key.revoke", "rule.set", "key.create"]
    assert acts.json["items"][0]["subject"] == key["key"]["id"]
    assert key["secret"] not in acts.body.decode()
    meliora.wait(lambda: bool(get(gateway, "/api/v1/breakers").json["items"]), 10)
    breakers = get(gateway, "/api/v1/breakers").json["items"]
    assert {one["state"] for one in breakers} == {"closed"}
    assert any("simulated-small" in one["endpoint"] for one in breakers)
    (process,) = get(gateway, "/api/v1/gateways").json["gateways"]
    assert process["alive"] is True
    assert get(gateway, "/api/v1/activity", secret=None).status == 401
    meliora.settle()
    assert get(gateway, "/health", secret=None).json["status"] == "healthy"
