"""Preferences over HTTP: told, reacted to, asked for, exported, imported, forgotten."""

from __future__ import annotations

from typing import Any

from tests.server.house import House, error_of

LEARNED = "/api/v1/learning/preferences"


def tell(client: Any, model: str, feedback: str | None = None, **more: Any) -> dict[str, Any]:
    body = {"user_id": "ann", "task_type": "code", "model": model, **more}
    answer = client.post("/preferences/interaction", json=body if feedback is None else {**body, "feedback": feedback})
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_feedback_on_calls_becomes_a_preference_by_task(house: House) -> None:
    client = house.client(house.key())
    calls = {}
    for place in range(12):
        model, task = (("coder", "code"), ("poet", "code"), ("poet", "creative"))[place % 3]
        calls[place] = house.call(user="ann", model=model, task=task, message_id=f"m{place}")
    house.ingest()
    for place, call_id in calls.items():
        word = "thumbs_down" if place % 3 == 1 else "rating_5"
        named = {"call_id": call_id} if place % 2 else {"message_id": f"m{place}"}
        answer = client.post("/api/v1/learning/feedback", json={**named, "feedback_type": word})
        assert answer.status_code == 200, answer.text
    found = client.get(LEARNED, params={"user_id": "ann"}).json()
    assert {task: one["model"] for task, one in found["preferred_models"].items()} == {
        "code": "coder",
        "creative": "poet",
    }
    code = found["preferred_models"]["code"]
    assert (code["samples"], code["rated"]) == (4, 8)
    assert code["confidence"] > 0.8
    assert {one["task"]: one["count"] for one in found["frequent_tasks"]} == {"code": 8, "creative": 4}
    assert found["learning_stats"]["rated"] == 12
    assert found["next_activity"]["samples"] == 12
    assert client.get(LEARNED).json()["learning_stats"]["rated"] == 12
    assert client.get(LEARNED, params={"user_id": "bob"}).json()["preferred_models"] == {}


def test_the_last_feedback_on_a_call_stands(house: House) -> None:
    client = house.client(house.key())
    call_id = house.call(user="ann", model="a", task="code")
    house.ingest()
    for word in ("thumbs_up", "thumbs_up", "thumbs_down"):
        client.post("/api/v1/learning/feedback", json={"call_id": call_id, "feedback_type": word})
    found = client.get(LEARNED, params={"user_id": "ann"}).json()
    assert (found["preferred_models"], found["learning_stats"]["negative"]) == ({}, 1)
    reacted = client.post("/preferences/feedback", json={"interaction_id": call_id, "feedback": "positive"}).json()
    assert (reacted["value"], reacted["model"]) == (1.0, "a")
    assert client.get(LEARNED, params={"user_id": "ann"}).json()["learning_stats"]["rated"] == 1


def test_an_interaction_keeps_no_prompt_but_its_task_length_and_a_keyed_hash(house: House) -> None:
    client = house.client(house.key())
    prompt = "Debug this Python function, dear 日本"
    first = tell(client, "a", task_type=None, prompt=prompt)
    second = tell(client, "a", task_type=None, prompt=prompt)
    assert (first["task_type"], first["prompt_length"]) == ("code", len(prompt))
    assert first["prompt_hash"] == second["prompt_hash"]
    assert first["id"] != second["id"]
    assert prompt not in client.get("/preferences/export").text
    again = tell(client, "b", id=first["id"])
    assert again["id"] == first["id"]
    assert client.get("/preferences/stats", params={"user_id": "ann"}).json()["learning"]["interactions"] == 2


