"""H3: a decision without the call, with its reason, its fallbacks and what it would cost."""

from __future__ import annotations

from meliora.testing.stack import RunningMeliora
from tests.gateway.asking import get, post

PROMPT = "Implement a function in Python that merges two sorted lists."


def test_h03_route_says_what_the_gateway_then_does_and_calls_nothing(meliora: RunningMeliora) -> None:
    """The same prompt is decided on, and then called: both name the same model for the same reason."""
    decided = post(meliora.gateway, "/route", {"prompt": PROMPT, "max_tokens": 100})
    assert decided.status == 200, decided.body
    choice = decided.json
    assert (choice["tier"], choice["task_type"], choice["confidence"]) == ("code", "code", 0.85)
    assert choice["estimated_cost"] > 0
    meliora.settle()
    assert get(meliora.gateway, "/api/v1/calls").json["items"] == []
    body = {"model": "auto", "messages": [{"role": "user", "content": PROMPT}]}
    called = post(meliora.gateway, "/v1/chat/completions", body)
    assert called.headers["x-meliora-model"] == choice["model"]
    assert called.headers["x-meliora-reason"] == choice["reason"]


def test_h03_route_obeys_rules_and_wishes_and_what_is_available(meliora: RunningMeliora) -> None:
    """A rule comes first; a wish moves the tier; where none of the chain is available the first that is, at 0.5."""
    gateway = meliora.gateway
    rule = post(gateway, "/api/v1/rules", {"pattern": "merges", "preferred_model": "simulated-large"}).json
    ruled = post(gateway, "/route", {"prompt": PROMPT}).json
    assert (ruled["model"], ruled["rule_id"], ruled["reason"]) == ("simulated-large", rule["id"], f"rule:{rule['id']}")
    question = "What is the capital of France?"
    assert post(gateway, "/route", {"prompt": question, "prefer_speed": True}).json["tier"] == "fast"
    assert post(gateway, "/route", {"prompt": question, "prefer_quality": True}).json["complexity"] > 0.2
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": question}]
    assert post(gateway, "/route", {"messages": messages}).json["model"]
    only = {"prompt": question, "model": "simulated-large", "available_models": ["simulated-embedding"]}
    emergency = post(gateway, "/route", only).json
    assert (emergency["model"], emergency["confidence"]) == ("simulated-embedding", 0.5)
    assert emergency["reason"].endswith("emergency")
    assert {"model": "simulated-large", "why": "not available"} in emergency["rejected"]
    unknown = post(gateway, "/route", {"prompt": question, "model": "simulated-larg"})
    assert unknown.status == 404
    assert "simulated-large" in unknown.json["error"]["hint"]
