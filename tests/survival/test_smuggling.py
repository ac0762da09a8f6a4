"""Requests that two parsers could read in two ways: each is refused or served as one, and nothing gets past the gateway."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from meliora.telemetry.records import CallFinished
from meliora.testing import FakeProvider
from meliora.testing.gateway import SECRET
from meliora.testing.stack import RunningMeliora
from tests.gateway.asking import QUICK, settings
from tests.survival.wire import Answers, chat, chunked, request, talk

SMUGGLED = request("/v1/chat/completions", chat("SMUGGLED"))
INNER = b"GET /internal/state HTTP/1.1\r\nhost: x\r\n\r\n"
TE = b"transfer-encoding: "
BODY = chat("hello")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningMeliora, FakeProvider]]:
    limits = QUICK.limits.model_copy(update={"body_bytes": 1 << 20})
    with FakeProvider() as provider:
        made = settings(
            tmp_path_factory.mktemp("smuggling"), provider, gateway=QUICK.model_copy(update={"limits": limits})
        )
        with RunningMeliora(made) as meliora:
            yield meliora, provider


def _raw(*lines: bytes, body: bytes = b"") -> bytes:
    head = [
        b"POST /v1/chat/completions HTTP/1.1",
        b"host: meliora",
        b"content-type: application/json",
        f"authorization: Bearer {SECRET}".encode(),
    ]
    return b"\r\n".join([*head, *lines, b"", body])


LENGTH = b"content-length: %d" % len(BODY)
REFUSED = {
    "length and chunks": _raw(LENGTH, TE + b"chunked", body=chunked(BODY)),
    "chunks and length": _raw(TE + b"chunked", LENGTH, body=chunked(BODY)),
    "length and chunks with a request behind": _raw(
        b"content-length: 4", TE + b"chunked", body=chunked(b"") + SMUGGLED
    ),
    "two lengths": _raw(b"content-length: 5", LENGTH, body=BODY),
    "the same length twice": _raw(LENGTH, LENGTH, body=BODY),
    "a list of lengths": _raw(b"content-length: %d, %d" % (len(BODY), len(BODY)), body=BODY),
    "a signed length": _raw(b"content-length: +%d" % len(BODY), body=BODY),
    "a negative length": _raw(b"content-length: -1", body=BODY),
    "a hexadecimal length": _raw(b"content-length: 0x10", body=BODY),
    "a length with a space in it": _raw(b"content-length: 1 0", body=BODY),
    "a length beyond numbers": _raw(b"content-length: 99999999999999999999999", body=BODY),
    "a transfer coding nobody knows": _raw(TE + b"xchunked", body=chunked(BODY)),
    "chunked, but not last": _raw(TE + b"chunked, identity", body=chunked(BODY)),
    "chunked twice in two lines": _raw(TE + b"chunked", TE + b"x", body=chunked(BODY)),
    "a control character before chunked": _raw(TE + b"\x0bchunked", body=chunked(BODY)),
    "a space before the colon": _raw(b"transfer-encoding : chunked", body=chunked(BODY)),
    "a folded line": _raw(b"transfer-encoding:\r\n chunked", body=chunked(BODY)),
    "a line that begins with a space": _raw(b" transfer-encoding: chunked", LENGTH, body=BODY),
    "a bare carriage return in a value": _raw(b"x-meliora-user: a\rtransfer-encoding: chunked", LENGTH, body=BODY),
    "a NUL in a value": _raw(b"x-meliora-user: a\0b", LENGTH, body=BODY),
    "a NUL in a name": _raw(b"x-a\0b: c", LENGTH, body=BODY),
    "a line without a colon": _raw(b"nonsense", LENGTH, body=BODY),
    "an empty name": _raw(b": x", LENGTH, body=BODY),
    "a chunk size that overflows": _raw(TE + b"chunked", body=b"FFFFFFFFFFFFFFFFFF\r\n" + BODY),
    "a chunk size that is no number": _raw(TE + b"chunked", body=b"zz\r\n" + BODY),
    "a negative chunk size": _raw(TE + b"chunked", body=b"-5\r\n" + BODY),
    "a chunk longer than it says": _raw(TE + b"chunked", body=b"2\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "an older protocol": b"GET /live\r\n\r\n",
    "another protocol's preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a version that does not exist": request(version="HTTP/9.9"),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(200)),
    "no HTTP at all": b"\xff\xfe\x00garbage\r\n\r\n",
    "a tunnel": b"CONNECT example.com:443 HTTP/1.1\r\nhost: example.com\r\n\r\n" + INNER,
    "a star": b"OPTIONS * HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    "a target with a space": b"GET /live /x HTTP/1.1\r\nhost: x\r\n\r\n",
    "a target that is no ASCII": b"GET /\xc3\xa9 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    "a line that never ends": b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n",
    "a header that never ends": b"GET /live HTTP/1.1\r\nx: " + b"a" * 200_000 + b"\r\n\r\n",
    "ten thousand headers": b"GET /live HTTP/1.1\r\n" + b"x: y\r\n" * 10_000 + b"\r\n",
    "trailers without end": _raw(
        TE + b"chunked", body=b"%x\r\n" % len(BODY) + BODY + b"\r\n0\r\n" + b"x: y\r\n" * 40_000
    ),
    "a body longer than is taken": _raw(b"content-length: 104857600"),
    "chunks longer than are taken": _raw(
        TE + b"chunked", body=b"100000\r\n" + b" " * 1048576 + b"\r\n5\r\n     \r\n0\r\n\r\n"
    ),
}


@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_clear_request_is_refused_and_reaches_nobody(
    house: tuple[RunningMeliora, FakeProvider], raw: bytes
) -> None:
    """One answer of 4xx in JSON, or the connection closes; either way nothing behind it is read as a request."""
    meliora, provider = house
    before = provider.count
    half = len(raw) // 2
    for pieces in ((raw,), (raw[:half], raw[half:])):
        read, closed = talk(meliora.gateway.port, *pieces, seconds=8, until=1)
        answers = Answers(read)
        assert len(answers.all) == 1 and not answers.unfinished, read[:500]
        [answer] = answers.all
        assert 400 <= answer.status < 500, read[:500]
        assert answer.json["error"]["message"]
        assert b'"secret"' not in read
        assert not closed or answer.headers.get("connection", "close") == "close"
    assert provider.count == before
    assert talk(meliora.gateway.port, request("/live", b"", method="GET"))[0].startswith(b"HTTP/1.1 200")


INTERNAL = [
    "/internal",
    "/internal/",
    "/internal/state",
    "/internal/state?have=-1",
    "/internal/leases",
    "/internal/heartbeat",
    "/%69nternal/state",
    "/%69%6e%74%65%72%6e%61%6c/state",
    "/%2569nternal/state",
    "/%25%36%39nternal/state",
    "//internal/state",
    "///internal/state",
    "/./internal/state",
    "/x/../internal/state",
    "/x/%2e%2e/internal/state",
    "/x/%2e%2e%2finternal/state",
    "/v1/../internal/state",
    "/api/v1/../../internal/state",
    "/internal%2fstate",
    "/%2finternal/state",
    "/%2Finternal%2Fstate",
    "/internal/../internal/state",
    "/internal/./state",
    "/internal//state",
    "/internal;x=1/state",
    "/internal%3b/state",
    "/internal%00/state",
    "/internal%20/state",
    "/internal%09/state",
    "/internal\\state",
    "/..\\internal\\state",
    "/INTERNAL/state",
    "/Internal/State",
    "/internal%c0%afstate",
    "/%c0%afinternal/state",
    "/%ef%bc%8finternal/state",
    "/internal%0d%0a/state",
    "/x%20HTTP/1.1%0d%0aGET%20/internal/state",
    "http://x/internal/state",
    "http://internal/state",
    "http://x//internal/state",
    "http://control/internal/state",
    "https://x:1/%69nternal/state",
    "unix:///internal/state",
]
SPOOFED = [
    b"x-forwarded-for:",
    b"x-forwarded-for: 127.0.0.1",
    b"connection: close, x-forwarded-for",
    b"forwarded: for=127.0.0.1",
    b"x-original-url: /internal/state",
    b"x-rewrite-url: /internal/state",
    b"x-forwarded-prefix: /internal",
    b"x-http-method-override: GET",
    b"host: control",
    b"X-FORWARDED-FOR : x",
]


@pytest.mark.parametrize("target", INTERNAL)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_is_internal_has_no_way_in_through_the_port(
    house: tuple[RunningMeliora, FakeProvider], target: str, method: str
) -> None:
    """However the path is written, also with an administrator's key: there is nothing there."""
    meliora, provider = house
    before = provider.count
    body = b'{"id":"evil","version":"1","record_format":1,"host":"h","pid":1}' if method == "POST" else b""
    read, _ = talk(meliora.gateway.port, request(target, body, method=method), until=1)
    [answer] = Answers(read).all
    assert 400 <= answer.status < 500, read[:500]
    assert b'"secret"' not in read and b"cache_epochs" not in read
    assert provider.count == before
    assert not [gateway for gateway in meliora.store.gateways.list(meliora.clock.now_us()) if gateway.id == "evil"]