def test_a_recommendation_chooses_among_the_named_the_rated_or_the_offered(house: House) -> None:
    client = house.client(house.key())
    for place in range(10):
        tell(client, "ab"[place % 2], "positive" if place % 2 else "negative")
    asked = {"user_id": "ann", "prompt": "Refactor this class"}
    found = client.post("/preferences/recommend", json=asked).json()
    assert (found["model"], found["task_type"], found["samples"]) == ("b", "code", 5)
    assert found == client.get("/preferences/recommend", params=asked).json()
    named = client.get("/preferences/recommend", params={**asked, "models": ["a", "c"]}).json()
    assert {one["model"] for one in named["compared"]} == {"a", "c"}
    offered = client.post("/preferences/recommend", json={"user_id": "bob"}).json()
    assert "simulated-small" in {one["model"] for one in offered["compared"]}
    assert "simulated-embeddings" not in {one["model"] for one in offered["compared"]}


def test_style_and_stats_are_shown_with_how_much_is_behind_them(house: House) -> None:
    client = house.client(house.key())
    for place in range(8):
        liked = place % 2 == 0
        metadata = {"tone": "dry" if liked else "warm", "code_style": "functional"}
        told = {"latency_ms": 100.0, "response_length": 100 if liked else 3000, "metadata": metadata}
        tell(client, "a", "positive" if liked else "regenerate", **told)
    style = client.get("/preferences/style", params={"user_id": "ann"}).json()
    assert (style["tone"]["value"], style["tone"]["samples"]) == ("dry", 4)
    assert (style["length"]["value"], style["verbosity"]["value"]) == ("short", "concise")
    assert style["explanation_depth"] is None
    (model,) = client.get("/preferences/stats", params={"user_id": "ann"}).json()["models"]
    assert (model["total_uses"], model["regenerations"], model["success_rate"]) == (8, 4, 1.0)


def test_an_export_can_be_imported_by_another_tenant_and_again(house: House) -> None:
    client = house.client(house.key())
    for place in range(6):
        tell(client, "ab"[place % 2], "rating_4", metadata={"tone": "dry"})
    exported = client.get("/preferences/export", params={"user_id": "ann"}).json()
    other = house.client(house.key("other"))
    for _ in range(2):
        assert other.post("/preferences/import", json=exported).json() == {"imported": 6}
    shown = [one.get(LEARNED, params={"user_id": "ann"}).json() for one in (client, other)]
    assert shown[0] == shown[1]
    taken = dict(exported["interactions"][0], user_id="bob")
    refused = other.post("/preferences/import", json={"interactions": [taken]})
    assert (refused.status_code, error_of(refused)["code"]) == (409, "conflict")


def test_a_user_is_forgotten_or_erased_and_only_in_their_tenant(house: House) -> None:
    client, other = house.client(house.key()), house.client(house.key("other"))
    for one in (client, other):
        tell(one, "a", "positive")
    call_id = house.call(user="ann")
    house.ingest()
    client.post("/api/v1/learning/feedback", json={"call_id": call_id, "feedback_type": "thumbs_up"})
    assert client.delete("/preferences/users/ann").json() == {"forgotten": 2}
    assert client.get(LEARNED, params={"user_id": "ann"}).json()["learning_stats"]["interactions"] == 0
    assert client.get(f"/api/v1/learning/feedback/{call_id}").status_code == 200
    assert other.get(LEARNED, params={"user_id": "ann"}).json()["learning_stats"]["rated"] == 1
    assert other.delete("/api/v1/users/ann").json()["counts"]["preferences"] == 1
    assert other.get(LEARNED).json()["learning_stats"]["interactions"] == 0
    assert "ann" not in client.get("/api/v1/activity").text


def test_what_makes_no_sense_is_named(house: House) -> None:
    client = house.client(house.key())
    for body, field in (
        ({"model": "a", "feedback": "meh"}, "feedback"),
        ({"model": "a", "latency_ms": -1}, "latency_ms"),
        ({"model": ""}, "model"),
        ({"model": "a", "rating": 1}, "rating"),
    ):
        answer = client.post("/preferences/interaction", json=body)
        assert answer.status_code == 400
        assert field in (error_of(answer)["field"] or ""), body
    unknown = client.post("/preferences/feedback", json={"interaction_id": "none", "feedback": "edit"})
    assert unknown.status_code == 404
    assert client.post("/preferences/import", json={"format": 2, "interactions": []}).status_code == 400
