"""Addresses are fetched within limits, and never from one's own network unasked."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from meliora.errors import BodyTooLarge, Forbidden, InvalidRequest, UpstreamBroken, UpstreamTimeout
from meliora.knowledge.documents import Document
from meliora.knowledge.reading import fetching
from meliora.knowledge.reading.addresses import read_urls
from meliora.knowledge.reading.base import Limits, Refused
from meliora.knowledge.reading.fetching import HttpFetch


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path in ("/loop", "/away"):
            self.send_response(302)
            self.send_header(
                "Location", "/loop" if self.path == "/loop" else f"http://127.0.0.1:{self.server.server_address[1]}/"
            )
            self.end_headers()
            return
        body = b"<title>T</title><p>" + b"x" * (5000 if self.path == "/big" else 5)
        self.send_response(404 if self.path == "/none" else 200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        pass


@pytest.fixture
def base():
    server = HTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_redirect_or_a_name_that_leads_into_the_own_network_is_not_followed(base, monkeypatch):
    """The name is public when it is asked for, or the first address is; where it leads to is looked at each time."""
    lookup, said = socket.getaddrinfo, iter([True, False])

    def names(host, port, *rest, **named):
        return lookup("127.0.0.1" if host == "inside.example" else host, port, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", names)
    port = base.rpartition(":")[2]
    with pytest.raises(Forbidden, match=r"inside\.example leads to 127\.0\.0\.1"):
        HttpFetch()(f"http://inside.example:{port}/", Limits())
    monkeypatch.setattr(fetching, "_public", lambda address: next(said))
    with pytest.raises(Forbidden, match=r"^127\.0\.0\.1 leads to"):
        HttpFetch()(f"http://inside.example:{port}/away", Limits())
    assert next(said, None) is None


def test_a_list_of_addresses_is_read_and_those_that_fail_are_told(base):
    found = list(read_urls([f"{base}/a", f"{base}/none", "ftp://x/y"], HttpFetch(private=True)))
    assert [type(one) for one in found] == [Document, Refused, Refused]
    assert (found[0].id, found[0].title, found[0].text) == (f"{base}/a", "T", "xxxxx")


def test_size_and_redirects_are_limited(base):
    with pytest.raises(BodyTooLarge):
        HttpFetch(private=True)(f"{base}/big", Limits(file_bytes=1000))
    with pytest.raises(UpstreamBroken, match="redirects"):
        HttpFetch(private=True)(f"{base}/loop", Limits())


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://localhost/",
        "http://169.254.169.254/",
        "http://[::1]/",
        "http://2130706433/",
        "http://[::ffff:10.0.0.1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[64:ff9b::a9fe:a9fe]/",
        "http://[2002:7f00:1::]/",
        "http://0.0.0.0/",
        "http://127.1/",
    ],
)
def test_addresses_of_the_own_network_are_refused(url):
    with pytest.raises(Forbidden):
        HttpFetch()(url, Limits())


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "http://u:p@example.com/", "http://a/\r\nX: y", "http://a:99999/", "gopher://a"]
)
def test_other_addresses_are_none(url):
    with pytest.raises(InvalidRequest):
        HttpFetch()(url, Limits())


@contextlib.contextmanager
def dripping(begin: bytes, drop: bytes) -> Iterator[str]:
    """Answer with a beginning, then a drop at a time until the other side is gone."""
    ended = threading.Event()

    def answer() -> None:
        said, _ = listening.accept()
        with said, contextlib.suppress(OSError):
            said.recv(65_536)
            said.sendall(begin)
            while not ended.wait(0.02):
                said.sendall(drop)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answer)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        ended.set()
        thread.join()


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_body_that_comes_after_its_head_is_read_though_the_connection_is_to_be_closed(version):
    head = f"HTTP/{version} 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\n"

    def answer() -> None:
        said, _ = listening.accept()
        with said:
            said.recv(65_536)
            said.sendall(head.encode())
            time.sleep(0.2)  # so that the head is read before; were it not, nothing would be tested, and nothing fail
            said.sendall(b"body")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answer)
        thread.start()
        found, _ = HttpFetch(private=True)(f"http://127.0.0.1:{listening.getsockname()[1]}/", Limits())
        thread.join()
    assert found == b"body"


@pytest.mark.parametrize(
    ("begin", "drop"),
    [
        (b"", b"H"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"x"),
        (b"HTTP/1.1 200 OK\r\n", b"X: 1\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"),
    ],
    ids=["status", "header", "headers", "continue", "body", "chunk"],
)
def test_what_comes_in_drops_is_given_up_when_the_time_of_all_is_over(begin, drop):
    """Each drop comes in time; all of them do not."""
    began = time.monotonic()
    with dripping(begin, drop) as url, pytest.raises(UpstreamTimeout, match=r"longer than 0\.5 seconds"):
        HttpFetch(private=True, timeout=0.5)(url, Limits())
    assert time.monotonic() - began < 60  # it would never end


def test_further_addresses_of_a_name_have_no_time_of_their_own(monkeypatch):
    asked: list[float] = []

    def refuse(address, timeout):
        asked.append(timeout)
        time.sleep(timeout)
        raise TimeoutError("timed out")

    def names(host, port, **named):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{at}", port)) for at in range(1, 9)]

    monkeypatch.setattr(socket, "getaddrinfo", names)
    monkeypatch.setattr(socket, "create_connection", refuse)
    with pytest.raises(UpstreamTimeout):
        HttpFetch(private=True, timeout=0.05)("http://many.example/", Limits())
    assert len(asked) == 1
