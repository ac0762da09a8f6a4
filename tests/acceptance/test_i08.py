"""I8: what each feature and each task costs."""

from __future__ import annotations

from meliora.testing.stack import RunningMeliora
from tests.gateway.asking import get, post


def test_i08_cost_is_summed_by_feature_and_by_task(meliora: RunningMeliora) -> None:
    """The sums are those of the calls, and calls that name no feature are not left out."""
    prompts = {"search": "Write a Python function that sorts a list.", "": "Tell me a story about a dragon."}
    spent: dict[str | None, float] = {}
    for feature, prompt in prompts.items():
        body = {"model": "simulated-large", "messages": [{"role": "user", "content": prompt}]}
        for _ in range(2):
            headers = {"x_meliora_feature": feature} if feature else {}
            answer = post(meliora.gateway, "/v1/chat/completions", body, **headers)
            spent[feature or None] = spent.get(feature or None, 0) + float(answer.headers["x-meliora-cost"])
    meliora.settle()
    answer = get(meliora.gateway, "/api/v1/analytics/cost-per-feature")
    assert answer.status == 200, answer.body
    features = {one["name"]: one for one in answer.json["by_feature"]}
    assert {name: round(one["cost_usd"], 9) for name, one in features.items()} == {
        name: round(cost, 9) for name, cost in spent.items()
    }
    assert all(one["calls"] == 2 and one["unpriced"] == 0 for one in features.values())
    tasks = {one["name"]: one["cost_usd"] for one in answer.json["by_task"]}
    assert round(tasks["code"], 9) == round(spent["search"], 9)
    assert round(sum(tasks.values()), 9) == round(sum(spent.values()), 9)
