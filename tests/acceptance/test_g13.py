"""G13: high stakes are cross-checked, conflicts and repeated failure escalate, and security words force the deep tier."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from meliora.settings.models import Server, Settings
from meliora.testing.stack import RunningMeliora
from tests.acceptance.three import three_models
from tests.gateway.asking import get, post
from tests.gateway.learned import answered, failing
from tests.gateway.raw_upstream import RawUpstream, Step

SECURITY = "Is this login form a security problem?"


def test_g13_a_word_of_security_sends_a_prompt_to_the_deep_tier_and_says_why(meliora: RunningMeliora) -> None:
    """A rule that can be seen; a person's own rule of a higher priority goes before it."""
    gateway = meliora.gateway
    body = {"model": "auto", "messages": [{"role": "user", "content": SECURITY}]}
    called = post(gateway, "/v1/chat/completions", body)
    assert called.headers["x-meliora-model"] == "simulated-large"
    assert called.headers["x-meliora-reason"] == "rule:security-words"
    shown = get(gateway, "/routing/escalation").json
    assert "security" in shown["security_words"] and shown["security_tier"] == "deep"
    assert post(gateway, "/routing/classify", {"prompt": SECURITY}).json["tier"] == "deep"
    higher = {"pattern": "login", "preferred_layer": "fast", "priority": shown["security_priority"] + 1}
    assert post(gateway, "/api/v1/rules", higher).status == 201
    meliora.wait_for_rules(1)
    assert post(gateway, "/v1/chat/completions", body).headers["x-meliora-model"] == "simulated-small"


def test_g13_the_words_can_be_changed_and_switched_off(tmp_path: Path, switched: None) -> None:
    """The settings' words are the ones that count, whatever the tenant."""
    for number, (words, model) in enumerate([(["harbour"], "simulated-large"), ([], "simulated-small")]):
        escalation = {"security_words": words}
        made = Settings.model_validate(
            {"server": Server(state_dir=tmp_path / str(number)), "routing": {"escalation": escalation}}
        )
        with RunningMeliora(made) as meliora:
            body = {"model": "auto", "messages": [{"role": "user", "content": "What is the harbour?"}]}
            assert post(meliora.gateway, "/v1/chat/completions", body).headers["x-meliora-model"] == model


def _speak(_head: bytes, body: bytes) -> list[Step]:
    """Two models that contradict each other, and a third that says so and then settles it."""
    asked = json.loads(body)
    if asked["model"] == "judge":
        return answered(CONFLICT if "compare" in asked["messages"][0]["content"] else SETTLED)
    return answered({"one": "Kyiv.", "two": "Lviv."}[asked["model"]])


CONFLICT = json.dumps({"agree": False, "better": "a", "conflicts": ["Kyiv or Lviv"], "confidence": 0.9})
SETTLED = json.dumps({"answer": "Kyiv", "took": "a", "why": "It is the capital."})


@pytest.mark.parametrize("stakes", ["high", "medium"])
def test_g13_two_answers_are_checked_by_a_third_for_high_stakes_only(
    tmp_path: Path, switched: None, stakes: str
) -> None:
    """Different models, a structured verdict, each leg a recorded and charged call; below the stakes one model answers."""
    with RawUpstream(_speak) as provider, RunningMeliora(three_models(tmp_path, provider)) as meliora:
        asked = {"prompt": "What is the capital of Ukraine?", "stakes": stakes}
        answer = post(meliora.gateway, "/routing/crosscheck", asked)
        assert answer.status == 200, answer.body
        meliora.settle()
        calls: list[dict[str, Any]] = get(meliora.gateway, "/api/v1/calls").json["items"]
    said = answer.json
    roles = [(leg["role"], leg["model"]) for leg in said["legs"]]
    assert {leg["call_id"] for leg in said["legs"]} == {call["id"] for call in calls}
    assert said["cost_usd"] == pytest.approx(sum(call["cost_micros"] for call in calls) / 1e6)
    assert {call["feature"] for call in calls} == {"crosscheck"}
    if stakes == "medium":
        assert (said["verdict"], roles) == ("unchecked", [("a", "one")])
        return
    assert roles == [("a", "one"), ("b", "two"), ("reviewer", "judge"), ("arbitrator", "judge")]
    assert (said["verdict"], said["escalated"], said["conflicts"]) == ("conflict", True, ["Kyiv or Lviv"])
    assert (said["answer"], said["took"], said["model"]) == ("Kyiv.", "a", "one")


def test_g13_a_conversation_that_failed_more_than_twice_is_answered_by_a_stronger_model(
    tmp_path: Path, switched: None
) -> None:
    """In the gateway, by itself; a conversation that did not fail stays where it was."""

    def fail(_head: bytes, body: bytes) -> list[Step]:
        return answered("Kyiv.") if json.loads(body)["model"] == "judge" else failing()

    body = {"model": "auto", "messages": [{"role": "user", "content": "What is the capital of Ukraine?"}]}
    with RawUpstream(fail) as provider, RunningMeliora(three_models(tmp_path, provider)) as meliora:
        path = "/v1/chat/completions"
        for _ in range(3):
            assert post(meliora.gateway, path, body, x_meliora_session="s").status >= 500
        answer = post(meliora.gateway, path, body, x_meliora_session="s")
        assert (answer.status, answer.headers["x-meliora-model"]) == (200, "judge")
        assert answer.headers["x-meliora-reason"].startswith("escalated:")
        assert post(meliora.gateway, path, body, x_meliora_session="other").status >= 500
