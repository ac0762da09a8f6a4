"""Changes over HTTP: shown with their evidence, and a person's word on them, taken once, in time, by who may."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from meliora.loop.approvals import ApprovalWish
from meliora.loop.change import Change
from meliora.loop.shelf import EdgeWish
from meliora.loop.states import State
from tests.server.house import House, error_of
from tests.server.test_optimizer import audited, began, kept
from tests.server.test_tools_by_the_loop import looped

URL = "/api/v1/changes"
HOUR_US = 3_600_000_000
ACTS = ("approve", "reject", "rollback", "pause", "resume")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    yield from looped(tmp_path, "staging")


def asked(house: House, change: Change, by: str = "errors", until_us: int | None = None) -> str:
    """Ask for an approval of a delivery, as the engine does."""
    until = until_us or house.clock.now_us() + HOUR_US
    wish = ApprovalWish(change=change.id, edge="deliver", asked_by=by, asked_why="staging", expires_us=until)
    return house.store.approvals.request(change.tenant, wish).id


def moved(house: House, change: Change, state: State, **wish: Any) -> Change:
    return house.store.changes.act(change.tenant, change.id, change.state, EdgeWish(target=state, actor="t", **wish))


def test_changes_are_listed_newest_first_by_state_kind_and_cycle(house: House) -> None:
    client = house.client(house.key())
    made = client.post("/api/v1/optimizer/trigger", json={"force": True, "target": "models"}).json()
    house.clock.advance(1)
    one = began(house, State.PROVED)
    began(house, tenant="other")
    (first,) = client.get(f"{URL}?cycle={made['cycle_id']}").json()["items"]
    assert first["kind"] == "routing_policy"
    assert [found["id"] for found in client.get(URL).json()["items"]] == [one.id, first["id"]]
    assert [found["id"] for found in client.get(f"{URL}?state=proved&state=trying").json()["items"]] == [one.id]
    assert [found["id"] for found in client.get(f"{URL}?kind=model_choice").json()["items"]] == [one.id]
    page = client.get(f"{URL}?limit=1").json()
    assert client.get(f"{URL}?limit=1&cursor={page['next']}").json()["items"] == [first]
    assert client.get(f"{URL}?state=flying").status_code == 400
    assert client.get(f"{URL}?cursor=torn").status_code == 400


def test_a_change_is_shown_with_each_edge_who_let_it_pass_and_what_was_measured(house: House) -> None:
    change = began(house, State.PROVED, summary="small for tiny")
    figure = {"name": "reward", "effect": 0.02, "low": 0.01, "high": 0.03}
    trial = {"verdict": {"primary": {"metric": {"name": "reward", "relative": True}}}, "figures": [figure]}
    moved(house, change, State.DELIVERING, evidence={"trial": trial}, policy="the-loop-works")
    found = house.client(house.key("default", "read")).get(f"{URL}/{change.id}").json()
    assert (found["change"]["state"], found["change"]["summary"]) == ("delivering", "small for tiny")
    assert [(edge["source"], edge["target"], edge["policy"]) for edge in found["edges"]] == [
        ("observed", "proved", None),
        ("proved", "delivering", "the-loop-works"),
    ]
    assert found["gains"] == [{"metric": "reward", "effect": 0.02, "low": 0.01, "high": 0.03, "relative": True}]


def test_an_approval_is_given_once_with_its_reason_and_the_change_goes_on_at_once(house: House) -> None:
    change = began(house, State.PROVED)
    house.store.changes.put_off(_fence(house, change), 900.0, reason="waits for an approval to deliver")
    asked(house, change)
    first, second = house.client(house.key()), house.client(house.key())
    (waiting,) = first.get(f"{URL}/approvals").json()["items"]
    assert (waiting["change"], waiting["edge"], waiting["state"]) == (change.id, "deliver", "asked")
    assert first.get("/api/v1/optimizer/status").json()["waiting_for_people"] == 1
    given = first.post(f"{URL}/{change.id}/approve", json={"why": "looks right"}).json()
    assert (given["state"], given["decided_why"]) == ("approved", "looks right")
    assert house.store.changes.get("default", change.id).due_us == house.clock.now_us()
    assert first.get(f"{URL}/approvals").json()["items"] == []
    again = second.post(f"{URL}/{change.id}/approve")
    assert again.status_code == 409 and f"{given['decided_by']} has approved" in error_of(again)["message"]
    assert [one["code"] for one in audited(house, "approval.refused")] == ["conflict"]
    (told,) = audited(house, "approval.approved")
    assert "looks right" not in str(told) and told["decision"] == "policy"


def _fence(house: House, change: Change) -> Any:
    from meliora.loop.shelf import Due
    from meliora.loop.work import Fence

    claimed = house.store.changes.claim(Due(change.tenant, change.id, change.state), "worker", 60_000_000)
    assert claimed is not None
    return Fence(change.tenant, change.id, claimed.attempt)


def test_who_proposed_it_does_not_approve_it_and_somebody_else_does(house: House) -> None:
    secret, other = house.key(), house.client(house.key())
    proposer = house.store.keys.open(secret, house.clock.now_us())
    assert proposer is not None
    change = began(house, State.PROVED)
    asked(house, change, by=proposer.id)
    refused = house.client(secret).post(f"{URL}/{change.id}/approve")
    assert refused.status_code == 403 and "who proposes does not approve" in error_of(refused)["message"]
    assert [one["code"] for one in audited(house, "approval.refused")] == ["forbidden"]
    assert other.post(f"{URL}/{change.id}/approve").json()["state"] == "approved"


def test_an_expired_request_is_decided_by_nobody(house: House) -> None:
    change = began(house, State.PROVED)
    asked(house, change)
    house.clock.advance(3601)
    client = house.client(house.key())
    refused = client.post(f"{URL}/{change.id}/approve")
    assert refused.status_code == 409 and "has expired" in error_of(refused)["message"]
    assert client.get(f"{URL}/approvals").json()["items"] == []
    assert [one["code"] for one in audited(house, "approval.refused")] == ["conflict"]


def test_what_waits_for_nobody_cannot_be_approved(house: House) -> None:
    client = house.client(house.key())
    change = began(house, State.PROVED)
    answer = client.post(f"{URL}/{change.id}/approve")
    assert answer.status_code == 404 and "waits for no approval" in error_of(answer)["message"]
    assert client.post(f"{URL}/chg_none/approve").status_code == 404


def test_what_has_ended_waits_for_nobody(house: House) -> None:
    change = began(house, State.PROVED)
    asked(house, change)
    client = house.client(house.key())
    client.post(f"{URL}/{change.id}/reject", json={"why": "no"})
    assert client.get(f"{URL}/approvals").json()["items"] == []
    answer = client.post(f"{URL}/{change.id}/approve")
    assert answer.status_code == 409 and "is rejected" in error_of(answer)["message"]
    assert [one["code"] for one in audited(house, "approve.refused")] == ["conflict"]


def test_what_an_earlier_edge_was_approved_for_does_not_let_a_later_one_pass(house: House) -> None:
    change = began(house, State.PROVED)
    asked(house, change)
    client = house.client(house.key())
    client.post(f"{URL}/{change.id}/approve")
    wish = ApprovalWish(
        change=change.id, edge="try", asked_by="errors", asked_why="", expires_us=house.clock.now_us() + HOUR_US
    )
    house.clock.advance(1)
    house.store.approvals.request("default", wish)
    assert client.post(f"{URL}/{change.id}/approve").json()["edge"] == "try"


def test_a_change_is_paused_resumed_and_rejected_each_by_an_edge_with_the_reason(house: House) -> None:
    client = house.client(house.key())
    change = began(house, State.PROVED)
    paused = client.post(f"{URL}/{change.id}/pause", json={"why": "let me look"}).json()
    assert (paused["state"], paused["paused_from"], paused["reason"]) == ("paused", "proved", "let me look")
    twice = client.post(f"{URL}/{change.id}/pause")
    assert twice.status_code == 409 and "paused already" in error_of(twice)["message"]
    client.post(f"{URL}/{change.id}/resume", json={"why": "go on"})
    assert house.context.loop is not None
    assert house.context.loop.hurry("default", change.id).state is not State.KEPT
    ended = client.post(f"{URL}/{change.id}/reject", json={"why": "no"}).json()
    assert ended["state"] == "rejected"
    gone = client.post(f"{URL}/{change.id}/resume")
    assert gone.status_code == 409 and "not paused" in error_of(gone)["message"]
    assert [one["code"] for one in audited(house, "pause.refused") + audited(house, "resume.refused")] == [
        "conflict"
    ] * 2


def test_what_was_never_delivered_is_not_rolled_back_and_the_audit_hears_of_it(house: House) -> None:
    client = house.client(house.key())
    change = began(house, State.PROVED)
    answer = client.post(f"{URL}/{change.id}/rollback", json={"why": "no good"})
    assert answer.status_code == 409 and "never delivered" in error_of(answer)["message"]
    assert "meliora changes reject" in error_of(answer)["hint"]
    (entry,) = [one for one in house.store.audit.of("default", change.id) if one.action == "roll_back.refused"]
    assert entry.body == {"code": "conflict"} and entry.actor.startswith("key_")


def test_a_kept_change_is_rolled_back_unless_another_came_after_it(house: House) -> None:
    client = house.client(house.key())
    first = kept(house)
    house.clock.advance(1)
    second = kept(house)
    held = client.post(f"{URL}/{first.id}/rollback")
    assert held.status_code == 409 and second.id in error_of(held)["message"]
    assert client.post(f"{URL}/{second.id}/rollback").json()["state"] == "rolling_back"


def test_of_two_people_at_once_one_is_heard_and_the_other_is_told(house: House) -> None:
    change = began(house, State.PROVED)
    asked(house, change)
    clients = [house.client(house.key()) for _ in range(4)]
    for act, once in (("approve", 1), ("pause", 1)):
        barrier, codes = threading.Barrier(len(clients)), []

        def decide(client: Any, act: str = act, barrier: Any = barrier, codes: Any = codes) -> None:
            barrier.wait(10)
            codes.append(client.post(f"{URL}/{change.id}/{act}").status_code)

        threads = [threading.Thread(target=decide, args=(client,)) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert sorted(codes) == [200] * once + [409] * (len(clients) - once)
    assert len(audited(house, "approval.approved")) == 1 and len(audited(house, "change.paused")) == 1
    assert len(audited(house, "approval.refused")) == 3 and len(audited(house, "pause.refused")) == 3
    assert house.store.audit.verify().whole


@pytest.mark.parametrize("act", ACTS)
def test_acting_takes_the_scope_admin_and_the_tenants_own_key(house: House, act: str) -> None:
    change = began(house, State.PROVED)
    asked(house, change)
    before = house.store.changes.edges("default", change.id)
    reader = house.client(house.key("default", "read", "feedback", "call"))
    answer = reader.post(f"{URL}/{change.id}/{act}")
    assert answer.status_code == 403 and "'admin'" in error_of(answer)["message"]
    assert house.client(house.key("other")).post(f"{URL}/{change.id}/{act}").status_code == 404
    assert house.client().post(f"{URL}/{change.id}/{act}").status_code in (401, 403)
    assert house.store.changes.edges("default", change.id) == before
    assert house.store.approvals.list("default", "asked") != ()


@pytest.mark.parametrize("body", [{"why": 1}, {"reason": "x"}, {"why": "x" * 501}, [], {"why": "\0"}])
def test_a_word_that_cannot_be_kept_is_refused(house: House, body: Any) -> None:
    change = began(house, State.PROVED)
    assert house.client(house.key()).post(f"{URL}/{change.id}/pause", json=body).status_code == 400
    assert house.store.changes.get("default", change.id).state is State.PROVED


def test_another_tenant_sees_no_change_and_no_request(house: House) -> None:
    change = began(house, State.PROVED)
    asked(house, change)
    other = house.client(house.key("other"))
    assert other.get(f"{URL}/{change.id}").status_code == 404
    assert other.get(URL).json()["items"] == [] and other.get(f"{URL}/approvals").json()["items"] == []
    assert other.get(f"{URL}?cycle={change.cycle}").json()["items"] == []


def test_the_kill_switch_leaves_people_what_restores(house: House) -> None:
    client = house.client(house.key())
    change = kept(house)
    other = began(house, State.PROVED, target="b")
    client.post("/api/v1/optimizer/kill", json={"why": "odd"})
    assert client.post(f"{URL}/{change.id}/rollback").json()["state"] == "rolling_back"
    assert client.post(f"{URL}/{other.id}/pause").json()["state"] == "paused"
