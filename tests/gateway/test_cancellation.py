"""A client may leave at any moment: its call ends once in the records, and nothing that it held stays held."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from meliora.errors import Overloaded
from meliora.gateway.http.connection import Connection
from meliora.gateway.http.dial import origin_of
from meliora.gateway.http.pool import Pool
from meliora.gateway.relay import Stream
from meliora.gateway.watch import Watch
from meliora.settings.models import Model, Price, Retry, Timeouts
from meliora.telemetry.records import CallBegun
from meliora.testing.gateway import SECRET, RunningGateway, key
from tests.gateway.asking import QUICK, chat, settings, until
from tests.gateway.raw_upstream import GOOD, Answer, RawUpstream, said, stream, whole

SLOW_RETRY = QUICK.model_copy(update={"retry": Retry(attempts=3, backoff=30, backoff_max=30)})
MOMENTS: dict[str, tuple[Answer, bool]] = {
    "before the head": ([30.0], False),
    "within a whole body": ([b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{", 30.0], False),
    "while it waits to try again": (whole({"error": {"message": "x"}}, "500 X"), False),
    "within a prelude": (stream(b": waiting\n\n", 30.0), True),
    "within a stream": (stream(said("hello"), 30.0), True),
}


def _send(gateway: RunningGateway, **body: Any) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", gateway.port))
    headers = {"host": "x", "authorization": f"Bearer {SECRET}", **body.pop("headers", {})}
    raw = json.dumps(chat(**body)).encode()
    lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
    head = "".join(["POST /v1/chat/completions HTTP/1.1\r\n", *lines, f"content-length: {len(raw)}\r\n\r\n"])
    connection.sendall(head.encode() + raw)
    return connection


def _nothing_held(gateway: RunningGateway) -> None:
    house = gateway.gateway.house
    until(lambda: house.admission.in_flight == 0)
    until(lambda: len(house.replies._idempotency) == 0)
    for account in house.admission.ledger._accounts.values():
        until(lambda account=account: account.reserved == 0)
    for pool in _pools(gateway):
        until(lambda pool=pool: pool.open == len(pool._idle))


def _pools(gateway: RunningGateway) -> list[Pool]:
    accounts = gateway.gateway.snapshot.catalog.accounts.values()
    return [account.upstream.pool for account in accounts]  # type: ignore[attr-defined]


@pytest.mark.parametrize("moment", MOMENTS)
def test_whenever_a_client_leaves_its_call_ends_once_and_gives_everything_back(tmp_path: Path, moment: str) -> None:
    """Its place, its budget's reservation, its idempotency key and its connection upstream."""
    answer, streamed = MOMENTS[moment]
    with RawUpstream(answer) as upstream:
        made = settings(tmp_path, upstream, gateway=SLOW_RETRY)
        limited = key(budget_day_micros=1_000_000, concurrent=1)
        with RunningGateway(made, keys=(limited,)) as gateway:
            client = _send(gateway, stream=streamed, headers={"idempotency-key": "k"})
            until(lambda: upstream.requests)
            until(lambda: gateway.gateway.house.admission.in_flight == 1)
            if moment == "within a stream":
                client.recv(10)
            time.sleep(0.05)
            client.close()
            [record] = gateway.finished(1)
            _nothing_held(gateway)
            begun = [one for one in gateway.records() if isinstance(one, CallBegun)]
    assert (record.outcome, record.error_code) == ("cancelled", "client_left")
    assert [one.id for one in begun] == [record.id]


