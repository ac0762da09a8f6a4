"""A heuristic that is typed goes by way of the loop: in service at once where the policies let it, else the answer says where it stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from meliora.runtime.loop import loop_of
from meliora.server import build_app
from meliora.settings import Settings
from meliora.settings.loop import Loop
from tests.server.house import House, control_house, error_of

URL = "/tools/update_routing_heuristic"
TYPED = {"pattern": "refund", "preferredLayer": "deep", "reasoning": "they are hard", "successRate": 90.0}


def looped(folder: Path, environment: str) -> Iterator[House]:
    settings = Settings(loop=Loop(environment=environment))  # type: ignore[arg-type]
    with control_house(folder, settings) as house:
        loop = loop_of(house.context.settings, house.store, house.clock, "test")
        house.context = replace(house.context, loop=loop)
        house.app = build_app(house.context)
        yield house


@pytest.fixture(params=["staging", "production"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    yield from looped(tmp_path, request.param)


def test_what_a_person_types_is_in_service_at_once_and_is_a_change(house: House) -> None:
    client = house.client(house.key())
    answer = client.post(URL, json=TYPED).json()
    assert answer["success"] is True and answer["state"] == "kept"
    assert answer["result"]["active"] is True and answer["result"]["successRate"] == 90.0
    (rule,) = house.store.rules.list("default", active_only=True)
    assert (rule.id, rule.preferred_layer) == (answer["result"]["id"], "deep")
    change = client.get(f"/api/v1/changes/{answer['change']}").json()["change"]
    assert change["origin"]["kind"] == "person" and change["candidate"]


def test_a_second_word_on_the_same_pattern_is_taken_at_once_too(house: House) -> None:
    client = house.client(house.key())
    client.post(URL, json=TYPED)
    answer = client.post(URL, json={"pattern": "refund", "successRate": 95.0}).json()
    assert answer["result"]["preferredLayer"] == "deep" and answer["result"]["successRate"] == 95.0
    again = client.post(URL, json={"pattern": "refund", "successRate": 95.0}).json()
    assert "change" not in again, "nothing was to be changed"


def test_a_rollback_restores_what_stood_there(house: House) -> None:
    client = house.client(house.key())
    client.post(URL, json=TYPED)
    changed = client.post(URL, json={"pattern": "refund", "preferredLayer": "fast"}).json()
    client.post(f"/api/v1/changes/{changed['change']}/rollback", json={"why": "no good"})
    loop = house.context.loop
    assert loop is not None
    assert loop.hurry("default", changed["change"]).state == "rolled_back"
    (rule,) = house.store.rules.list("default")
    assert rule.preferred_layer == "deep"


def test_what_is_wrong_is_refused_before_there_is_a_change(house: House) -> None:
    client = house.client(house.key())
    for wrong in ({"pattern": "(?=x)", "preferredLayer": "deep"}, {"pattern": "x"}):
        assert client.post(URL, json=wrong).status_code == 400
    assert client.get("/api/v1/changes").json()["items"] == []


def test_while_another_change_is_tried_the_answer_does_not_claim_to_be_in_service(house: House) -> None:
    with house.store.engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO change_holds VALUES ('default', 'gateway', 'chg_other')")
    answer = house.client(house.key()).post(URL, json=TYPED).json()
    assert (answer["state"], answer["result"]["active"]) == ("proved", False)
    assert "chg_other" in answer["reason"]
    assert house.store.rules.list("default") == ()


def test_in_dev_nothing_is_delivered_and_the_tool_says_so(tmp_path: Path) -> None:
    for house in looped(tmp_path, "dev"):
        refused = house.client(house.key()).post(URL, json=TYPED)
        assert refused.status_code == 409 and "dev" in error_of(refused)["message"]
        assert house.store.rules.list("default") == ()


def test_under_the_kill_switch_the_rule_waits(house: House) -> None:
    loop = house.context.loop
    assert loop is not None
    from meliora.loop.policy.request import Actor

    loop.desk.kill(Actor(kind="person", key="key_1", role="admin", scopes=("admin",)), "look")
    answer = house.client(house.key()).post(URL, json=TYPED)
    assert house.store.rules.list("default") == ()
    assert answer.status_code == 409 or answer.json()["result"]["active"] is False
