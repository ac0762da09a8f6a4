"""One number or no data: nothing a Prometheus can say, or fail to say, is read as healthy."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest

from meliora.errors import InvalidRequest
from meliora.integrations.prometheus import MOST_BYTES, Prometheus
from meliora.loop.gates.gate import Gate
from meliora.loop.gates.reading import NoData, Reading

NOW = 1_795_219_200_000_000
GATE = Gate(name="g", metric="load", direction="max", threshold=1, source="prometheus", query="up{tenant=$tenant}")


class Played:
    """A server that answers what it was told, and remembers what it was asked."""

    def __init__(self) -> None:
        self.status = 200
        self.body: bytes = b"{}"
        self.trickle = 0
        self.asked: list[tuple[str, dict[str, list[str]], str | None]] = []
        played = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("content-length", 0))
                form = parse_qs(self.rfile.read(length).decode())
                played.asked.append((self.path, form, self.headers.get("authorization")))
                self.send_response(played.status)
                self.send_header("location", "/elsewhere")
                self.end_headers()
                self.wfile.write(played.body)
                for _ in range(played.trickle):
                    self.wfile.write(b" ")
                    self.wfile.flush()

            def log_message(self, *_: Any) -> None:
                return None

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def says(self, kind: str, result: Any, status: str = "success") -> None:
        self.body = json.dumps({"status": status, "data": {"resultType": kind, "result": result}}).encode()


@pytest.fixture
def played() -> Iterator[Played]:
    made = Played()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def ask(played: Played, **over: Any) -> Reading | NoData:
    return Prometheus(played.url, **{"patience": 5.0} | over).read('a"b', GATE, NOW)


def test_a_vector_of_one_and_a_scalar_are_read(played: Played) -> None:
    played.says("vector", [{"metric": {}, "value": [NOW / 1e6, "0.5"]}])
    found = ask(played, token="secret")
    assert isinstance(found, Reading) and (found.value, found.form, found.at_us) == (0.5, "gauge", NOW)
    path, form, key = played.asked[0]
    assert (path, key) == ("/api/v1/query", "Bearer secret")
    assert form["query"] == ['up{tenant="a\\"b"}'] and form["time"] == [f"{NOW / 1e6:.3f}"]
    played.says("scalar", [NOW / 1e6, "3"])
    found = ask(played)
    assert isinstance(found, Reading) and found.value == 3.0 and played.asked[1][2] is None


@pytest.mark.parametrize(
    ("kind", "result", "reason"),
    [
        ("vector", [], "no such series"),
        ("vector", [{"value": [1, "1"]}, {"value": [1, "1"]}], "2 series"),
        ("vector", [{"value": [NOW / 1e6, "NaN"]}], "nan"),
        ("vector", [{"value": [NOW / 1e6, "+Inf"]}], "inf"),
        ("vector", [{"value": [NOW / 1e6, "many"]}], "no number"),
        ("vector", [{"value": ["1e400", "1"]}], "gave 1.0"),
        ("vector", [{"value": [NOW / 1e6]}], "without a sample"),
        ("vector", ["x"], "without a sample"),
        ("vector", [{"value": [NOW / 1e6 - 4000, "1"]}], "before the window"),
        ("vector", None, "no such series"),
        ("matrix", [], "a matrix"),
        ("string", [1, "x"], "a string"),
        ("scalar", "x", "without a sample"),
    ],
)
def test_anything_else_is_no_data(played: Played, kind: str, result: Any, reason: str) -> None:
    played.says(kind, result)
    found = ask(played)
    assert isinstance(found, NoData) and reason in found.reason


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"status": 3}', b"[" * 100_000, b"\xff"])
def test_an_answer_that_does_not_read_is_no_data(played: Played, body: bytes) -> None:
    played.body = body
    assert isinstance(ask(played), NoData)


@pytest.mark.parametrize("status", [301, 400, 401, 422, 500, 503])
def test_a_refusal_is_no_data_and_no_redirect_is_followed(played: Played, status: int) -> None:
    played.status = status
    played.says("scalar", [NOW / 1e6, "1"])
    assert isinstance(ask(played), NoData) and len(played.asked) == 1


def test_its_error_is_told(played: Played) -> None:
    played.status, played.body = 400, b'{"status": "error", "error": "parse error"}'
    found = ask(played)
    assert isinstance(found, NoData) and "parse error" in found.reason


def test_an_answer_that_trickles_or_never_ends_is_no_data(played: Played) -> None:
    played.trickle = 50
    played.says("scalar", [NOW / 1e6, "1"])
    ticks = iter(range(0, 100_000, 40))  # however few pieces it comes in
    found = ask(played, monotonic=lambda: float(next(ticks)))
    assert isinstance(found, NoData) and "slowly" in found.reason
    played.trickle, played.body = 0, b'{"status": "' + b"x" * (MOST_BYTES * 2)
    assert isinstance(ask(played), NoData)


def test_nobody_there_is_no_data_at_once(played: Played) -> None:
    url = played.url
    found = Prometheus("http://127.0.0.1:1", patience=2).read("t", GATE, NOW)
    assert isinstance(found, NoData) and "cannot be asked" in found.reason and url


def test_one_that_never_answers_is_no_data_after_its_patience() -> None:
    import socket

    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        start = time.monotonic()
        found = Prometheus(f"http://127.0.0.1:{silent.getsockname()[1]}", patience=0.2).read("t", GATE, NOW)
        assert isinstance(found, NoData) and time.monotonic() - start < 5


@pytest.mark.parametrize("url", ["prometheus:9090", "ftp://x", "http://", ""])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequest, match="not the address"):
        Prometheus(url)