PRICED = {"m": Model(context_window=100_000, price=Price(input=1.0, output=2.0))}


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        ({}, (20, 512)),
        ({"max_tokens": 64_000}, (20, 512)),
        ({"max_tokens": 30}, (20, 30)),
        ({"stream": True}, (20, 512)),
    ],
)
def test_leaving_while_a_provider_is_at_work_does_not_make_a_call_free(
    tmp_path: Path, body: dict[str, Any], tokens: tuple[int, int]
) -> None:
    """The prompt and a short answer are charged to the budget, and the record says that this is an estimate."""
    with RawUpstream([30.0]) as upstream:
        limited = key(budget_day_micros=1_000_000, tokens_per_minute=1_000_000)
        made = settings(tmp_path, upstream, gateway=QUICK, models=PRICED)
        with RunningGateway(made, keys=(limited,)) as gateway:
            client = _send(gateway, text="x" * 80, **body)
            until(lambda: upstream.requests)
            client.close()
            [record] = gateway.finished(1)
            _nothing_held(gateway)
            ledger = gateway.gateway.house.admission.ledger
            charged = {account.total for account in ledger._accounts.values()}
    assert record.usage is not None
    assert (record.usage.input, record.usage.output) == tokens
    assert (record.model, record.usage_source, record.outcome) == ("m", "estimated", "cancelled")
    assert record.cost_micros == tokens[0] + 2 * tokens[1]
    assert charged == {record.cost_micros}


def test_leaving_while_nobody_is_asked_costs_nothing(tmp_path: Path) -> None:
    """Between two attempts, the first of which was refused."""
    with RawUpstream(whole({"error": {"message": "x"}}, "500 X")) as upstream:
        made = settings(tmp_path, upstream, gateway=SLOW_RETRY, models=PRICED)
        with RunningGateway(made, keys=(key(budget_day_micros=1_000_000),)) as gateway:
            client = _send(gateway)
            until(lambda: upstream.requests)
            until(lambda: any(pool._idle for pool in _pools(gateway)))  # the refusal is read
            client.close()
            [record] = gateway.finished(1)
            _nothing_held(gateway)
            charged = {account.total for account in gateway.gateway.house.admission.ledger._accounts.values()}
    assert (record.usage, record.cost_micros, record.model) == (None, None, None)
    assert charged == {0}


def test_when_the_first_of_two_equal_calls_leaves_the_second_makes_the_call(tmp_path: Path) -> None:
    """And one that leaves while it waits disturbs nobody."""
    ready = threading.Event()
    with (
        RawUpstream([lambda: ready.wait(30), *whole(GOOD)]) as upstream,
        RunningGateway(settings(tmp_path, upstream)) as gateway,
    ):
        running = gateway.gateway.house.replies._idempotency._running
        waiting = lambda: sum(not one.done() for entry in list(running.values()) for one in entry.waiting)  # noqa: E731
        clients = []
        for number in range(3):
            clients.append(_send(gateway, headers={"idempotency-key": "k"}))
            until(lambda: upstream.requests)
            until(lambda number=number: waiting() == number)
        clients[1].close()
        until(lambda: waiting() == 1)
        clients[0].close()
        until(lambda: len(upstream.requests) == 2)
        ready.set()
        assert clients[2].recv(15) == b"HTTP/1.1 200 OK"
        clients[2].close()
        records = gateway.finished(3)
    assert sorted(record.outcome for record in records) == ["cancelled", "cancelled", "ok"]
    assert len(upstream.requests) == 2


def test_a_probe_that_will_not_be_made_leaves_its_place_to_the_next_call(tmp_path: Path) -> None:
    """An endpoint that asks for more patience than is configured is not tried again, nor kept out by that."""
    answer = whole({"error": {"message": "slow down"}}, "429 Slow", more="retry-after: 3600\r\n")
    with RawUpstream(answer) as upstream, RunningGateway(settings(tmp_path, upstream)) as gateway:
        client = _send(gateway)
        assert client.recv(12) == b"HTTP/1.1 429"
        client.close()
        [breaker] = gateway.gateway.snapshot.catalog.breakers.values()
    assert len(upstream.requests) == 1
    assert not breaker._probing


async def test_a_free_connection_is_not_lost_with_the_caller_that_was_woken_for_it() -> None:
    """The one behind it in the line gets it."""
    pool = Pool(origin_of("http://127.0.0.1:9"), 1, Timeouts(connect=5))
    used = Connection(asyncio.get_running_loop(), pool._on_close)
    pool._all.add(used)
    first, second = (asyncio.create_task(pool._room()) for _ in range(2))
    await asyncio.sleep(0)
    pool._on_close(used)
    first.cancel()
    await asyncio.wait_for(second, 1)
    assert first.cancelled() or (await asyncio.gather(first, return_exceptions=True))[0] is not None


