"""The fake provider: each fault does on the wire what it says, seen by a raw socket or the plainest client."""

from __future__ import annotations

import http.client
import json
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import anthropic
import openai
import pytest

from meliora.testing import FakeProvider, Fault, FaultPlan, FaultRule, FrozenClock, Play, faults

CHAT = {"model": "simulated-large", "messages": [{"role": "user", "content": "Say: a b c d e f"}]}
STREAM = {**CHAT, "stream": True}


def post(path: str, body: dict[str, Any], extra: str = "") -> bytes:
    data = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\n{extra}content-length: {len(data)}\r\n\r\n"
    return head.encode() + data


def dial(provider: FakeProvider) -> socket.socket:
    return socket.create_connection(("127.0.0.1", provider.port), timeout=5)


def raw(fault: Fault | None, body: dict[str, Any] = STREAM, path: str = "/v1/chat/completions") -> bytes:
    """Give everything that comes over the wire until the server closes."""
    with FakeProvider(FaultPlan([fault]), clock=FrozenClock()) as provider, dial(provider) as sock:
        sock.sendall(post(path, body, "connection: close\r\n"))
        return b"".join(iter(lambda: sock.recv(65536), b""))


def events(wire: bytes) -> list[bytes]:
    """Take the whole chunks off a chunked body."""
    rest, found = wire.partition(b"\r\n\r\n")[2], []
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        if not (length := int(size, 16)) or len(rest) < length:
            break
        found.append(rest[:length])
        rest = rest[length + 2 :]
    return found


@dataclass
class Fetched:
    status: int
    headers: dict[str, str]
    body: bytes
    error: http.client.HTTPException | None

    def read(self) -> bytes:
        if self.error:
            raise self.error
        return self.body


def fetch(provider: FakeProvider, body: Any, path: str = "/v1/chat/completions", **headers: str) -> Fetched:
    with closing(http.client.HTTPConnection("127.0.0.1", provider.port, timeout=5)) as connection:
        connection.request("POST", path, json.dumps(body), headers)
        with connection.getresponse() as answer:
            head = {name.lower(): value for name, value in answer.getheaders()}
            try:
                return Fetched(answer.status, head, answer.read(), None)
            except http.client.HTTPException as error:
                return Fetched(answer.status, head, b"", error)


@pytest.fixture(scope="module")
def well() -> Iterator[FakeProvider]:
    with FakeProvider() as provider:
        yield provider


def test_a_stream_without_fault_is_framed_to_its_end() -> None:
    wire = raw(None)
    assert wire.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"x-meliora-simulated: true" in wire
    assert wire.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")


def test_refused_connections_find_a_closed_port_and_afterwards_an_open_one() -> None:
    with FakeProvider() as provider:
        with dial(provider) as kept, provider.refusing():
            with pytest.raises(ConnectionRefusedError):
                dial(provider)
            assert kept.recv(1) == b""
        assert fetch(provider, CHAT).status == 200


def test_a_plan_on_the_wire_takes_no_refusal() -> None:
    with pytest.raises(ValueError, match="refusing"):
        FakeProvider(FaultPlan([faults.Refuse()]))


@pytest.mark.parametrize("after", [None, 0, 3])
def test_a_reset_is_a_reset(after: int | None) -> None:
    with FakeProvider(FaultPlan([faults.Reset(after)])) as provider, dial(provider) as sock:
        sock.sendall(post("/v1/chat/completions", STREAM))
        got = b""
        with pytest.raises(ConnectionResetError):
            while True:
                data = sock.recv(65536)
                assert data, "closed in order, not reset"
                got += data
        if after is None:
            assert got == b""
            assert provider.requests[0].status is None


def test_slow_headers_are_slow_and_the_call_is_known_before() -> None:
    with FakeProvider(FaultPlan([faults.SlowHeaders(0.2)])) as provider:
        began = time.monotonic()
        assert fetch(provider, CHAT).status == 200
        assert time.monotonic() - began >= 0.2


@pytest.mark.parametrize("count", [0, 1, 4])
def test_a_cut_stream_ends_in_order_but_without_its_end(count: int) -> None:
    wire = raw(faults.Cut(after_events=count))
    assert len(events(wire)) == count
    assert not wire.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("size", [0, 1, 333, 600])
def test_a_body_is_cut_at_the_byte(size: int) -> None:
    whole = raw(None, CHAT).partition(b"\r\n\r\n")[2]
    assert raw(faults.Cut(after_bytes=size), CHAT).partition(b"\r\n\r\n")[2] == whole[:size]
    with FakeProvider(FaultPlan([faults.Cut(after_bytes=size)])) as provider:
        answer = fetch(provider, STREAM)
        with pytest.raises(http.client.IncompleteRead):
            answer.read()


