"""Two tenants walk every route: what is one's is invisible to the other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from starlette.testclient import TestClient

from meliora.loop.change import Origin
from meliora.runtime.loop import loop_of
from meliora.server import build_app
from meliora.store.knowledge.upkeep import ArchiveNote
from tests.server.house import House
from tests.store.test_findings import finding

MARK = "of-tenant-a"
URL = "/api/v1/optimizer"
SHARED = {
    *("/health", "/live", "/ready", "/api/v1/breakers", "/api/v1/gateways", "/api/v1/cache/stats", "/tools"),
    *(f"{URL}/start", f"{URL}/stop", f"{URL}/kill", f"{URL}/resume"),
    *(f"{URL}/quality-gates/{{metric}}", f"{URL}/rollback"),
}
"""Of the deployment, not of a tenant; and what names nothing of another: the bound of a gate, one's own last delivery."""
NAMES_NOTHING = {
    *("/api/v1/users/{user}", "/routing/classify/{prompt}", "/preferences/users/{user}"),
    *("/api/v1/memory/users/{user}", "/api/v1/memory/users/{user}/export", "/api/v1/memory/{conversation}/turns"),
}
"""Routes whose path holds no id of a thing."""

SNAPSHOT = 2
"""Number of a routing snapshot that `a` has: `b` comes to a first one of its own."""


@pytest.fixture
def mine(house: House) -> dict[str, str]:
    """Give ids of things that belong to tenant `a`, each with a mark in it that must never be seen by another."""
    tags = {"place": MARK}
    content = {"content": "full", "request_text": f"ask {MARK}", "response_text": f"say {MARK}"}
    call_id = house.call(
        tenant="a", user=MARK, session=MARK, message_id=MARK, feature=MARK, task=MARK, tags=tags, **content
    )
    house.ingest()
    client = house.client(house.key("a"))
    key = client.post("/api/v1/keys", json={"name": MARK}).json()["key"]
    rule = client.post("/api/v1/rules", json={"pattern": MARK, "preferred_layer": "deep"}).json()
    client.post("/api/v1/learning/feedback", json={"call_id": call_id, "feedback_type": "thumbs_up", "comment": MARK})
    client.post("/api/v1/metrics", json={"name": MARK, "value": 1, "unit": "ms"})
    performance = {"modelId": MARK, "taskType": MARK, "success": True, "latencyMs": 1, "cost": 0.1}
    assert client.post("/tools/update_model_performance", json=performance).status_code == 200
    told = {"id": MARK, "user_id": MARK, "model": MARK, "task_type": MARK, "feedback": "positive"}
    assert client.post("/preferences/interaction", json=told).status_code == 201
    spent = {"model": MARK, "input_tokens": 1, "output_tokens": 1, "cost": 0.5}
    assert client.post("/routing/cost/record", json=spent).status_code == 201
    for _ in range(SNAPSHOT):
        house.store.routing_snapshots.add("a", lambda _: b"", kind="fit", made_by="cli", evidence={"note": MARK})
    house.store.routing_snapshots.promote("a", SNAPSHOT)
    known = _knowledge(house, client)
    loop = loop_of(house.context.settings, house.store, house.clock, "t")
    house.app = build_app(replace(house.context, loop=loop))
    origin = Origin("gate", MARK)
    cycle = house.store.cycles.open("a", environment="staging", origin=origin, subject=MARK, kinds=("model_choice",))
    assert cycle is not None
    house.store.findings.keep("a", finding(id=f"fnd_{MARK}", tenant="a"))
    change = house.store.changes.add(
        "a",
        kind="model_choice",
        target=MARK,
        surface="gateway",
        environment="staging",
        origin=origin,
        cycle=cycle.id,
        finding=f"fnd_{MARK}",
        summary=MARK,
    )
    ours = {"change_id": change.id, "cycle_id": cycle.id, "finding_id": f"fnd_{MARK}"}
    ours |= known
    return ours | {"key_id": key["id"], "rule_id": rule["id"], "call_id": call_id, "user": MARK, "prompt": "hello"}


