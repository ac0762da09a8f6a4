"""The loop under its documented paths: what each answers, who may, and what it says where it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from meliora.loop.change import Change, Origin
from meliora.loop.gates.board import GateReading
from meliora.loop.gates.standing import Standing
from meliora.loop.shelf import EdgeWish
from meliora.loop.states import State
from meliora.runtime.loop import loop_of
from meliora.server import build_app
from tests.server.house import House, error_of
from tests.server.test_tools_by_the_loop import looped

URL = "/api/v1/optimizer"
ALL_POSTS = ("trigger", "quality-gates/errors?threshold=0.02", "start", "stop", "kill", "resume")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    yield from looped(tmp_path, "production")


def began(house: House, state: State = State.OBSERVED, **fields: Any) -> Change:
    """Put a change into the store, as it would stand after the edges before."""
    said: dict[str, Any] = {
        "kind": "model_choice",
        "target": "small",
        "surface": "gateway",
        "environment": "production",
    }
    tenant = fields.pop("tenant", "default")
    return house.store.changes.add(tenant, **{**said, "origin": Origin("gate", "errors"), "state": state, **fields})


def kept(house: House, baseline: str = "v1", **fields: Any) -> Change:
    """Put a change into the store that was delivered and kept."""
    change = began(house, State.PROVED, baseline=baseline, candidate="v2", **fields)
    house.clock.advance(1)
    for state in (State.DELIVERING, State.WATCHING, State.KEPT):
        wish = EdgeWish(target=state, actor="test", wait=None)
        change = house.store.changes.act(change.tenant, change.id, change.state, wish)
    return change


def failing(house: House, gate: str, value: float, tenant: str = "default") -> None:
    """Let a gate of the deployment fail, as ticks would."""
    assert house.context.loop is not None
    row = next(row for row in house.context.loop.board.status(tenant) if row.name == gate)
    now = house.clock.now_us()
    seen = GateReading(gate=gate, at_us=now, state="fail", value=value, n=500, bound=row.definition.threshold)
    after = Standing(state="fail", evaluated_us=now, failing=True, since_us=now)
    assert house.store.gates.record(tenant, row.definition, row.standing, after, seen)


def audited(house: House, action: str) -> list[dict[str, Any]]:
    return [entry.body for entry in house.store.audit.export(None) if entry.action == action]


def test_a_deployment_that_did_nothing_yet_says_so_and_claims_nothing(house: House) -> None:
    found = house.client(house.key()).get(f"{URL}/status").json()
    documented = ("is_running", "total_optimizations_24h", "actions_by_type", "last_action", "quality_gates_status")
    assert [found[name] for name in documented] == [True, 0, {}, None, "no_data"]
    assert (found["next_cycle_in_minutes"], found["open_cycles"], found["backlog_seconds"]) == (0.0, [], None)
    assert (found["environment"], found["halted"], found["waiting_for_people"]) == ("production", False, 0)


def test_the_status_counts_the_day_by_kind_and_names_the_last_action(house: House) -> None:
    began(house, State.REJECTED)
    house.clock.advance(25 * 3600)
    began(house, kind="routing_rule", surface="a")
    house.clock.advance(1)
    last = began(house)
    began(house, tenant="other")
    failing(house, "ingest", 75.0)
    found = house.client(house.key()).get(f"{URL}/status").json()
    assert (found["total_optimizations_24h"], found["actions_by_type"]) == (2, {"model_choice": 1, "routing_rule": 1})
    assert found["last_action"]["id"] == last.id and found["last_action"]["status"] == "observed"
    assert (found["quality_gates_status"], found["backlog_seconds"]) == ("failing", 75.0)


def test_uptime_is_that_of_the_process_that_answers(house: House) -> None:
    began_at = house.clock.monotonic()
    loop = loop_of(
        house.context.settings, house.store, house.clock, "t", uptime=lambda: house.clock.monotonic() - began_at
    )
    house.context = replace(house.context, loop=loop)
    house.app = build_app(house.context)
    house.clock.advance(90)
    assert house.client(house.key()).get(f"{URL}/status").json()["uptime_seconds"] == 90.0


def test_a_trigger_without_a_breach_does_nothing_and_by_force_begins_one_cycle(house: House) -> None:
    admin = house.client(house.key())
    nothing = {"ndcg_delta": None, "latency_delta": None}
    assert admin.post(f"{URL}/trigger").json() == {
        "status": "nothing_to_do",
        "cycle_id": None,
        "actions_taken": [],
        "improvements": nothing,
    }
    made = admin.post(f"{URL}/trigger", json={"force": True, "target": "models"}).json()
    assert (made["status"], made["actions_taken"], made["improvements"]) == ("started", ["routing_policy"], nothing)
    shown = admin.get(f"{URL}/cycles/{made['cycle_id']}").json()
    kinds = ["routing_policy", "routing_rule", "query_repair", "reranker", "fusion_weights"]
    assert (shown["cycle"]["kinds"], shown["improvements"]) == (kinds, nothing)
    assert [one["type"] for one in shown["actions"]] == ["routing_policy"]
    again = admin.post(f"{URL}/trigger", json={"force": True})
    assert again.status_code == 409 and "is open already" in error_of(again)["message"]
    assert audited(house, "trigger.refused")[0]["code"] == "conflict"
    assert len(admin.get(f"{URL}/status").json()["open_cycles"]) == 1


def test_a_trigger_answers_the_gate_that_fails_with_what_it_saw(house: House) -> None:
    failing(house, "errors", 0.2)
    admin = house.client(house.key())
    made = admin.post(f"{URL}/trigger", json={}).json()
    cycle = admin.get(f"{URL}/cycles/{made['cycle_id']}").json()["cycle"]
    assert (cycle["subject"], cycle["breach"]["reading"]["value"]) == ("errors", 0.2)
    assert cycle["origin"]["kind"] == "person"


def test_what_a_cycle_brought_is_shown_as_it_was_measured(house: House) -> None:
    admin = house.client(house.key())
    made = admin.post(f"{URL}/trigger", json={"force": True, "target": "infrastructure"}).json()
    change = house.store.changes.of_cycle("default", made["cycle_id"])[0]
    metric = {"name": "latency_mean", "relative": False}
    trial = {
        "verdict": {"primary": {"metric": metric}, "guardrails": []},
        "figures": [{"name": "latency_mean", "effect": -50.0, "low": -60.0, "high": -40.0}],
    }
    edges = (State.DIAGNOSED, State.PROPOSED, State.PROVING, State.PROVED, State.DELIVERING, State.WATCHING, State.KEPT)
    for state in edges:
        evidence = {"trial": trial} if state is State.DELIVERING else {}
        wish = EdgeWish(target=state, actor="t", evidence=evidence, wait=None)
        change = house.store.changes.act("default", change.id, change.state, wish)
    shown = admin.get(f"{URL}/cycles/{made['cycle_id']}").json()
    assert shown["improvements"] == {"ndcg_delta": None, "latency_delta": "-50ms"}


@pytest.mark.parametrize(
    ("body", "says"),
    [({"target": "weather"}, "target"), ({"force": "perhaps"}, "force"), ({"forced": True}, "forced")],
)
def test_a_trigger_that_makes_no_sense_is_told_what_is_wrong(house: House, body: dict[str, Any], says: str) -> None:
    answer = house.client(house.key()).post(f"{URL}/trigger", json=body)
    assert answer.status_code == 422 or answer.status_code == 400
    assert says in str(error_of(answer))
    assert house.store.cycles.list("default").items == ()


def test_metrics_are_the_last_that_gates_measured_and_null_without_data(house: House) -> None:
    failing(house, "ndcg", 0.7)
    failing(house, "errors", 0.2, "other")
    found = house.client(house.key()).get(f"{URL}/metrics").json()
    assert (found["metrics"]["ndcg@10"], found["metrics"]["error_rate"]) == (0.7, None)
    assert (found["gates"]["ndcg"], found["gates"]["ndcg_drop"], found["gates"]["errors"]) == (
        "fail",
        "no_data",
        "no_data",
    )


def test_gates_are_listed_with_state_bound_and_value(house: House) -> None:
    failing(house, "errors", 0.2)
    found = house.client(house.key()).get(f"{URL}/quality-gates").json()
    rows = {row["name"]: row for row in found["items"]}
    assert found["status"] == "failing" and rows["errors"]["last"]["value"] == 0.2
    assert (rows["latency"]["definition"]["direction"], rows["latency"]["definition"]["threshold"]) == ("max", 500.0)


@pytest.mark.parametrize("metric", ["ndcg_at_10", "ndcg@10", "ndcg", "NDCG10"])
def test_a_bound_is_set_by_the_metric_its_alias_or_the_gates_name(house: House, metric: str) -> None:
    admin = house.client(house.key())
    row = admin.post(f"{URL}/quality-gates/{metric}?threshold=0.70").json()
    assert (row["name"], row["definition"]["threshold"], row["definition"]["direction"]) == ("ndcg", 0.7, "min")
    listed = admin.get(f"{URL}/quality-gates").json()["items"]
    assert [one["threshold_by"] for one in listed if one["threshold"] == 0.7] == [row["threshold_by"]]
    other = house.client(house.key("other")).get(f"{URL}/quality-gates").json()["items"]
    assert [one["definition"]["threshold"] for one in other if one["name"] == "ndcg"] == [0.75]


@pytest.mark.parametrize(
    ("asked", "status", "says"),
    [
        ("weather?threshold=1", 404, "no gate 'weather'"),
        ("ndgc?threshold=1", 404, "Did you mean ndcg"),
        ("errors?threshold=nan", 400, "Write a finite number"),
        ("errors?threshold=inf", 400, "Write a finite number"),
        ("errors?threshold=7", 400, "cannot pass"),
        ("errors?threshold=much", 400, "threshold"),
        ("errors", 400, "threshold"),
    ],
)
def test_a_bound_that_cannot_be_judged_by_is_refused(house: House, asked: str, status: int, says: str) -> None:
    admin = house.client(house.key())
    before = admin.get(f"{URL}/quality-gates").json()
    answer = admin.post(f"{URL}/quality-gates/{asked}")
    assert answer.status_code == status and says in str(error_of(answer))
    assert admin.get(f"{URL}/quality-gates").json() == before
    refused = audited(house, "set_gate.refused")
    assert [one["code"] for one in refused] == (["invalid_request"] if asked[-1] in "nf7" else [])


def test_started_twice_or_stopped_and_started_it_is_one_loop(house: House) -> None:
    admin = house.client(house.key())
    said = [admin.post(f"{URL}/{act}").json() for act in ("start", "stop", "stop", "start", "start")]
    assert [(one["is_running"], one["changed"]) for one in said] == [
        (True, False),
        (False, True),
        (False, False),
        (True, True),
        (True, False),
    ]
    failing(house, "errors", 0.2)
    loops = [loop_of(house.context.settings, house.store, house.clock, f"w{n}") for n in (1, 2)]
    opened = [cycle for loop in loops for cycle in loop.pulse.tick()]
    assert len(opened) == 1 and len(house.store.changes.of_cycle("default", opened[0].id)) == 1


def test_what_is_stopped_begins_nothing_and_says_when_nothing_comes(house: House) -> None:
    admin = house.client(house.key())
    admin.post(f"{URL}/stop")
    failing(house, "errors", 0.2)
    found = admin.get(f"{URL}/status").json()
    assert (found["is_running"], found["next_cycle_in_minutes"]) == (False, None)
    answer = admin.post(f"{URL}/trigger", json={"force": True})
    assert answer.status_code == 409 and error_of(answer)["message"] == "No cycle is opened now: the loop is stopped."
    assert loop_of(house.context.settings, house.store, house.clock, "w").pulse.tick() == ()


def test_the_kill_switch_is_told_to_all_and_only_then_taken_back(house: House) -> None:
    admin = house.client(house.key())
    assert admin.post(f"{URL}/kill", json={"why": "odd answers"}).json() == {"halted": True, "epoch": 1}
    assert admin.post(f"{URL}/kill").json() == {"halted": True, "epoch": 1}
    assert admin.get(f"{URL}/status").json()["is_running"] is False
    refused = admin.post(f"{URL}/start")
    assert refused.status_code == 409 and "kill switch is on" in error_of(refused)["message"]
    assert admin.get(f"{URL}/kill").json()["epoch"] == 1
    assert admin.post(f"{URL}/resume").json() == {"halted": False, "epoch": 2}
    assert admin.get(f"{URL}/status").json()["is_running"] is True


def test_history_is_whole_after_a_restart_page_by_page(house: House) -> None:
    made = []
    for number in range(5):
        made.append(began(house, surface=f"s{number}").id)
        house.clock.advance(1)
    began(house, tenant="other")
    house.app = build_app(replace(house.context, loop=loop_of(house.context.settings, house.store, house.clock, "new")))
    admin, seen, cursor = house.client(house.key()), [], ""
    while True:
        page = admin.get(f"{URL}/history?limit=2{cursor}").json()
        seen += [one["id"] for one in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert seen == made[::-1]
    for limit in ("0", "-1", "nan", "100000"):
        assert admin.get(f"{URL}/history?limit={limit}").status_code == 400


def test_a_rollback_takes_back_the_last_delivered_or_what_replaced_a_version(house: House) -> None:
    admin = house.client(house.key())
    first = kept(house, "v1", target="a", surface="a")
    house.clock.advance(1)
    last = kept(house, "w1", target="b", surface="b")
    wish = {"environment": "production", "to_version": "v1", "why": "no good"}
    assert admin.post(f"{URL}/rollback", json=wish).json()["id"] == first.id
    back = admin.post(f"{URL}/rollback", json={"environment": "production"}).json()
    assert (back["id"], back["state"]) == (last.id, "rolling_back")
    (told,) = [entry for entry in house.store.audit.of("default", last.id) if entry.action == "change.rolling_back"]
    assert told.actor.startswith("key_")


@pytest.mark.parametrize(
    ("wish", "status", "says"),
    [
        ({"environment": "staging"}, 400, "is production, not staging"),
        ({"environment": "production", "to_version": "v9"}, 404, "No delivered change replaced 'v9'"),
        ({"environment": "production"}, 404, "No change was delivered"),
        ({"environment": "moon"}, 400, "environment"),
        ({}, 400, "environment"),
    ],
)
def test_a_rollback_of_what_is_not_there_is_refused(house: House, wish: dict[str, Any], status: int, says: str) -> None:
    began(house, State.PROVED)
    kept(house, tenant="other")
    answer = house.client(house.key()).post(f"{URL}/rollback", json=wish)
    assert answer.status_code == status and says in str(error_of(answer))


def test_reading_takes_the_scope_read_and_acting_the_scope_admin(house: House) -> None:
    reader, caller = house.client(house.key("default", "read")), house.client(house.key("default", "call", "feedback"))
    for path in ("status", "metrics", "history", "quality-gates", "kill"):
        assert reader.get(f"{URL}/{path}").status_code == 200
        assert caller.get(f"{URL}/{path}").status_code == 403
        assert house.client("mel_" + "0" * 48).get(f"{URL}/{path}").status_code == 401
    for path in ALL_POSTS:
        answer = reader.post(f"{URL}/{path}")
        assert answer.status_code == 403 and "'admin'" in error_of(answer)["message"]
    assert reader.post(f"{URL}/rollback", json={"environment": "production"}).status_code == 403
    assert house.store.control.running() and not house.store.control.halted()


def test_another_tenant_sees_nothing_and_reaches_no_cycle(house: House) -> None:
    made = house.client(house.key()).post(f"{URL}/trigger", json={"force": True}).json()
    failing(house, "errors", 0.2)
    other = house.client(house.key("other"))
    assert other.get(f"{URL}/cycles/{made['cycle_id']}").status_code == 404
    assert other.get(f"{URL}/history").json() == {"items": [], "next": None}
    found = other.get(f"{URL}/status").json()
    assert (found["open_cycles"], found["in_progress"], found["total_optimizations_24h"]) == ([], [], 0)
    assert (found["quality_gates_status"], found["last_action"]) == ("no_data", None)


def test_one_tenants_administrator_does_not_stop_the_loop_of_all(house: House) -> None:
    other = house.client(house.key("other"))
    for act in ("start", "stop", "kill", "resume"):
        answer = other.post(f"{URL}/{act}")
        assert answer.status_code == 403 and "whole deployment's" in error_of(answer)["message"]
    assert other.get(f"{URL}/kill").status_code == 403
    assert house.store.control.running() and not house.store.control.halted()
    assert [entry.tenant for entry in house.store.audit.list("other").items] == ["other"] * 5


def test_a_process_without_a_loop_says_so(house: House) -> None:
    house.app = build_app(replace(house.context, loop=None))
    answer = house.client(house.key()).get(f"{URL}/status")
    assert answer.status_code == 404 and "no loop" in error_of(answer)["message"]
