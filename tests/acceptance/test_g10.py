"""G10: heuristics are looked at first, and each call's performance is recorded by itself."""

from __future__ import annotations

from meliora.testing.stack import RunningMeliora
from tests.gateway.asking import get, post


def test_g10_a_learned_heuristic_routes_the_next_call_whose_performance_is_then_known(meliora: RunningMeliora) -> None:
    """From the tool to the decision to the numbers, with nothing done by hand in between."""
    learned = {"pattern": ".*implement.*algorithm.*", "preferredLayer": "deep", "preferredModel": "simulated-large"}
    answer = post(meliora.gateway, "/tools/update_routing_heuristic", {**learned, "reasoning": "hard", "active": True})
    assert answer.status == 200, answer.body
    meliora.wait_for_rules(1)
    body = {"model": "auto", "messages": [{"role": "user", "content": "please implement that algorithm"}]}
    call = post(meliora.gateway, "/v1/chat/completions", body)
    assert call.headers["x-meliora-model"] == "simulated-large"
    assert call.headers["x-meliora-reason"].startswith("rule:")
    meliora.settle()
    listed = get(meliora.gateway, "/api/v1/model-performance").json
    [row] = [r for r in listed["items"] if r["model_id"] == "simulated-large"]
    assert row["total_calls"] == 1
    assert row["successes"] == 1
    assert row["avg_cost"] is not None and row["avg_cost"] > 0