def _knowledge(house: House, client: TestClient) -> dict[str, str]:
    """Keep documents, searches and a conversation of `a`, in collections that `b` has not, and in one that both have."""
    plane = house.context.knowledge
    assert plane is not None
    docs = [
        {"id": MARK, "text": f"text {MARK}", "title": MARK},
        {"id": f"{MARK}-old", "text": "old", "category": "temporary"},
    ]
    for collection in ("default", MARK):
        said = {"collection": collection, "documents": docs}
        assert client.post("/api/v1/knowledge/documents", json=said).status_code == 200
        plane.follow("a", collection)
    house.store.knowledge_upkeep.archive("a", "default", MARK, [ArchiveNote(document=f"{MARK}-old", why=MARK)])
    plane.follow("a", "default")
    judged = {"judgments": [{"query": MARK, "document": MARK}], "name": MARK}
    assert client.post("/api/v1/knowledge/judgments", json=judged).status_code == 200
    for words in range(SNAPSHOT):
        config = {"fusion": {"words": words + 2}}
        assert client.post("/api/v1/knowledge/snapshots", json={"config": config}).status_code == 200
    search = client.post("/api/v1/knowledge/search", json={"query": MARK}).json()["id"]
    house.ingest()
    turns = {"turns": [{"speaker": MARK, "text": MARK, "user": MARK}]}
    assert client.post(f"/api/v1/memory/{MARK}/turns", json=turns).status_code == 200
    theirs = {"documents": [{"id": "first of b", "text": "harbour text of somebody"}]}
    assert house.client(house.key("b")).post("/api/v1/knowledge/documents", json=theirs).status_code == 200
    plane.follow("b", "default")
    wish = {"tokens": [], "methods": ["typo"], "count": 3}
    kept = [{"id": "long", "text": f"harbour certificate permits {MARK}"}]
    assert client.post("/api/v1/knowledge/documents", json={"documents": kept}).status_code == 200
    plane.follow("a", "default")
    dataset = client.post("/api/v1/knowledge/datasets", json=wish).json()["dataset"]["id"]
    return {"dataset_id": dataset, "search_id": search, "plan": MARK, "conversation": MARK, "name": MARK, "id": MARK}


def _body(path: str, ids: dict[str, str], method: str = "post") -> Any:
    """Give a valid body that reaches for what belongs to `a`, for each route that takes one."""
    return {
        "/api/v1/keys": {"name": "b"},
        "/api/v1/keys/{key_id}": {"name": "b"},
        "/api/v1/keys/{key_id}/rotate": {},
        "/api/v1/rules": {"pattern": "pattern of b", "preferred_layer": "fast"},
        "/api/v1/rules/{rule_id}": {"pattern": "other", "preferred_layer": "fast"},
        "/api/v1/rules/reorder": {"ids": [ids["rule_id"]]},
        "/api/v1/rules/test": {"text": f"text {MARK}"},
        "/api/v1/learning/feedback": {"call_id": ids["call_id"], "feedback_type": "thumbs_down"},
        "/api/v1/quotas": {"key_id": ids["key_id"], "budget_day_micros": 1},
        f"{URL}/trigger": {},
        **{f"/api/v1/changes/{{change_id}}/{act}": {"why": MARK} for act in _ACTS},
        "/api/v1/alerts/alertmanager": {"version": "4", "alerts": []},
        "/api/v1/metrics": {"name": "b", "value": 1},
        "/preferences/interaction": {"id": "of b", "user_id": "b", "model": "b"},
        "/preferences/feedback": {"interaction_id": MARK, "feedback": "negative"},
        "/preferences/recommend": {"user_id": MARK, "task_type": "code"},
        "/preferences/import": {"interactions": [{"id": "of b", "user_id": "b", "model": "b"}]},
        "/api/v1/routing/snapshots/{number}/evaluate": {},
        "/api/v1/routing/snapshots/{number}/promote": {"force": True},
        "/api/v1/routing/rollback": {"number": SNAPSHOT},
        "/api/v1/routing/start": {"reference": "simulated-large"},
        "/api/v1/knowledge/documents": {"documents": [{"id": "of b", "text": "text of b"}]}
        if method == "post"
        else {"ids": [MARK]},
        "/api/v1/knowledge/search": {"query": "text"},
        "/api/v1/knowledge/feedback": {"search_id": ids["search_id"], "type": "accept"},
        "/api/v1/knowledge/explain": {"query": "text"},
        "/api/v1/knowledge/rerank": {"query": "b", "engine": "plain", "response": []},
        "/api/v1/knowledge/datasets": {"tokens": []},
        "/api/v1/knowledge/judgments": {"judgments": [{"query": "of b", "document": "of b"}]},
        "/api/v1/knowledge/snapshots": {"config": {"fusion": {"words": 2}}},
        "/api/v1/knowledge/snapshots/{number}/promote": {},
        "/api/v1/knowledge/pairs": {"a": MARK, "b": "of b"},
        "/api/v1/knowledge/restore": {"plan": ids["plan"]},
        **{
            f"{start}/{act}": {"id": "of b", "text": "text of b"} if act == "entry" else {}
            for start in ("/knowledge", "/api/v1/knowledge")
            for act in ("entry", "prune", "consolidate", "optimize")
        },
        "/api/v1/memory/{conversation}/turns": {"turns": [{"speaker": "b", "text": "of b"}]},
        "/api/v1/memory/recall": {"query": "hello", "conversation": ids["conversation"]},
        "/route": {"prompt": MARK},
        "/routing/classify": {"prompt": "hello"},
        "/routing/route": {"prompt": "hello", "session": MARK},
        "/routing/route/batch": {"requests": [{"prompt": "hello", "session": MARK}]},
        "/inference/route": {"messages": [{"role": "user", "content": "hello"}]},
        "/routing/crosscheck": {"prompt": "hello"},
        "/routing/cost/record": {"model": "b", "input_tokens": 1, "output_tokens": 1, "cost": 1.0},
        "/tools/record_metric": {"name": "b", "value": 1, "unit": ""},
        "/tools/analyze_metrics": {},
        "/tools/update_model_performance": {"modelId": "b", "taskType": "b", "success": True},
        "/tools/get_routing_heuristics": {"activeOnly": False},
        "/tools/update_routing_heuristic": {"pattern": "other of b", "preferredLayer": "fast"},
    }[path]


