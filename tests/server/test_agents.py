"""Keys of agents: what they do to the loop is by an agent, and no agent gets a person's word by way of a key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from meliora.loop.change import Origin
from meliora.loop.states import State
from tests.server.house import House, error_of
from tests.server.test_changes import asked, audited, began
from tests.server.test_tools_by_the_loop import TYPED, looped

KEYS = "/api/v1/keys"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    yield from looped(tmp_path, "staging")


def test_what_an_agent_types_is_its_proposal_and_waits_for_a_person(house: House) -> None:
    agent, person = house.client(house.key(agent=True)), house.client(house.key())
    said = agent.post("/tools/update_routing_heuristic", json=TYPED).json()
    change = person.get(f"/api/v1/changes/{said['change']}").json()["change"]
    assert change["origin"]["kind"] == "agent" and change["origin"]["name"].startswith("key_")
    assert change["state"] not in ("kept", "delivering", "watching")
    assert house.store.rules.list("default", active_only=True) == ()


def test_agents_never_approve_whoever_proposed_it(house: House) -> None:
    change = began(house, State.PROVED, origin=Origin("person", "key_ann"))
    asked(house, change, by="key_ann")
    answer = house.client(house.key(agent=True)).post(f"/api/v1/changes/{change.id}/approve")
    assert answer.status_code == 403 and "only a person approves" in error_of(answer)["message"]
    (told,) = audited(house, "approval.refused")
    assert told["code"] == "forbidden"
    assert house.client(house.key()).post(f"/api/v1/changes/{change.id}/approve").status_code == 200


def test_an_agent_makes_things_safer_and_takes_nothing_back(house: House) -> None:
    agent = house.client(house.key(agent=True))
    change = began(house, State.PROVED)
    assert agent.post(f"/api/v1/changes/{change.id}/pause").json()["state"] == "paused"
    assert agent.post("/api/v1/optimizer/kill", json={"why": "odd"}).status_code == 200
    for path in ("resume", "start", "trigger", "quality-gates/errors?threshold=0.5"):
        assert agent.post(f"/api/v1/optimizer/{path}").status_code in (403, 409), path
    assert house.store.control.halted()
    assert agent.post(f"/api/v1/changes/{change.id}/resume").status_code == 403


def test_an_agent_gets_at_no_persons_key(house: House) -> None:
    issued = house.key(agent=True)
    agent, person = house.client(issued), house.client(house.key())
    made = agent.post(KEYS, json={"name": "mine", "scopes": ["admin"], "agent": False}).json()["key"]
    assert made["agent"] is True
    people = next(key for key in person.get(KEYS).json()["items"] if not key["agent"])
    for answer in (
        agent.post(f"{KEYS}/{people['id']}/rotate"),
        agent.patch(f"{KEYS}/{people['id']}", json={"name": "stolen"}),
        agent.delete(f"{KEYS}/{people['id']}"),
        agent.patch(f"{KEYS}/{made['id']}", json={"agent": False}),
    ):
        assert answer.status_code == 403 and "person" in error_of(answer)["message"]
    assert person.get(f"{KEYS}/{people['id']}").json() == people
    assert agent.patch(f"{KEYS}/{made['id']}", json={"name": "still mine"}).json()["agent"] is True
    assert person.patch(f"{KEYS}/{made['id']}", json={"agent": False}).json()["agent"] is False
