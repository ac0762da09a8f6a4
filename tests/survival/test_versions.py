"""A newer part beside an older one: what the older does not understand it leaves alone, loudly, and works on."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from threading import Thread
from typing import Any

import msgspec

from meliora.gateway.state import STATE_FORMAT, State
from meliora.gateway.sync import keep
from meliora.runtime.gateway_parts import STATE_FILE
from meliora.runtime.shared import control_socket
from meliora.supervisor.detach import ask
from meliora.telemetry.records import FORMAT
from meliora.telemetry.spool import SpoolReader, SpoolWriter
from meliora.testing import FakeProvider
from meliora.testing.gateway import RunningGateway, key
from meliora.testing.stack import RunningMeliora
from tests.gateway.asking import chat, get, post, settings
from tests.survival.house import House
from tests.survival.load import Load, compare


def test_records_of_a_newer_gateway_wait_for_a_newer_worker(tmp_path: Path, provider: FakeProvider) -> None:
    """They stay in the spool, whole; the worker shouts, `/health` says it, and what it knows goes on."""
    newer = {"t": "finished", "v": FORMAT + 1, "id": "call_x", "shape": {"nobody": ["knows"]}}
    with House(tmp_path, provider).prepare() as house:
        house.spool.mkdir(mode=0o700)
        writer = SpoolWriter(house.spool)
        for _ in range(3):
            assert writer.append(json.dumps(newer).encode())
        writer.close()
        [segment] = SpoolReader(house.spool).segments()
        for name in ("control", "gateway", "worker"):
            house.spawn(name)
        house.wait_ready()
        load = Load(house.port, house.secret, clients=1)
        for number in range(10):
            load.once(f"m{number}", stream=number % 2 == 0)
        house.wait(lambda: _recorded(house) == 10, 15, "what the worker knows does not go on")
        compare(house, load, exact=True)
        chunk = SpoolReader(house.spool).read(segment, 0, 1 << 20)
        assert len(chunk.payloads) == 3, "records were thrown away"
        assert not (house.spool / "quarantine").exists()
        log = (house.layout.logs / "worker.log").read_text()
        assert log.count("newer format") == 1 and f'"format": {FORMAT + 1}' in log
        house.wait(lambda: house.health()["parts"]["worker"]["status"] == "degraded", 15, "the health does not say it")
        assert "newer" in house.health()["parts"]["worker"]["reason"]


def _recorded(house: House) -> int:
    with house.store() as connection:
        return connection.exec_driver_sql("SELECT COUNT(*) FROM calls WHERE state = 'finished'").scalar() or 0


class _Control(BaseHTTPRequestHandler):
    """A control process of the future: gives one state, and counts how often it is asked."""

    protocol_version = "HTTP/1.1"
    body = b""
    asked = 0

    def do_GET(self) -> None:
        type(self).asked += self.path.startswith("/internal/state")
        self._give(self.body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self._give(b"{}")

    def _give(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "control"

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def _control(path: Path, body: bytes) -> Iterator[type[_Control]]:
    handler = type("Handler", (_Control,), {"body": body})
    path.parent.mkdir(parents=True, exist_ok=True)
    with ThreadingUnixStreamServer(str(path), handler) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield handler
        finally:
            server.shutdown()
            thread.join(5)


def test_a_state_of_a_newer_format_is_refused_and_the_old_one_serves_on(tmp_path: Path, provider: FakeProvider) -> None:
    """It is asked for again without haste, is not kept on disk, and the kept one still serves at the next start."""
    newer = State(9, 1, "11" * 32, (), (), format=STATE_FORMAT + 1)
    made = settings(tmp_path, provider)
    with _control(control_socket(made), msgspec.json.encode(newer)) as control:
        for _ in range(2):
            control.asked = 0
            with RunningGateway(made) as gateway:
                began = time.monotonic()
                while not control.asked:
                    assert time.monotonic() - began < 10
                    time.sleep(0.01)
                time.sleep(0.5)
                assert post(gateway, "/v1/chat/completions", chat()).status == 200
                kept = msgspec.json.decode((gateway.state_dir / STATE_FILE).read_bytes(), type=State)
            assert control.asked <= 2, "it is asked for again and again"
            assert kept.format == STATE_FORMAT and kept.keys


def test_a_kept_state_that_cannot_be_used_does_not_keep_a_gateway_from_starting(
    tmp_path: Path, provider: FakeProvider
) -> None:
    """It waits for its control process, and says so."""
    from meliora.gateway.sync import kept_state

    path = tmp_path / "state.json"
    good = State(1, 1, "00" * 32, (key(),))
    for raw in (
        b"",
        b"{",
        b"\0" * 100,
        msgspec.json.encode(good)[:-10],
        msgspec.json.encode(State(1, 1, "00" * 32, format=STATE_FORMAT + 1)),
        msgspec.json.encode(State(1, 1, "no hex at all")),
    ):
        path.write_bytes(raw)
        assert kept_state(path) is None, raw[:40]
    path.unlink()
    path.mkdir()
    assert kept_state(path) is None
    path.rmdir()
    keep(path, msgspec.json.encode(good))
    assert kept_state(path) == good


def test_ids_of_a_gateway_that_began_without_a_state_are_known_once_it_has_one(
    tmp_path: Path, provider: FakeProvider
) -> None:
    """Feedback on its calls is taken before they are ingested: the ids prove where they are from."""
    from meliora.runtime.gateway import build

    with RunningMeliora(settings(tmp_path, provider)) as meliora:
        answer = post(meliora.gateway, "/v1/chat/completions", chat())
        assert meliora.store.call_ids.issued(answer.headers["x-meliora-call"])
        elsewhere = settings(tmp_path / "elsewhere", provider)
        bare = build(elsewhere)
        assert not meliora.store.call_ids.issued(bare.house.ids.new())
        bare.house.ids.rekey(bytes.fromhex(meliora.store.secret))
        assert meliora.store.call_ids.issued(bare.house.ids.new())
        assert get(meliora.gateway, "/ready").status == 200


def test_a_gateway_that_has_never_heard_of_any_key_calls_none_wrong(tmp_path: Path, provider: FakeProvider) -> None:
    """At a first start the store may be away: 503, which clients try again, and not 401, which they do not."""
    with House(tmp_path, provider) as house:
        house.spawn("gateway")
        house.wait(lambda: ask(house.url, "/live")[0] == 200, 20, "the gateway does not start")
        load = Load(house.port, "mel_some-key-that-may-well-be-good", clients=1)
        load.once("m", stream=False)
        assert load.refused == {503: 1}
        status, said = ask(house.url, "/ready")
        assert status == 503 and said["status"] == "waiting"
        assert provider.count == 0