@pytest.mark.parametrize("header", SPOOFED)
@pytest.mark.parametrize("path", ["/internal/state", "//internal/state", "/%69nternal/state", "/api/v1/calls"])
def test_no_header_opens_what_is_closed(house: tuple[RunningMeliora, FakeProvider], header: bytes, path: str) -> None:
    """What a client says about where it comes from, or wants to go, counts for nothing."""
    meliora, _ = house
    read, _ = talk(meliora.gateway.port, request(path, b"", method="GET", headers=[header], secret=None), until=1)
    [answer] = Answers(read).all
    assert 400 <= answer.status < 500, read[:500]
    assert b'"secret"' not in read


def test_two_requests_in_one_piece_are_answered_in_order(house: tuple[RunningMeliora, FakeProvider]) -> None:
    """A pipeline is served, one answer each."""
    meliora, provider = house
    before = provider.count
    first = request("/v1/chat/completions", chat("one"), close=False)
    read, closed = talk(meliora.gateway.port, first + first + request("/live", b"", method="GET"))
    answers = Answers(read)
    assert [answer.status for answer in answers.all] == [200, 200, 200] and closed
    assert provider.count == before + 2


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "junk",
    [
        b"\0\0\0 nonsense\r\n\r\n",
        b"GET /x HTTP/1.1\r\nx: " + b"a" * 100_000,
        INNER + INNER.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"),
    ],
)
def test_what_comes_behind_a_request_is_never_answered_inside_its_answer(
    tmp_path: Path, stream: bool, junk: bytes
) -> None:
    """The answer under way stays whole HTTP, or ends; no refusal is written into it."""
    from meliora.testing import Play
    from meliora.testing.gateway import RunningGateway

    with (
        FakeProvider(play=Play(event_delay=0.02)) as provider,
        RunningGateway(settings(tmp_path, provider)) as gateway,
    ):
        body = chat("Write 30 words", stream=stream)
        read, _ = talk(gateway.port, request(body=body, close=False), junk, pause=0.15, seconds=4)
        records = gateway.finished(1)
    answers = Answers(read)
    assert answers.all or answers.unfinished or not read
    if answers.all:
        assert answers.all[0].status == 200 and (b"[DONE]" in answers.all[0].body or not stream)
        assert all(400 <= answer.status < 600 for answer in answers.all[1:])
    assert len(records) == 1


