"""What each route does beyond passing a question on."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from meliora.telemetry.records import Usage
from tests.server.house import House, error_of


def test_the_secret_of_a_key_is_shown_once_and_never_logged(house: House) -> None:
    client = house.client(house.key())
    made = client.post("/api/v1/keys", json={"name": "app", "scopes": ["call", "read"], "models": ["gpt-5*"]})
    assert made.status_code == 201
    key_id, secret = made.json()["key"]["id"], made.json()["secret"]
    rotated = client.post(f"/api/v1/keys/{key_id}/rotate", json={"overlap_seconds": 60}).json()["secret"]
    assert rotated != secret
    everything = [client.get(path).text for path in ("/api/v1/keys", f"/api/v1/keys/{key_id}", "/api/v1/activity")]
    assert not any(shown in text for shown in (secret, rotated) for text in everything)
    for opener in (secret, rotated):
        assert house.client(opener).get("/api/v1/calls").status_code == 200
    house.clock.advance(61)
    assert house.client(secret).get("/api/v1/calls").status_code == 401
    assert house.client(rotated).get("/api/v1/calls").status_code == 200


def test_a_patch_changes_what_it_names_and_null_takes_a_limit_away(house: House) -> None:
    client = house.client(house.key())
    limits = {"name": "a", "requests_per_minute": 5, "budget_day_micros": 7, "feature": "search"}
    key_id = client.post("/api/v1/keys", json=limits).json()["key"]["id"]
    changed = client.patch(f"/api/v1/keys/{key_id}", json={"requests_per_minute": None, "name": "b"}).json()
    assert (changed["requests_per_minute"], changed["name"]) == (None, "b")
    assert (changed["budget_day_micros"], changed["feature"]) == (7, "search")
    assert client.patch(f"/api/v1/keys/{key_id}", json={"scopes": []}).status_code == 400
    assert client.patch(f"/api/v1/keys/{key_id}", json={"tenant": "other"}).status_code == 400
    assert client.patch(f"/api/v1/keys/{key_id}", json={"concurrent": 0}).status_code == 400


def test_a_revoked_key_stays_in_the_list_and_cannot_be_changed(house: House) -> None:
    client = house.client(house.key())
    key_id = client.post("/api/v1/keys", json={}).json()["key"]["id"]
    assert client.delete(f"/api/v1/keys/{key_id}").json()["revoked_us"] is not None
    assert client.delete(f"/api/v1/keys/{key_id}").status_code == 200
    answer = client.patch(f"/api/v1/keys/{key_id}", json={"name": "x"})
    assert (answer.status_code, error_of(answer)["code"]) == (409, "conflict")
    shown = client.get("/api/v1/keys").json()["items"]
    assert key_id in {key["id"] for key in shown}
    assert key_id not in {key["id"] for key in client.get("/api/v1/keys?revoked=false").json()["items"]}


def test_rules_are_made_replaced_reordered_and_removed(house: House) -> None:
    client = house.client(house.key())
    ids = [
        client.post("/api/v1/rules", json={"pattern": pattern, "preferred_layer": "fast"}).json()["id"]
        for pattern in ("a", "b", "c")
    ]
    order = [ids[2], ids[0], ids[1]]
    reordered = client.post("/api/v1/rules/reorder", json={"ids": order}).json()["items"]
    assert [rule["id"] for rule in reordered] == order
    replaced = client.put(f"/api/v1/rules/{ids[0]}", json={"pattern": "z", "preferred_model": "m", "active": False})
    assert (replaced.json()["pattern"], replaced.json()["preferred_layer"]) == ("z", None)
    taken = client.put(f"/api/v1/rules/{ids[0]}", json={"pattern": "b", "preferred_model": "m"})
    assert error_of(taken)["code"] == "conflict"
    assert client.delete(f"/api/v1/rules/{ids[2]}").json() == {"deleted": ids[2]}
    assert client.get(f"/api/v1/rules/{ids[2]}").status_code == 404
    assert [rule["id"] for rule in client.get("/api/v1/rules?active_only=true").json()["items"]] == [ids[1]]
    assert client.post("/api/v1/rules", json={"pattern": "d"}).status_code == 400


def test_a_pattern_can_be_tried_before_it_is_kept(house: House) -> None:
    client = house.client(house.key())

    def tried(**body: object) -> object:
        return client.post("/api/v1/rules/test", json=body).json()

    assert tried(pattern="(?i)sort", text="Sort this") == {"matches": True, "rule_id": None}
    assert tried(pattern="sort", text="Sort this") == {"matches": False, "rule_id": None}
    rule = client.post("/api/v1/rules", json={"pattern": "this", "preferred_layer": "deep"}).json()
    assert tried(text="Sort this") == {"matches": True, "rule_id": rule["id"]}
    assert tried(text="Sort this", applies_to="all") == {"matches": False, "rule_id": None}
    refused = client.post("/api/v1/rules/test", json={"pattern": "(a)\\1", "text": "aa"})
    assert error_of(refused)["field"] == "pattern"


def test_calls_are_paged_and_narrowed(house: House) -> None:
    client = house.client(house.key())
    ids = []
    for number in range(5):
        model = "sim-large" if number == 3 else "sim-small"
        ids.append(house.call(model=model, user=f"u{number % 2}", tags={"team": "red"} if number == 1 else {}))
        house.ingest()
        house.clock.advance(1)
    seen, cursor = [], ""
    while True:
        page = client.get(f"/api/v1/calls?limit=2{cursor}").json()
        seen += [call["id"] for call in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert seen == ids[::-1]

    def found(query: str) -> list[str]:
        return [call["id"] for call in client.get(f"/api/v1/calls?{query}").json()["items"]]

    assert found("model=sim-large") == [ids[3]]
    assert found("tag=team=red") == [ids[1]]
    assert found("user=u1") == [ids[3], ids[1]]
    assert found("since=2025-01-01T00:00:03Z") == [ids[4], ids[3]]
    assert found("since=2025-01-01T00:00:03%2B00:00") == [ids[4], ids[3]]
    assert found("until=1735689601000000") == [ids[0]]
    assert found("outcome=error") == []
    assert [call["id"] for call in client.get("/api/v1/calls/tail?limit=2").json()["calls"]] == ids[3:]


@pytest.mark.parametrize(("cost", "shown"), [(None, None), (0, 0.0), (1_500, 0.0015)])
def test_an_unknown_cost_is_null_and_a_known_one_is_dollars(
    house: House, cost: int | None, shown: float | None
) -> None:
    call_id = house.call(cost_micros=cost, usage=Usage(input=1, output=1), content="off")
    house.ingest()
    call = house.client(house.key()).get(f"/api/v1/calls/{call_id}").json()
    assert (call["cost_usd"], call["cost_micros"], call["recorded"]) == (shown, cost, None)


@pytest.mark.parametrize("user", ["team/ann", "auth0|ann", "../ann", "an\nn", "ann?x=1#y", "Ännchen 😀"])
def test_a_person_can_be_erased_whatever_their_name_holds(house: House, user: str) -> None:
    """Applications name users as they like, with slashes too."""
    client = house.client(house.key())
    for name in (user, "ann"):
        house.call(user=name, content="full", request_text="words")
    house.ingest()
    house.clock.advance(1)
    answer = client.delete(f"/api/v1/users/{quote(user, safe='')}")
    assert (answer.status_code, answer.json()["counts"]["calls"]) == (200, 1)
    assert client.delete(f"/preferences/users/{quote(user, safe='')}").status_code == 200
    assert [one["user_id"] for one in client.get("/api/v1/calls").json()["items"]].count("ann") == 1


def test_a_person_is_erased_and_the_log_does_not_name_them(house: House) -> None:
    client = house.client(house.key())
    call_id = house.call(user="xenia", content="full", request_text="secret of xenia", response_text="yes")
    house.ingest()
    waiting = house.call(user="xenia", content="full", request_text="another secret of xenia")
    house.clock.advance(1)
    counts = client.delete("/api/v1/users/xenia").json()["counts"]
    assert (counts["calls"], counts["contents"]) == (1, 1)
    house.ingest()
    for one in (call_id, waiting):
        shown = client.get(f"/api/v1/calls/{one}").json()
        assert shown["user_id"] is None
        assert "secret of xenia" not in str(shown)
    activity = client.get("/api/v1/activity").text
    assert "user.erase" in activity and "xenia" not in activity


def test_every_change_stands_in_the_log_with_who_made_it(house: House) -> None:
    secret = house.key()
    client = house.client(secret)
    key_id = client.get("/api/v1/keys").json()["items"][0]["id"]
    client.post("/api/v1/quotas", json={"key_id": key_id, "requests_per_minute": 9})
    client.post("/tools/update_routing_heuristic", json={"pattern": "x", "preferredLayer": "deep"})
    client.post("/api/v1/cache/clear")
    acts = client.get("/api/v1/activity").json()["items"]
    assert [act["action"] for act in acts] == ["cache.clear", "rule.set", "quota.update"]
    assert {act["actor"] for act in acts} == {key_id}
    assert [act["action"] for act in client.get("/api/v1/activity?action=rule.set").json()["items"]] == ["rule.set"]


def test_a_quota_shows_what_was_leased_and_spent(house: House) -> None:
    client = house.client(house.key())
    key_id = client.post("/api/v1/keys", json={"budget_day_micros": 1_000}).json()["key"]["id"]
    day, month = client.get(f"/api/v1/quotas/{key_id}").json()["budgets"]
    assert (day["budget_micros"], day["spent_micros"], day["left_micros"]) == (1_000, 0, 1_000)
    assert month["budget_micros"] is None and month["left_micros"] is None


def test_a_defect_tells_nothing_of_its_inside(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("inside")

    monkeypatch.setattr(type(house.store.keys), "list", broken)
    answer = house.client(house.key()).get("/api/v1/keys")
    assert (answer.status_code, error_of(answer)["code"]) == (500, "defect")
    assert "inside" not in answer.text


@pytest.mark.parametrize(
    ("fields", "status", "field"),
    [
        ({"models": ["simulated-small", "simulated-small"]}, 400, "models"),
        ({"models": ["simulated-small", "nobody"]}, 404, "model"),
        ({"reviewer": "nobody"}, 404, "model"),
        ({"models": ["simulated-small", "simulated-large"], "reviewer": "simulated-large"}, 400, "reviewer"),
    ],
)
def test_a_cross_check_whose_models_cannot_be_is_refused_before_anything_is_asked(
    house: House, fields: dict[str, object], status: int, field: str
) -> None:
    answer = house.client(house.key()).post("/routing/crosscheck", json={"prompt": "Which?", **fields})
    assert answer.status_code == status, answer.text
    assert error_of(answer)["field"] == field


def test_a_key_confined_to_two_models_has_no_third_to_compare(house: House) -> None:
    client = house.client(house.key("default", "call", models=("simulated-small", "simulated-large")))
    answer = client.post("/routing/crosscheck", json={"prompt": "Which?"})
    assert (answer.status_code, error_of(answer)["field"]) == (400, "reviewer")


def test_no_more_than_a_few_cross_checks_run_at_once(house: House) -> None:
    client, room = house.client(house.key()), house.app.state.control.checking
    while room.acquire(blocking=False):
        pass
    assert error_of(client.post("/routing/crosscheck", json={"prompt": "Which?"}))["code"] == "overloaded"
    room.release()
    assert client.post("/routing/crosscheck", json={"prompt": "Which?"}).status_code == 200


def test_a_model_list_is_confined_to_what_the_key_may_call(house: House) -> None:
    client = house.client(house.key("default", "call", models=("simulated-s*",)))
    assert [one["name"] for one in client.get("/inference/models").json()["items"]] == ["simulated-small"]
    tiers = {one["tier"]: one["models"] for one in client.get("/routing/tiers").json()["items"]}
    assert tiers == {"fast": ["simulated-small"], "balanced": [], "deep": [], "code": []}
    rows = {row["task"]: row for row in client.get("/routing/matrix").json()["rows"]}
    assert rows["simple"]["low"]["models"] == ["simulated-small"]
    assert {name for row in rows.values() for cell in (row["low"], row["high"]) for name in cell["models"]} == {
        "simulated-small"
    }
