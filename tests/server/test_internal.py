"""What a gateway asks of the control process."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from meliora.gateway.state import LeaseGrant, LeaseWish, State
from meliora.gateway.sync import LeaseRequest
from meliora.server.feed import StateFeed
from meliora.testing.clock import FrozenClock
from tests.server.house import House, control_house


def test_the_state_holds_keys_and_rules_and_is_not_repeated(house: House) -> None:
    house.key()
    gateway = house.gateway()
    state = msgspec.json.decode(gateway.get("/internal/state").content, type=State)
    assert len(state.keys) == 1
    assert state.secret == house.store.secret
    assert gateway.get(f"/internal/state?have={state.version}&wait=0").status_code == 204


def test_a_change_reaches_a_gateway_that_asks_again(house: House) -> None:
    admin, gateway = house.client(house.key()), house.gateway()
    before = msgspec.json.decode(gateway.get("/internal/state").content, type=State)
    assert admin.post("/api/v1/rules", json={"pattern": "abc", "preferred_layer": "deep"}).status_code == 201
    after = msgspec.json.decode(gateway.get(f"/internal/state?have={before.version}").content, type=State)
    assert [rule.pattern for rule in after.rules] == ["abc"]
    assert after.version > before.version


async def test_a_gateway_that_waits_is_woken_by_a_change() -> None:
    states = [State(version=1, made_us=0, secret="")]
    feed = StateFeed(lambda _: states[-1], FrozenClock(), (), look_seconds=60)
    waiting = asyncio.create_task(feed.newer(1, 30))
    while not feed._waiting:
        await asyncio.sleep(0)
    await asyncio.sleep(0.01)
    states.append(State(version=2, made_us=0, secret=""))
    feed.touch()
    found = await asyncio.wait_for(waiting, 5)
    assert found is not None and found.version == 2


async def test_a_change_by_another_process_is_seen_at_the_next_look() -> None:
    states = [State(version=1, made_us=0, secret="")]
    feed = StateFeed(lambda _: states[-1], FrozenClock(), (), look_seconds=0.01)
    waiting = asyncio.create_task(feed.newer(1, 30))
    await asyncio.sleep(0)
    states.append(State(version=2, made_us=0, secret=""))
    feed._clock.advance(1)  # type: ignore[attr-defined]
    found = await asyncio.wait_for(waiting, 5)
    assert found is not None and found.version == 2


async def test_the_kill_switch_turned_by_another_process_is_seen_long_before_the_next_look() -> None:
    states = [State(version=1, made_us=0, secret="")]
    feed = StateFeed(lambda _: states[-1], FrozenClock(), (), 60, lambda: states[-1].kill_epoch)
    waiting = asyncio.create_task(feed.newer(1, 30))
    while not feed._waiting:
        await asyncio.sleep(0)
    states.append(State(version=2, made_us=0, secret="", halted=True, kill_epoch=1))
    found = await asyncio.wait_for(waiting, 5)
    assert found is not None and found.halted


def test_a_heartbeat_says_by_which_turn_of_the_kill_switch_a_gateway_serves(house: House) -> None:
    beat = {"id": "g1", "version": "0", "record_format": 1, "host": "h", "pid": 1, "kill_epoch": 3}
    assert house.gateway().post("/internal/heartbeat", json=beat).status_code == 200
    [seen] = house.store.gateways.list(house.clock.now_us())
    assert (seen.kill_epoch, seen.kill_us) == (3, house.clock.now_us())


async def test_a_wait_ends_with_nothing_when_nothing_changes() -> None:
    feed = StateFeed(lambda _: State(version=1, made_us=0, secret=""), FrozenClock(), (), look_seconds=0.01)
    assert await feed.newer(1, 0.03) is None


def test_a_slice_of_a_budget_is_leased(house: House) -> None:
    house.key("default", budget_day_micros=1_000_000)
    key_id = house.store.keys.list("default")[0].id
    wish = LeaseWish(key_id, "day:2025-01-01", spent_micros=0, want_micros=10)
    body = msgspec.json.encode(LeaseRequest("g1", (wish,)))
    grants = msgspec.json.decode(house.gateway().post("/internal/leases", content=body).content, type=list[LeaseGrant])
    assert len(grants) == 1
    assert grants[0].granted_micros > 0


@pytest.mark.parametrize("body", [b"{}", b"[", b'{"gateway": 1}'])
def test_a_message_of_another_shape_is_a_400(house: House, body: bytes) -> None:
    assert house.gateway().post("/internal/leases", content=body).status_code == 400
    assert house.gateway().post("/internal/heartbeat", content=body).status_code == 400


def test_a_heartbeat_is_shown_and_answered_with_the_caches_to_clear(house: House) -> None:
    admin, gateway = house.client(house.key()), house.gateway()
    beat = {
        "id": "g1",
        "version": "1",
        "record_format": 1,
        "host": "h",
        "pid": 7,
        "state_version": 3,
        "breakers": {"p/m": {"state": "open", "calls": 3}},
        "counters": {"cache": {"hits": 2, "bytes": 10}},
    }
    assert gateway.post("/internal/heartbeat", json=beat).json()["cache_epochs"] == {}
    assert admin.get("/api/v1/breakers").json()["items"][0]["state"] == "open"
    assert admin.get("/api/v1/cache/stats").json()["total"] == {"hits": 2, "bytes": 10}
    assert admin.get("/api/v1/gateways").json()["gateways"][0]["id"] == "g1"
    assert admin.post("/api/v1/cache/clear").json() == {"epoch": 1, "gateways": 1}
    assert gateway.post("/internal/heartbeat", json=beat).json()["cache_epochs"] == {"default": 1}


def test_a_state_is_not_read_from_the_database_for_each_of_many_gateways(tmp_path: Path) -> None:
    with control_house(tmp_path, look_seconds=0.5) as house:
        gateway = house.gateway()
        version = gateway.get("/internal/state").json()["version"]
        house.key()  # made past the app, which therefore does not know at once
        assert gateway.get(f"/internal/state?have={version}&wait=0").status_code == 204
        house.clock.advance(0.6)
        assert gateway.get(f"/internal/state?have={version}&wait=0").status_code == 200
