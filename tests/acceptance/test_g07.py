"""G7: the improvement tools with their documented names, arguments and defaults."""

from __future__ import annotations

from meliora.testing.stack import RunningMeliora
from tests.gateway.asking import get, post


def test_g07_the_tools_are_listed_with_what_they_take(meliora: RunningMeliora) -> None:
    """Five of the nine; those about regression tests and bug patterns come with what keeps them."""
    tools = {tool["name"]: tool for tool in get(meliora.gateway, "/tools").json["tools"]}
    documented = {
        "update_routing_heuristic": {
            "pattern",
            "preferredLayer",
            "preferredModel",
            "reasoning",
            "successRate",
            "usageCount",
            "active",
        },
        "analyze_metrics": {"taskType", "includeReport"},
        "get_routing_heuristics": {"activeOnly"},
        "record_metric": {"name", "value", "unit", "context"},
        "update_model_performance": {"modelId", "taskType", "success", "latencyMs", "cost"},
    }
    assert set(documented) <= set(tools)
    for name, arguments in documented.items():
        assert arguments <= set(tools[name]["parameters"]["properties"]), name
    assert tools["analyze_metrics"]["parameters"]["properties"]["includeReport"]["default"] is True
    assert tools["get_routing_heuristics"]["parameters"]["properties"]["activeOnly"]["default"] is True


def test_g07_a_heuristic_keeps_what_a_change_leaves_out_and_its_priority_can_be_set(meliora: RunningMeliora) -> None:
    """The documented call, then a change of one thing."""
    gateway = meliora.gateway
    first = {
        "pattern": ".*implement.*algorithm.*",
        "preferredLayer": "deep",
        "preferredModel": "claude-sonnet-4",
        "reasoning": "Algorithm implementation requires deep reasoning",
        "successRate": 92.5,
        "usageCount": 45,
        "active": True,
        "priority": 7,
    }
    assert post(gateway, "/tools/update_routing_heuristic", first).status == 200
    change = {"pattern": first["pattern"], "active": False}
    changed = post(gateway, "/tools/update_routing_heuristic", change).json["result"]
    assert {name: changed[name] for name in first} == {**first, "active": False}
    assert post(gateway, "/tools/get_routing_heuristics", {}).json["result"] == []
    (kept,) = post(gateway, "/tools/get_routing_heuristics", {"active_only": False}).json["result"]
    assert kept["usageCount"] == 45


def test_g07_what_makes_no_sense_is_refused_by_name(meliora: RunningMeliora) -> None:
    """Each wrong argument is a 400 that names it, and nothing is kept."""
    good = {"pattern": "a", "preferredLayer": "deep"}
    for field, value in (
        ("successRate", 101),
        ("successRate", -1),
        ("preferredLayer", "L9"),
        ("usageCount", -1),
        ("pattern", "(?=look)"),
        ("pattern", "("),
        ("nonsense", 1),
    ):
        answer = post(meliora.gateway, "/tools/update_routing_heuristic", {**good, field: value})
        assert (answer.status, answer.json["error"]["field"]) == (400, field), (field, value)
    assert post(meliora.gateway, "/tools/update_routing_heuristic", {"pattern": "a"}).status == 400
    assert post(meliora.gateway, "/tools/get_routing_heuristics", {"activeOnly": False}).json["result"] == []
