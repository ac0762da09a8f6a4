"""Settings that are read again hold at once, as the documentation says: all but those of [server] and [store]."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO

import msgspec
import pytest

from meliora.gateway.app import Gateway
from meliora.gateway.http.server import ServerProtocol
from meliora.runtime.gateway import build
from meliora.runtime.gateway_parts import Parts
from meliora.settings.load import load
from meliora.testing.gateway import key, no_list
from tests.gateway.asking import chat, post
from tests.gateway.raw_upstream import RawUpstream, whole

BEFORE = """
[server]
state_dir = "{state}"
[providers.p]
base_url = "{url}"
models = ["m"]
timeouts = {{ connect = 2, first_byte = 5, stall = 5, total = 30 }}
"""
AFTER = """
[gateway]
keepalive = 7
idempotency_ttl = 11
idempotency_wait = 19
budget_slice = 0.25
budget_without_store = "deny"
retry = { attempts = 1, budget_ratio = 0.5 }
breaker = { window = 60, min_calls = 3 }
cache = { enabled = true, ttl = 13 }
limits = { concurrent_calls = 17, body_bytes = 100000, header_bytes = 20000, response_bytes = 19000000, client_stall = 23 }
[recording]
segment_bytes = 70000
"""


@pytest.fixture(autouse=True)
def _head_limit() -> Iterator[None]:
    before = ServerProtocol.head_limit
    yield
    ServerProtocol.head_limit = before


async def test_what_outlives_a_snapshot_is_told_of_the_new_settings(tmp_path: Path) -> None:
    """Limits, retries, breakers, budgets, caches and the spool."""
    config = tmp_path / "meliora.toml"
    config.write_text(BEFORE.format(state=tmp_path / "state", url="http://127.0.0.1:9/v1"))
    gateway = build(load(str(config)), ask=no_list)
    assert isinstance(gateway.lifespan, Parts)
    [breaker] = gateway.snapshot.catalog.breakers.values()
    config.write_text(config.read_text() + AFTER)
    await gateway.lifespan.reload(config)
    house = gateway.house
    assert (house.watch.keepalive, house.watch.client_stall) == (7, 23)
    assert house.admission.limiter.concurrent == 17
    assert house.means.budget.limit(0.0) == 0.5 * 0 + 10 * gateway.snapshot.settings.gateway.retry.budget_floor
    assert house.means.budget.settings.budget_ratio == 0.5
    assert (house.replies._cache.settings.ttl, house.replies._idempotency.ttl) == (13, 11)
    assert house.replies._idempotency.wait == 19
    assert (gateway.lifespan._ledger._share, gateway.lifespan._ledger._without_store) == (0.25, "deny")
    assert gateway.control.body_limit == 100_000
    assert gateway.lifespan._spool.segment_bytes == 70_000
    assert ServerProtocol.head_limit == 20_000
    assert gateway.snapshot.catalog.breakers["p/m"] is breaker
    for _ in range(3):
        breaker.failure(0.0)
    assert breaker.state(0.0) == "open"
    gateway.lifespan._spool.close()


async def test_a_state_that_comes_while_the_settings_are_read_is_not_lost(tmp_path: Path) -> None:
    """Reading them may take seconds, for prices: a kill switch that is turned meanwhile stays turned, a revoked key revoked."""
    gateway, text = built(tmp_path)
    state = gateway.snapshot.state
    newer = msgspec.structs.replace(state, version=state.version + 1, halted=True, kill_epoch=1, keys=(key("new"),))
    slow, reload = await begun(gateway, tmp_path)
    with slow:
        parts_of(gateway)._take_state(newer)
        assert gateway.snapshot.safety.halted
        slow.write(text + AFTER)
    await reload
    assert gateway.snapshot.settings.gateway.keepalive == 7
    assert gateway.snapshot.state == newer
    assert gateway.snapshot.safety.halted
    parts_of(gateway)._spool.close()


async def test_of_two_reloads_the_later_one_holds_though_the_first_took_longer(tmp_path: Path) -> None:
    gateway, text = built(tmp_path)
    (tmp_path / "meliora.toml").write_text(text + AFTER)
    slow, first = await begun(gateway, tmp_path)
    with slow:
        second = asyncio.create_task(parts_of(gateway).reload(tmp_path / "meliora.toml"))
        await asyncio.wait([second], timeout=0.5)  # it may not overtake, however much time it has
        slow.write(text + "[gateway]\nkeepalive = 5\n")
    await asyncio.gather(first, second)
    assert gateway.snapshot.settings.gateway.keepalive == gateway.house.watch.keepalive == 7
    parts_of(gateway)._spool.close()


def built(tmp_path: Path) -> tuple[Gateway, str]:
    """Give a gateway, and its settings as they are written."""
    text = BEFORE.format(state=tmp_path / "state", url="http://127.0.0.1:9/v1")
    (tmp_path / "meliora.toml").write_text(text)
    return build(load(str(tmp_path / "meliora.toml")), ask=no_list), text


def parts_of(gateway: Gateway) -> Parts:
    assert isinstance(gateway.lifespan, Parts)
    return gateway.lifespan


async def begun(gateway: Gateway, tmp_path: Path) -> tuple[IO[str], asyncio.Task[None]]:
    """Begin a reload that reads until what this gives is written to and closed."""
    pipe = tmp_path / "slow.toml"
    os.mkfifo(pipe)
    reload = asyncio.create_task(parts_of(gateway).reload(pipe))
    return await asyncio.to_thread(pipe.open, "w"), reload


def test_a_call_is_tried_as_often_as_the_settings_say_that_it_began_with(tmp_path: Path) -> None:
    """Also after a reload: the number stands in the snapshot."""
    from meliora.testing.gateway import RunningGateway

    with RawUpstream(whole({"error": {"message": "x"}}, "500 X")) as upstream:
        config = tmp_path / "meliora.toml"
        config.write_text(BEFORE.format(state=tmp_path / "state", url=upstream.base_url_openai))
        before = load(str(config))
        with RunningGateway(before) as running:
            gateway: Gateway = running.gateway
            config.write_text(config.read_text() + AFTER)
            after = load(str(config))
            gateway.snapshot = replace(gateway.snapshot, settings=after)
            assert post(running, "/v1/chat/completions", chat()).status == 500
            [record] = running.finished(1)
    assert len(record.attempts) == 1
