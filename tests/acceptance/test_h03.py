"""H3: a decision without the call, with its reason, its fallbacks and what it would cost."""

from __future__ import annotations

from pathlib import Path

import pytest

from meliora.settings.models import Settings
from meliora.testing.stack import RunningMeliora
from tests.gateway.asking import get, post
from tests.server.house import control_house

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


def test_h03_classify_says_the_tier_and_the_model_that_auto_then_takes(meliora: RunningMeliora) -> None:
    """By body and by address, with the wishes of the document; and the tiers that there are to be told."""
    gateway = meliora.gateway
    asked = {"prompt": PROMPT, "system_prompt": "Be brief.", "prefer_quality": False, "prefer_speed": False}
    said = post(gateway, "/routing/classify", asked)
    assert said.status == 200, said.body
    assert (said.json["tier"], said.json["confidence"], said.json["reason"]) == ("code", 0.85, "classifier:code")
    body = {"model": "auto", "messages": [{"role": "user", "content": PROMPT}]}
    called = post(gateway, "/v1/chat/completions", body)
    assert called.headers["x-meliora-model"] == said.json["model"]
    by_path = get(gateway, "/routing/classify/Translate%20yes%2Fno%3F")
    assert (by_path.status, by_path.json["tier"]) == (200, "fast")
    quick = post(gateway, "/routing/classify", {"prompt": "Compare both designs in depth.", "prefer_speed": True}).json
    usual = post(gateway, "/routing/classify", {"prompt": "Compare both designs in depth."}).json
    assert quick["complexity"] == pytest.approx(usual["complexity"] - 0.2)
    tiers = {one["tier"]: one for one in get(gateway, "/routing/tiers").json["items"]}
    assert set(tiers) == {"fast", "balanced", "deep", "code"}
    assert said.json["model"] in tiers["code"]["models"]
    assert "QUALITY" in tiers["deep"]["older_names"]


def test_h03_a_conversation_is_recommended_a_model_and_told_why(meliora: RunningMeliora) -> None:
    """The preferred model where it can be had; what is not known is null."""
    gateway = meliora.gateway
    messages = [{"role": "user", "content": PROMPT}]
    said = post(gateway, "/inference/route", {"messages": messages})
    assert said.status == 200, said.body
    info = said.json["routing_info"]
    assert (said.json["recommended_model"], info["task_type"]) == ("simulated-code", "code")
    assert (info["task_confidence"], info["needs_nsfw"]) == (0.85, None)
    assert info["selection_reason"] == "classifier:code"
    liked = {"messages": messages, "preferred_model": "simulated-large", "allow_cloud": False}
    assert post(gateway, "/inference/route", liked).json["recommended_model"] == "simulated-large"
    unknown = post(gateway, "/inference/route", {"messages": messages, "preferred_model": "simulated-larg"})
    assert unknown.status == 404 and "simulated-large" in unknown.json["error"]["hint"]
    models = {one["name"]: one for one in get(gateway, "/inference/models").json["items"]}
    assert models["simulated-code"]["cost_per_1k_input"] == pytest.approx(0.0012)
    assert models["simulated-embedding"]["capabilities"] == ["embeddings"]
    assert all(one["in_service"] and one["local"] for one in models.values())


def test_h03_without_the_cloud_only_what_stays_in_the_house_is_recommended(tmp_path: Path, switched: None) -> None:
    """A model with one endpoint outside does not count as local, whatever is preferred."""
    made = Settings.model_validate(
        {
            "providers": {
                "house": {"base_url": "http://10.0.0.5/v1", "models": ["near", "both"]},
                "cloud": {"base_url": "https://api.example.com/v1", "models": ["far", "both"]},
            }
        }
    )
    with control_house(tmp_path, made) as house:
        client = house.client(house.key())
        asked = {"messages": [{"role": "user", "content": "Hello"}], "allow_cloud": False}
        for liked in (None, "far", "both"):
            answer = client.post("/inference/route", json={**asked, "preferred_model": liked})
            assert answer.status_code == 200, answer.text
            assert answer.json()["recommended_model"] == "near"
            assert answer.json()["routing_info"]["fallback_chain"] == []
