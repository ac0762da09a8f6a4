"""What is not a model call: paths that were meant to be one, HEAD, and the way to the control process and back."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from meliora.testing import FakeProvider
from meliora.testing.gateway import SECRET, RunningGateway
from tests.gateway.asking import chat, get, post, settings


@contextmanager
def _control(state_dir: Path, serve: Callable[[socket.socket], None]) -> Iterator[None]:
    """Stand in for the control process: `serve` gets each connection whose request is not the gateway's own."""
    state_dir.mkdir(parents=True, exist_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(state_dir / "control.sock"))
    listener.listen()

    def one(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            head = connection.recv(65536)
            if b"/internal/" not in head.split(b"\r\n")[0]:
                serve(connection)

    def listen() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=listen, daemon=True).start()
    try:
        yield
    finally:
        listener.close()


def _talk(gateway: RunningGateway, *requests: str, seconds: float = 2.0) -> bytes:
    """Send requests on one connection and read until it closes or is silent."""
    with socket.create_connection(("127.0.0.1", gateway.port)) as connection:
        connection.settimeout(seconds)
        for line in requests:
            connection.sendall(f"{line} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {SECRET}\r\n\r\n".encode())
        read = b""
        with suppress(TimeoutError):
            while data := connection.recv(65536):
                read += data
                if read.count(b"HTTP/1.1") == len(requests) and read.endswith((b"}", b"\r\n\r\n")):
                    break
    return read


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/chat/completions", "/v1/chat/completions"),
        ("/v1/v1/messages", "/v1/messages"),
        ("/v1/chat/completions/", "/v1/chat/completions"),
        ("//v1/responses", "/v1/responses"),
        ("/messages/count_tokens", "/v1/messages/count_tokens"),
    ],
)
def test_a_base_url_with_v1_too_many_or_too_few_is_told_so(tmp_path: Path, path: str, meant: str) -> None:
    """The first mistake of everybody's first minute gets the sentence that ends it."""
    with FakeProvider() as provider, RunningGateway(settings(tmp_path, provider)) as gateway:
        answer = post(gateway, path, chat())
    assert answer.status == 404
    assert f"{meant} is what you mean" in answer.json["error"]["message"]
    assert "base URL" in answer.body.decode()


def test_what_is_not_served_under_v1_is_answered_with_what_is(tmp_path: Path) -> None:
    """In OpenAI's shape, and without the control process."""
    with FakeProvider() as provider, RunningGateway(settings(tmp_path, provider)) as gateway:
        answer = post(gateway, "/v1/audio/speech", {})
    assert answer.status == 404
    assert "/v1/chat/completions" in answer.json["error"]["message"]
    assert answer.json["error"]["type"] == "invalid_request_error"


def test_head_is_answered_without_a_body_and_the_connection_serves_on(tmp_path: Path) -> None:
    """From the gateway, and from the control process whose answer names a length and has no body."""

    def serve(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n")
        connection.recv(1)

    made = settings(tmp_path)
    with _control(made.server.state_dir, serve), RunningGateway(made) as gateway:
        read = _talk(gateway, "HEAD /v1/models", "HEAD /api/v1/calls", "GET /live")
    assert read.count(b"HTTP/1.1 200 OK") == 3, read
    assert b"content-length: 1000" in read
    assert read.endswith(b'{"status":"alive"}')


def test_an_answer_that_the_control_process_breaks_off_is_cut_and_nothing_follows_it(tmp_path: Path) -> None:
    """No second head in the middle of a body: the client sees a connection that ended too early."""

    def serve(connection: socket.socket) -> None:
        connection.sendall(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/csv\r\ntransfer-encoding: chunked\r\n\r\n3\r\na,b\r\n"
        )
        time.sleep(0.1)

    made = settings(tmp_path)
    with _control(made.server.state_dir, serve), RunningGateway(made) as gateway:
        with socket.create_connection(("127.0.0.1", gateway.port)) as connection:
            connection.settimeout(5)
            connection.sendall(b"GET /api/v1/calls HTTP/1.1\r\nhost: x\r\n\r\n")
            read = b""
            with suppress(ConnectionResetError):
                while data := connection.recv(65536):
                    read += data
        assert get(gateway, "/live").status == 200
    assert read.count(b"HTTP/1.1") == 1
    assert not read.endswith(b"0\r\n\r\n")


def test_a_client_that_leaves_gives_its_connection_to_the_control_process_back(tmp_path: Path) -> None:
    """A stream of news that nobody reads any more must not hold one of the few connections."""
    left = threading.Event()

    def serve(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        with suppress(OSError):
            connection.recv(1)
        left.set()

    made = settings(tmp_path)
    with _control(made.server.state_dir, serve), RunningGateway(made) as gateway:
        connection = socket.create_connection(("127.0.0.1", gateway.port))
        connection.sendall(b"GET /api/v1/calls/tail HTTP/1.1\r\nhost: x\r\n\r\n")
        connection.recv(65536)
        connection.close()
        assert left.wait(5)
