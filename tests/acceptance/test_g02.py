"""G2: routing rules: pattern, preferred layer and model, priority, active."""

from __future__ import annotations

from typing import Any

from meliora.testing.stack import RunningMeliora
from tests.gateway.asking import post

ASK = {"model": "auto", "messages": [{"role": "user", "content": "please handle the invoice of May"}]}


def _rule(meliora: RunningMeliora, **rule: Any) -> str:
    answer = post(meliora.gateway, "/api/v1/rules", rule)
    assert answer.status in (200, 201), answer.body
    return answer.json["id"]


def test_g02_the_active_rule_of_the_highest_priority_decides(meliora: RunningMeliora) -> None:
    """Two rules match; the higher one names a model, and is then switched off."""
    _rule(meliora, pattern="invoice", preferred_layer="fast", priority=1)
    high = _rule(
        meliora, pattern="(?i)INVOICE of", preferred_layer="deep", preferred_model="simulated-code", priority=9
    )
    meliora.wait_for_rules(2)
    answer = post(meliora.gateway, "/v1/chat/completions", ASK)
    assert answer.headers["x-meliora-model"] == "simulated-code"
    assert answer.headers["x-meliora-reason"] == f"rule:{high}"
    off = {"pattern": "(?i)INVOICE of", "preferred_layer": "deep", "preferred_model": "simulated-code", "active": False}
    assert post(meliora.gateway, f"/api/v1/rules/{high}", off, method="PUT").status == 200
    meliora.wait_for_rules(1)
    answer = post(meliora.gateway, "/v1/chat/completions", ASK)
    assert answer.headers["x-meliora-model"] == "simulated-small"