def test_a_stalled_stream_is_silent_and_ends_when_the_client_leaves() -> None:
    with FakeProvider(FaultPlan([faults.Stall(after_events=2)])) as provider, dial(provider) as sock:
        sock.sendall(post("/v1/chat/completions", STREAM))
        provider.wait_for(lambda p: bool(p.requests))
        sock.settimeout(0.2)
        got = b""
        with pytest.raises(TimeoutError):
            while True:
                got += sock.recv(65536)
        assert len(events(got)) == 2
        sock.close()
        assert provider.wait_idle()
        assert (provider.requests[0].aborted, provider.requests[0].finished) == (True, False)


def test_a_short_stall_goes_on() -> None:
    assert raw(faults.Stall(1, 0.05)).endswith(b"0\r\n\r\n")
    assert json.loads(raw(faults.Stall(1, 0.05), CHAT).partition(b"\r\n\r\n")[2])["object"] == "chat.completion"


@pytest.mark.parametrize("body", [CHAT, STREAM], ids=["whole", "stream"])
def test_a_malformed_chunk_breaks_the_framing(body: dict[str, Any]) -> None:
    with FakeProvider(FaultPlan([faults.MalformedChunk(1)])) as provider, pytest.raises(http.client.HTTPException):
        fetch(provider, body).read()


def test_a_malformed_event_is_framed_well_and_is_no_json() -> None:
    found = events(raw(faults.MalformedEvent(2)))
    with pytest.raises(ValueError):
        json.loads(found[2].removeprefix(b"data: "))
    json.loads(found[3].removeprefix(b"data: "))
    with FakeProvider(FaultPlan([faults.MalformedEvent()])) as provider, pytest.raises(ValueError):
        json.loads(fetch(provider, CHAT).read())


def test_a_content_length_is_too_long_or_too_short() -> None:
    with FakeProvider(FaultPlan([faults.WrongContentLength(10), faults.WrongContentLength(-10)])) as provider:
        with pytest.raises(http.client.IncompleteRead):
            fetch(provider, CHAT).read()
        with pytest.raises(ValueError):
            json.loads(fetch(provider, CHAT).read())


@pytest.mark.parametrize(
    ("fault", "path", "status", "kind"),
    [
        (faults.Status(429, retry_after=2), "/v1/chat/completions", 429, "rate_limit_exceeded"),
        (faults.Status(429, "quota"), "/v1/chat/completions", 429, "insufficient_quota"),
        (faults.Status(500), "/v1/responses", 500, "server_error"),
        (faults.Status(402), "/v1/chat/completions", 402, "insufficient_quota"),
        (faults.Status(400, "context"), "/v1/chat/completions", 400, "context_length_exceeded"),
        (faults.Status(529), "/v1/messages", 529, "overloaded_error"),
        (faults.Status(429), "/v1/messages", 429, "rate_limit_error"),
        (faults.Status(400, "billing"), "/v1/messages", 400, "credit balance"),
        (faults.Status(402, "billing"), "/v1/messages", 402, "billing_error"),
    ],
)
def test_a_status_has_the_shape_of_its_dialect(fault: faults.Status, path: str, status: int, kind: str) -> None:
    with FakeProvider(FaultPlan([fault])) as provider:
        answer = fetch(provider, STREAM, path)
        body = answer.read().decode()
        assert (answer.status, kind in body) == (status, True), body
        assert answer.headers.get("retry-after") == (f"{fault.retry_after:g}" if fault.retry_after else None)


@pytest.mark.parametrize("after", [0, 2])
@pytest.mark.parametrize(
    ("path", "prelude", "mark"),
    [("/v1/chat/completions", 1, b'"error"'), ("/v1/messages", 3, b"event: error"), ("/v1/responses", 4, b"event: error")],
)  # fmt: skip
def test_an_error_comes_in_the_stream_before_or_after_content(path: str, prelude: int, mark: bytes, after: int) -> None:
    body = {**STREAM, "max_tokens": 50, "input": "Say: a b c d"}
    found = events(raw(faults.ErrorInStream(after), body, path))
    assert len(found) == prelude + after + 1
    assert mark in found[-1]


def test_a_stream_of_ten_thousand_chunks() -> None:
    with FakeProvider(FaultPlan([faults.ManyChunks(10_000)])) as provider:
        chunks = [line for line in fetch(provider, STREAM).read().split(b"\n") if b'"content":' in line]
        assert len(chunks) == 10_001
        assert provider.wait_idle()
        assert provider.requests[0].events == 10_003


def test_fragments_end_anywhere_and_hold_the_whole() -> None:
    assert {len(piece) for piece in events(raw(faults.Fragmented(7)))[:-1]} == {7}
    with FakeProvider(FaultPlan([faults.Fragmented(7)])) as provider:
        assert fetch(provider, STREAM).read().endswith(b"data: [DONE]\n\n")


def test_a_huge_header_and_garbage() -> None:
    assert b"x-huge: " + b"h" * 100_000 in raw(faults.HugeHeader(100_000))
    wire = raw(faults.Garbage(100))
    assert len(wire) == 100
    assert not wire.startswith(b"HTTP")
    assert wire == raw(faults.Garbage(100))


