"""A head that came before is recognised by its bytes; whatever is not exactly it is read by the parser, with all its checks."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from meliora.gateway.http.known import LONGEST_BODY, KnownHead, known_head
from meliora.gateway.http.server import ServerProtocol
from meliora.testing import FakeProvider
from meliora.testing.gateway import SECRET, RunningGateway
from tests.gateway.asking import settings
from tests.survival.wire import Answers, chat

HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nContent-Length: %d\r\nx-b: c\r\n\r\n"


def _scope(*headers: tuple[bytes, bytes], version: str = "1.1") -> dict[str, Any]:
    return {"type": "http", "headers": list(headers), "http_version": version, "meliora.exchange": object()}


def _learnt(length: int = 5) -> KnownHead:
    scope = _scope((b"host", b"a"), (b"content-length", b"%d" % length), (b"x-b", b"c"))
    found = known_head(HEAD % length + b"x" * length, scope)
    assert found is not None
    return found


def test_the_same_head_is_known_with_a_body_of_any_length_and_says_that_length() -> None:
    """Only the digits differ; what else the scope said stays, and belongs to one request alone."""
    head = _learnt()
    assert head.body_in(HEAD % 12 + b"y" * 12) == b"y" * 12
    scope = head.scope(12, ("192.0.2.7", 4711))
    assert scope["headers"] == [(b"host", b"a"), (b"content-length", b"12"), (b"x-b", b"c")]
    assert "meliora.exchange" not in scope
    scope["headers"].clear()
    assert head.scope(3, None)["headers"]


def test_connections_with_the_same_head_share_what_is_known_of_it_and_keep_their_own_address():
    one, other = _learnt(5), _learnt(9)
    assert one is other
    assert one.scope(1, ("192.0.2.1", 1))["client"] != other.scope(1, ("192.0.2.2", 2))["client"]


@pytest.mark.parametrize(
    "data",
    [
        HEAD % 5 + b"xxxx",
        HEAD % 5 + b"xxxxxx",
        HEAD % 5 + b"xxxxx" + HEAD % 5 + b"xxxxx",
        HEAD.replace(b"%d", b"+5") + b"xxxxx",
        HEAD.replace(b"%d", b"5 ") + b"xxxxx",
        HEAD.replace(b"%d", b"0x5") + b"xxxxx",
        HEAD.replace(b"%d", b"5, 5") + b"xxxxx",
        HEAD.replace(b"%d", b"\xd9\xa5") + b"xxxxx",
        HEAD.replace(b"%d", b"") + b"xxxxx",
        HEAD.replace(b"%d", b"0000005") + b"xxxxx",
        HEAD.replace(b"%d\r\n", b"5\r\ntransfer-encoding: chunked\r\n") + b"xxxxx",
        HEAD.replace(b"%d\r\n", b"5\n") + b"xxxxx",
        (HEAD % 5).replace(b"x-b: c", b"x-b: d") + b"xxxxx",
        HEAD % (LONGEST_BODY + 1) + b"x" * (LONGEST_BODY + 1),
        b"",
    ],
)
def test_what_is_not_exactly_the_head_and_its_whole_body_is_not_known(data: bytes) -> None:
    """A part of a body, bytes behind it, another spelling of the length, another header."""
    assert _learnt().body_in(data) is None


@pytest.mark.parametrize(
    ("data", "scope"),
    [
        (HEAD % 5 + b"xxxxx", _scope((b"content-length", b"5"), (b"transfer-encoding", b"chunked"))),
        (HEAD % 5 + b"xxxxx", _scope((b"content-length", b"5"), (b"content-length", b"5"))),
        (HEAD % 5 + b"xxxxx", _scope((b"content-length", b"5"), (b"expect", b"100-continue"))),
        (HEAD % 5 + b"xxxxx", _scope((b"content-length", b"5"), (b"upgrade", b"h2c"))),
        (HEAD % 5 + b"xxxxx", _scope((b"content-length", b"5"), version="1.0")),
        (HEAD % 5 + b"xxxxx", _scope((b"host", b"a"))),
        (HEAD % 5 + b"xxxxx\r\n", _scope((b"content-length", b"5"))),
        # The head ends with bare line feeds, and its body looks like the end of one.
        (
            b"POST / HTTP/1.1\ncontent-length: 28\n\n\r\ncontent-length: 5\r\n\r\nxxxxx",
            _scope((b"content-length", b"28")),
        ),
        (HEAD % 5, _scope((b"content-length", b"5"))),
    ],
)
def test_a_head_that_could_be_read_in_two_ways_is_never_learnt(data: bytes, scope: dict[str, Any]) -> None:
    """The parser reads such requests each time, or refuses them."""
    assert known_head(data, scope) is None


@contextmanager
def _talking(gateway: RunningGateway) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as wire:
        yield wire


def _request(text: str, *, more: bytes = b"") -> bytes:
    body = chat(text)
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: m\r\ncontent-type: application/json\r\nauthorization: Bearer %b\r\n"
    return head % SECRET.encode() + b"content-length: %d\r\n" % len(body) + more + b"\r\n" + body


def _heard(wire: socket.socket, count: int) -> Answers:
    raw = b""
    while True:
        raw += wire.recv(65536)
        answers = Answers(raw)
        if len(answers.all) >= count and not answers.unfinished:
            return answers


def test_requests_on_one_connection_are_answered_whichever_way_their_heads_are_read(tmp_path: Path) -> None:
    """Known heads, new ones, halves, and two at once, in turn on one connection: each gets its own answer."""
    learnt: list[int] = []

    def counted(data: bytes, scope: dict[str, Any]) -> KnownHead | None:
        learnt.append(len(data))
        return known_head(data, scope)

    with (
        FakeProvider() as provider,
        RunningGateway(settings(tmp_path, provider)) as gateway,
        patch("meliora.gateway.http.server.known_head", counted),
        _talking(gateway) as wire,
    ):
        for text in ("a", "bb", "ccc"):
            wire.sendall(_request(text))
            assert _heard(wire, 1).all[0].status == 200
        assert len(learnt) == 1
        halves = _request("in two pieces")
        for half in (halves[:-7], halves[-7:]):
            wire.sendall(half)
        assert _heard(wire, 1).all[0].status == 200
        wire.sendall(_request("two") + _request("at once"))
        assert [one.status for one in _heard(wire, 2).all] == [200, 200]
        wire.sendall(_request("another head", more=b"x-meliora-user: u\r\n"))
        assert _heard(wire, 1).all[0].status == 200
        wire.sendall(_request("known again", more=b"x-meliora-user: u\r\n"))
        assert _heard(wire, 1).all[0].status == 200
        records = gateway.finished(8)
    sent = [request.body.decode() for request in provider.requests]
    for text in ("ccc", "in two pieces", "at once", "known again"):
        assert sum(text in body for body in sent) == 1
    assert [record.user for record in records] == [None] * 6 + ["u", "u"]


def test_what_a_known_connection_smuggles_is_refused_as_on_any_other(tmp_path: Path) -> None:
    """A second framing behind a head that is known for its beginning is read by the parser, which refuses it."""
    with FakeProvider() as provider, RunningGateway(settings(tmp_path, provider)) as gateway:
        with _talking(gateway) as wire:
            wire.sendall(_request("fine"))
            assert _heard(wire, 1).all[0].status == 200
            wire.sendall(_request("twice framed", more=b"transfer-encoding: chunked\r\n"))
            assert _heard(wire, 1).all[0].status == 400
        assert len(provider.requests) == 1


def test_a_lower_limit_of_heads_holds_for_known_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reload may lower it while a connection stands."""
    with FakeProvider() as provider, RunningGateway(settings(tmp_path, provider)) as gateway, _talking(gateway) as wire:
        wire.sendall(_request("fine"))
        assert _heard(wire, 1).all[0].status == 200
        monkeypatch.setattr(ServerProtocol, "head_limit", 20)
        wire.sendall(_request("no more"))
        assert _heard(wire, 1).all[0].status == 431