def test_a_trailer_is_not_a_header(house: tuple[RunningMeliora, FakeProvider]) -> None:
    """A proxy in front checks heads; what comes behind a body may neither identify nor label a call."""
    meliora, provider = house
    before = provider.count
    key = f"authorization: Bearer {SECRET}\r\nx-meliora-user: mallory\r\nx-z: z\r\n".encode()
    raw = request(framed=False, secret=None, headers=[b"transfer-encoding: chunked"], body=chunked(BODY, key))
    [answer] = Answers(talk(meliora.gateway.port, raw)[0]).all
    assert answer.status == 401
    raw = request(framed=False, headers=[b"transfer-encoding: chunked"], body=chunked(BODY, key))
    [answer] = Answers(talk(meliora.gateway.port, raw)[0]).all
    assert answer.status == 200
    assert provider.count == before + 1
    assert {r.user for r in meliora.gateway.records() if isinstance(r, CallFinished)} == {None}


@pytest.mark.parametrize("upgrade", [b"websocket", b"h2c", b"TLS/1.0"])
def test_an_upgrade_is_not_made_and_does_not_hang(house: tuple[RunningMeliora, FakeProvider], upgrade: bytes) -> None:
    """The request is answered as what it is, and the connection ends with it."""
    meliora, provider = house
    before = provider.count
    ask = [b"connection: upgrade", b"upgrade: " + upgrade]
    raw = request(close=False, headers=ask)
    read, closed = talk(meliora.gateway.port, raw, SMUGGLED, pause=0.2, seconds=6)
    assert closed, "the connection hangs"
    answers = Answers(read)
    assert [answer.status for answer in answers.all] in ([200], [400])
    assert provider.count == before + (answers.all[0].status == 200)


def test_what_is_served_of_odd_requests_is_what_the_gateway_decided(house: tuple[RunningMeliora, FakeProvider]) -> None:
    """An absolute target, another case of chunked, an older version: served, at the provider of the settings."""
    meliora, provider = house
    port = meliora.gateway.port
    before = provider.count
    odd = [
        request("http://evil.example/v1/chat/completions", headers=[b"x-forwarded-host: evil.example"]),
        request(framed=False, headers=[b"transfer-encoding: ChUnKeD"], body=chunked(BODY)),
        request(version="HTTP/1.0"),
        request("/v1/chat/completions?x=1&y=%0d%0ahost:%20evil"),
        request("/v1/ch%61t/completions"),
        request(headers=[b"transfer_encoding: chunked", b"content_length: 3", b"cookie: a=b", b"x-evil: 1"]),
    ]
    for raw in odd:
        [answer] = Answers(talk(port, raw)[0]).all
        assert answer.status == 200, (raw[:80], answer)
    seen = provider.requests[-len(odd) :]
    assert provider.count == before + len(odd)
    for one in seen:
        names = {name.lower() for name, _ in one.headers}
        assert one.path.partition("?")[0] == "/v1/chat/completions"
        assert one.body == BODY
        assert not names & {"cookie", "x-evil", "authorization", "x-forwarded-host", "transfer-encoding", "upgrade"}
        assert dict(one.headers)["host"] == f"127.0.0.1:{provider.port}"
