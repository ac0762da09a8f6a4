"""Many at once: a thousand open streams, twenty thousand calls, clients that dawdle or leave. Nothing grows, nothing is left over."""

from __future__ import annotations

import random
import re
import resource
import socket
import struct
import time
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import pytest

from benchmarks.gateway.processes import Upstream, cores
from benchmarks.load import canned
from benchmarks.load.client import Probe, Stop, closed_loop
from meliora.telemetry.records import CallFinished
from meliora.testing import FakeProvider, FaultPlan, Play, faults
from meliora.testing.gateway import RunningGateway
from tests.gateway.asking import chat, get, opened, settings, stream_text
from tests.survival.house import House
from tests.survival.wire import chat as raw_chat
from tests.survival.wire import request

CALLS, MORE_CALLS, STREAMS = 5_000, 13_000, 1_000


@dataclass
class Canned:
    """Where the canned upstream is, as `House` asks for it."""

    base_url_openai: str


def _rss_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found
    return int(found[1]) / 1024


def _one_thousand_files() -> None:
    """Begin where many systems begin."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, most))


def test_a_thousand_streams_and_twenty_thousand_calls_are_served_recorded_and_forgotten(tmp_path: Path) -> None:
    """All streams are open at once and end whole; memory does not grow with calls; the store has each of them once."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < 4 * STREAMS:
        pytest.skip(f"a process may open {most} files here; a thousand streams need more")
    models = '[providers.p1]\nbase_url = "{url}"\nmodels = ["bench", "bench-hold"]\n'
    with Upstream(cores()[-1], tmp_path) as upstream:
        more = "[recording]\nsegment_bytes = 16777216\n" + models.format(url=upstream.base_url)
        with House(tmp_path, Canned(upstream.base_url), bare=more).prepare() as house:
            house.spawn("control")
            pid = house.spawn("gateway", preexec=_one_thousand_files)
            house.wait_ready()
            target = canned.Target("127.0.0.1", house.port, headers=(("authorization", f"Bearer {house.secret}"),))
            calls = canned.requests(target, canned.CHAT, 1)
            holds = list(islice(cycle(canned.requests(target, canned.CHAT_HOLD, 1, stream=True)), STREAMS))
            first = closed_loop(target, calls, 8, Stop(calls=CALLS))
            before = _rss_mb(pid)
            held = closed_loop(
                target, calls, 2, Stop(asides=True), asides=holds, probe=Probe(lambda: _rss_mb(pid), 0.5)
            )
            with_streams = max(mark.value for mark in held.marks)
            after_streams = _rss_mb(pid)
            last = closed_loop(target, calls, 8, Stop(calls=MORE_CALLS))
            after = _rss_mb(pid)
            made = first.calls + held.calls + last.calls
            house.spawn("worker")
            house.end("gateway")
            house.settle(60)
            with house.store() as connection:
                query = "SELECT COUNT(*) FROM calls WHERE state = 'finished' AND outcome = 'ok' AND stream = {}"
                whole, streams = (connection.exec_driver_sql(query.format(x)).scalar() for x in ("false", "true"))
    assert made >= CALLS + MORE_CALLS
    assert held.asides == STREAMS and not first.errors + held.errors + last.errors
    # The clients of a closed loop leave with a call under way each, at the end of each of the three loops.
    assert made <= (whole or 0) <= made + 18
    assert streams == STREAMS
    assert before < 120 and with_streams < 200, (before, with_streams)
    assert after - after_streams < 15, f"{after - after_streams:.1f} MB more after {MORE_CALLS} calls"


def test_a_client_that_reads_slowly_gets_all_of_it(tmp_path: Path) -> None:
    """The provider waits with it; no more than the buffers is held."""
    with (
        FakeProvider(FaultPlan([faults.ManyChunks(8_000)])) as provider,
        RunningGateway(settings(tmp_path, provider)) as gateway,
        opened(gateway, "/v1/chat/completions", chat(stream=True)) as answer,
    ):
        parts = []
        while part := answer.read1(16_384):
            parts.append(part)
            time.sleep(0.001)
        [record] = gateway.finished(1)
    body = b"".join(parts)
    assert body.endswith(b"data: [DONE]\n\n") and stream_text(body)
    assert record.outcome == "ok"


def test_clients_that_leave_at_any_moment_leave_nothing_behind(tmp_path: Path) -> None:
    """Each begun call is ended once, each upstream is let go, and no call counts as being served."""
    chance = random.Random(20261121)
    with (
        FakeProvider(play=Play(event_delay=0.01)) as provider,
        RunningGateway(settings(tmp_path, provider)) as gateway,
    ):
        clients = []
        for _ in range(150):
            raw = request(body=raw_chat("Write 40 words", stream=chance.random() < 0.7), close=False)
            client = socket.create_connection(("127.0.0.1", gateway.port), timeout=5)
            client.sendall(raw if chance.random() < 0.8 else raw[: chance.randrange(len(raw))])
            clients.append((time.monotonic() + chance.expovariate(4), client))
            if chance.random() < 0.5:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, not an end
        for moment, client in sorted(clients, key=lambda one: one[0]):
            time.sleep(max(0.0, moment - time.monotonic()))
            client.close()
        deadline = time.monotonic() + 15
        while b"meliora_calls_in_flight 0.0" not in get(gateway, "/metrics").body:
            assert time.monotonic() < deadline, "calls hang"
            time.sleep(0.05)
        assert provider.wait_idle(10)
        records = gateway.records()
        ended = [record.id for record in records if isinstance(record, CallFinished)]
        begun = {record.id for record in records} - set(ended)
    assert len(ended) == len(set(ended)) and not begun
    assert {record.outcome for record in records if isinstance(record, CallFinished)} == {"ok", "cancelled"}