async def test_a_full_pool_says_so_when_patience_ends() -> None:
    """Not a timeout of the upstream: it was not asked."""
    pool = Pool(origin_of("http://127.0.0.1:9"), 0, Timeouts(connect=0.01))
    with pytest.raises(Overloaded):
        await pool._room()


async def test_a_client_that_stops_reading_the_keep_alives_has_stalled() -> None:
    """Keep-alives do not pile up behind one that cannot leave."""
    stuck = asyncio.Event()
    sent: list[bytes] = []

    async def send(message: Any) -> None:
        sent.append(message["type"])
        if message["type"] == "http.response.body":
            await stuck.wait()

    class Call:
        """As much of a call as is watched."""

        gone, finished = "", False

        class inbound:  # noqa: N801 - stands in for an attribute
            """Nobody tells."""

            on_gone = staticmethod(lambda _callback: None)

    call: Any = Call()
    watch = Watch(keepalive=1.0, client_stall=5.0)

    async def serve() -> None:
        watch.stream(call, Stream("chat", send, None, 0.0), [])
        await asyncio.Event().wait()

    task = asyncio.create_task(serve())
    await asyncio.sleep(0)
    for second in range(1, 9):
        watch.tick(float(second))
        await asyncio.sleep(0)
    assert sent == ["http.response.start", "http.response.body"]
    assert call.gone == "stalled"
    with pytest.raises(asyncio.CancelledError):
        await task
    watch.leave(call)
    await asyncio.sleep(0)


def test_tokens_of_a_stream_that_was_left_are_not_those_of_its_first_event(tmp_path: Path) -> None:
    """Anthropic counts one token of output when a message begins; the text that was given says more."""
    events = [
        {
            "type": "message_start",
            "message": {"id": "m1", "role": "assistant", "usage": {"input_tokens": 100, "output_tokens": 1}},
        },
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "word " * 400}},
    ]
    pieces = [f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in events]
    with RawUpstream(stream(*pieces, 30.0)) as upstream:
        priced = {"m": Model(context_window=100_000, price=Price(input=1, output=2))}
        made = settings(tmp_path, upstream, models=priced)
        anthropic = made.providers["p0"].model_copy(update={"kind": "anthropic"})
        with RunningGateway(made.model_copy(update={"providers": {"p0": anthropic}})) as gateway:
            client = _send(gateway, stream=True, max_tokens=1000)
            given = b""
            while given.count(b"word") < 400:
                given += client.recv(65_536)
            client.close()
            [record] = gateway.finished(1)
    assert record.usage is not None
    assert (record.usage.input, record.usage.output, record.usage_source) == (100, 500, "estimated")
    assert record.cost_micros == 1100


@pytest.mark.parametrize("ending", ["connection: close", "connection: keep-alive"])
def test_a_client_that_never_takes_its_whole_answer_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    """Its megabytes are not held for as long as it likes, whether it wanted the connection to be kept or not."""
    monkeypatch.setattr("meliora.gateway.http.server.IDLE_SECONDS", 0.3)
    monkeypatch.setattr("meliora.gateway.http.server.FLUSH_SECONDS", 0.3)
    monkeypatch.setattr("meliora.gateway.http.server.SWEEP_SECONDS", 0.05)
    with (
        RawUpstream(whole(GOOD | {"more": "x" * 12_000_000})) as upstream,
        RunningGateway(settings(tmp_path, upstream)) as gateway,
    ):
        name, _, value = ending.partition(": ")
        client = _send(gateway, headers={name: value})
        assert client.recv(15) == b"HTTP/1.1 200 OK"
        connections = gateway._server.server_state.connections
        until(lambda: not connections)
        client.close()
        assert [record.outcome for record in gateway.finished(1)] == ["ok"]