_ACTS = ("approve", "reject", "rollback", "pause", "resume")
NAMES_ANOTHERS = {
    "/preferences/feedback",
    "/api/v1/rules/reorder",
    "/api/v1/learning/feedback",
    "/api/v1/quotas",
    "/api/v1/routing/rollback",
    "/api/v1/knowledge/feedback",
    "/api/v1/knowledge/pairs",
    "/api/v1/knowledge/restore",
    "/api/v1/memory/recall",
}
"""Routes whose body above names something of `a`: not found."""


def _routes(house: House) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, operation)
        for path, operations in house.app.openapi()["paths"].items()
        for method, operation in operations.items()
        if path not in SHARED
    ]


def _snapshot(house: House, client: TestClient) -> dict[str, str]:
    """Give all that `a` can read; routes with ids included."""
    return {
        path: client.get(path).text
        for path, method, _ in _routes(house)
        if method == "get" and "{" not in path and not path.startswith("/api/v1/activity")
    }


def test_nothing_of_a_tenant_is_seen_or_changed_by_another(house: House, mine: dict[str, str]) -> None:
    owner, stranger = house.client(house.key("a")), house.client(house.key("b"))
    before = _snapshot(house, owner)
    assert sum(MARK in text for text in before.values()) >= 8, "the owner must see what is to be hidden"
    for path, method, operation in _routes(house):
        takes_body = "requestBody" in operation
        answer = stranger.request(
            method, path.format(**mine, number=SNAPSHOT), json=_body(path, mine, method) if takes_body else None
        )
        where = f"{method} {path}: {answer.status_code} {answer.text}"
        named = "{" in path or (method == "post" and path in NAMES_ANOTHERS)
        if named and path not in NAMES_NOTHING:
            assert answer.status_code == 404, where
        else:
            assert answer.status_code < 300, where
            assert MARK not in answer.text, where
            assert not any(thing in answer.text for thing in mine.values()), where
    assert _snapshot(house, owner) == before


def test_every_route_asks_for_a_key(house: House, mine: dict[str, str]) -> None:
    nobody = house.client()
    for path, method, operation in _routes(house):
        body = _body(path, mine, method) if "requestBody" in operation else None
        assert nobody.request(method, path.format(**mine, number=SNAPSHOT), json=body).status_code == 401, (
            method,
            path,
        )


def test_a_key_that_may_only_call_reaches_nothing_but_decisions(house: House, mine: dict[str, str]) -> None:
    caller = house.client(house.key("a", "call"))
    open_to_it = {
        path
        for path, method, operation in _routes(house)
        if caller.request(
            method,
            path.format(**mine, number=SNAPSHOT),
            json=_body(path, mine, method) if "requestBody" in operation else None,
        ).status_code
        != 403
    }
    assert open_to_it == {
        "/route",
        "/routing/classify",
        "/routing/classify/{prompt}",
        "/routing/route",
        "/routing/route/batch",
        "/inference/route",
        "/inference/models",
        "/routing/tiers",
        "/routing/matrix",
        "/routing/escalation",
        "/routing/cost/estimate",
        "/routing/crosscheck",
        "/api/v1/knowledge/search",
        "/api/v1/knowledge/explain",
        "/api/v1/knowledge/rerank",
        "/api/v1/memory/recall",
        "/api/v1/memory/{conversation}/turns",
        "/api/v1/memory/{conversation}/window",
    }


def test_usage_by_tenant_is_for_the_deployments_administrators(house: House, mine: dict[str, str]) -> None:
    house.call(tenant="b")
    house.ingest()

    def groups(secret: str) -> list[str]:
        answer = house.client(secret).get("/api/v1/analytics/usage?by=tenant").json()
        return sorted(item["group"] for item in answer["items"])

    assert groups(house.key("b")) == ["b"]
    assert groups(house.key("default")) == ["a", "b"]
    assert groups(house.key("default", "read")) == ["default"]
