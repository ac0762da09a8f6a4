"""G9: tables made on demand, and a report over all that was learned."""

from __future__ import annotations

from pathlib import Path

from meliora.runtime.control import improvement_of
from meliora.store import Store
from meliora.store.engine import connect, database_url
from meliora.telemetry.improvement import HeuristicChange
from meliora.testing.stack import RunningMeliora
from tests.gateway.asking import post

TOOL = "/tools/update_model_performance"


def test_g09_the_report_has_the_documented_parts_and_the_five_best_models(meliora: RunningMeliora) -> None:
    """Models are ranked over all their tasks; parts that nothing fills yet are empty, not left out."""
    for number in range(7):
        for task in ("chat", "coding"):
            for attempt in range(10):
                outcome = {"success": attempt >= number, "latencyMs": 5, "cost": None}
                post(meliora.gateway, TOOL, {"modelId": f"m{number}", "taskType": task, **outcome})
    heuristic = {"pattern": "a", "preferredLayer": "fast", "active": False}
    assert post(meliora.gateway, "/tools/update_routing_heuristic", heuristic).status == 200
    report = post(meliora.gateway, "/tools/analyze_metrics", {}).json["result"]["report"]
    assert set(report) == {"regressionTests", "bugPatterns", "routingHeuristics", "topModels", "recentBugs"}
    assert [(one["model"], one["successRate"]) for one in report["topModels"]] == [
        ("m0", 100.0),
        ("m1", 90.0),
        ("m2", 80.0),
        ("m3", 70.0),
        ("m4", 60.0),
    ]
    assert (report["regressionTests"], report["bugPatterns"], report["recentBugs"]) == (0, 0, [])
    assert report["routingHeuristics"] == 1


def test_g09_the_manager_makes_its_tables_and_may_be_asked_twice(meliora: RunningMeliora, tmp_path: Path) -> None:
    """From a running deployment's database, and asked again: nothing is lost."""
    store = meliora.store
    manager = improvement_of(store)
    manager.update_routing_heuristic("default", HeuristicChange(pattern="x", preferred_layer="deep"))
    manager.initialize_tables()
    assert [one.pattern for one in manager.get_routing_heuristics("default")] == ["x"]
    fresh = connect(database_url("", tmp_path))
    from meliora.store.migrate import upgrade

    upgrade(fresh)
    with Store(fresh) as empty:
        manager = improvement_of(empty)
        manager.initialize_tables()
        manager.initialize_tables()
        assert manager.generate_report("default").top_models == ()