def test_a_connection_is_kept_for_the_next_call(well: FakeProvider) -> None:
    ports = set()
    with closing(http.client.HTTPConnection("127.0.0.1", well.port, timeout=5)) as connection:
        for body in (CHAT, STREAM, CHAT):
            connection.request("POST", "/v1/chat/completions", json.dumps(body))
            connection.getresponse().read()
            ports.add(connection.sock.getsockname()[1])
    assert len(ports) == 1


def test_requests_are_recorded_with_headers_and_body(well: FakeProvider) -> None:
    before = well.count
    data = json.dumps(CHAT).encode()
    chunked = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nX-Tag: 7\r\ntransfer-encoding: chunked\r\n\r\n"
    with dial(well) as sock:
        sock.sendall(chunked + b"%x\r\n" % 9 + data[:9] + b"\r\n%x\r\n" % len(data[9:]) + data[9:] + b"\r\n0\r\n\r\n")
        assert sock.recv(15) == b"HTTP/1.1 200 OK"
        assert well.wait_idle()
    seen = well.requests[-1]
    assert (well.count, seen.number) == (before + 1, before + 1)
    assert (seen.method, seen.path, seen.header("x-tag"), seen.json()) == ("POST", "/v1/chat/completions", "7", CHAT)
    assert (seen.status, seen.finished) == (200, True)


def test_only_the_latest_requests_are_remembered() -> None:
    with FakeProvider(play=Play(keep=2)) as provider:
        for _ in range(3):
            fetch(provider, CHAT).read()
        assert provider.count == 3
        assert [seen.number for seen in provider.requests] == [2, 3]


def test_a_client_that_leaves_is_seen_to_leave_and_one_that_reads_slowly_is_waited_for() -> None:
    with FakeProvider(FaultPlan(rules=[FaultRule(faults.ManyChunks(60_000))])) as provider, dial(provider) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.sendall(post("/v1/chat/completions", STREAM))
        sock.recv(100)
        assert not provider.wait_idle(0.3)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
        assert provider.wait_idle()
        assert provider.requests[0].aborted
        assert provider.requests[0].events < 60_000


def test_what_is_no_request_closes_the_connection(well: FakeProvider) -> None:
    for junk in (b"hello\r\n\r\n", b"POST /v1/responses HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"):
        with dial(well) as sock:
            sock.sendall(junk)
            assert sock.recv(100) == b""


def test_a_key_is_asked_for_in_each_way_that_clients_send_one() -> None:
    with FakeProvider(play=Play(api_key="right")) as provider:
        for header in ({"authorization": "Bearer right"}, {"x-api-key": "right"}, {"api-key": "right"}):
            assert fetch(provider, CHAT, **header).status == 200
        assert fetch(provider, CHAT).status == 401


def test_the_official_clients_talk_to_it(well: FakeProvider) -> None:
    with openai.OpenAI(base_url=well.base_url_openai, api_key="k", max_retries=0) as client:
        made = client.chat.completions.create(model="any-name", messages=[{"role": "user", "content": "What is 3*3?"}])
        assert (made.choices[0].message.content, made.model) == ("[simulated] 3 * 3 = 9.", "any-name")
        assert (
            len(client.embeddings.create(model="text-embedding-3-small", input="x", dimensions=8).data[0].embedding)
            == 8
        )
        with client.responses.stream(model="any-name", input="Say: hello to you") as stream:
            assert stream.get_final_response().output_text.startswith("[simulated]")
        assert next(iter(client.models.list())).id == "simulated-small"
    with anthropic.Anthropic(base_url=well.base_url_anthropic, api_key="k", max_retries=0) as client:
        message = {"role": "user", "content": "Say: hello to you"}
        with client.messages.stream(model="claude-x", max_tokens=99, messages=[message]) as stream:
            assert stream.get_final_text().startswith("[simulated]")


def test_the_official_clients_raise_their_exceptions() -> None:
    plan = FaultPlan([faults.Status(429), faults.Status(429, "quota"), faults.Status(529), faults.ErrorInStream()])
    with FakeProvider(plan) as provider:
        with openai.OpenAI(base_url=provider.base_url_openai, api_key="k", max_retries=0) as client:
            for code in ("rate_limit_exceeded", "insufficient_quota"):
                with pytest.raises(openai.RateLimitError) as limited:
                    client.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}])
                assert limited.value.code == code
        with anthropic.Anthropic(base_url=provider.base_url_anthropic, api_key="k", max_retries=0) as client:
            message = {"role": "user", "content": "x"}
            for stream in (False, True):
                with pytest.raises(anthropic.APIStatusError) as loaded:
                    list(client.messages.create(model="m", max_tokens=9, messages=[message], stream=stream))
                assert "overloaded" in str(loaded.value)


def test_it_starts_again_at_the_same_port_and_stops_twice() -> None:
    provider = FakeProvider()
    provider.start()
    provider.start()
    port = provider.port
    provider.stop()
    provider.stop()
    with provider:
        assert provider.port == port
        assert fetch(provider, CHAT).status == 200
