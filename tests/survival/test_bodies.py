"""Bodies that no client should send: each gets a 4xx in its dialect's shape, quickly, and the gateway serves on."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from meliora.gateway.http import server
from meliora.testing import FakeProvider
from meliora.testing.gateway import RunningGateway
from tests.gateway.asking import QUICK, chat, post, settings
from tests.survival.wire import Answers, chunked, request, talk
from tests.survival.wire import chat as raw_chat

PATHS = ["/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1/embeddings"]
DEEP = 200_000


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningGateway, FakeProvider]]:
    limits = QUICK.limits.model_copy(update={"body_bytes": 4 << 20})
    with FakeProvider() as provider:
        made = settings(
            tmp_path_factory.mktemp("bodies"), provider, gateway=QUICK.model_copy(update={"limits": limits})
        )
        with RunningGateway(made) as gateway:
            yield gateway, provider


MALFORMED: dict[str, bytes] = {
    "nothing": b"",
    "a space": b" ",
    "no JSON": b"hello",
    "half an object": b'{"model": "m", "messages": [{"role": "user", "content": "x"',
    "an array": b"[]",
    "a number": b"1",
    "null": b"null",
    "a string": b'"x"',
    "two objects": b"{}{}",
    "a NUL": b"\0",
    "a NUL behind": b"{}\0",
    "invalid UTF-8": b'{"model": "m\xff\xfe"}',
    "UTF-16": '{"model": "m"}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"model": "m"}',
    "an overlong form": b'{"model": "\xc0\xaf"}',
    "half a surrogate in bytes": b'{"model": "\xed\xa0\x80"}',
    "half a surrogate": b'{"model": "\\ud800", "messages": []}',
    "NaN": b'{"model": "m", "temperature": NaN}',
    "infinity": b'{"model": "m", "temperature": Infinity}',
    "single quotes": b"{'model': 'm'}",
    "a trailing comma": b'{"model": "m",}',
    "a comment": b'{"model": "m" /* x */}',
    "arrays without end": b"[" * DEEP,
    "objects without end": b'{"a":' * DEEP,
    "deep arrays": b'{"model": "m", "messages": ' + b"[" * DEEP + b"]" * DEEP + b"}",
    "deep objects": b'{"model": "m", "messages": ' + b'{"a":' * 3000 + b"1" + b"}" * 3000 + b"}",
    "deep, within the parser's reach": b'{"model": "m", "x": ' + b"[" * 600 + b"]" * 600 + b"}",
    "no model": b'{"messages": [{"role": "user", "content": "x"}], "input": "x", "max_tokens": 1}',
    "a model that is a number": b'{"model": 1, "messages": [], "input": "x"}',
    "a model that is a list": b'{"model": ["m"], "messages": [], "input": "x"}',
    "a model that is null": b'{"model": null, "messages": [], "input": "x"}',
    "an empty model": b'{"model": "", "messages": [], "input": "x"}',
    "a model nobody has": b'{"model": "nobody", "messages": [], "input": "x", "max_tokens": 1}',
    "a model of a million characters": b'{"model": "' + b"m" * 1_000_000 + b'", "messages": [], "input": "x"}',
    "a model with a NUL": b'{"model": "m\\u0000", "messages": [], "input": "x"}',
    "a model with a line break": b'{"model": "m\\r\\nx: y", "messages": [], "input": "x"}',
    "a model twice": b'{"model": "m", "model": "n", "messages": [], "input": "x", "max_tokens": 1}',
    "messages twice": b'{"model": "m", "messages": [], "messages": [1], "input": "x", "input": "y", "max_tokens": 1}',
    "the same key, written otherwise": b'{"model": "m", "mod\\u0065l": "n", "messages": [], "input": "x"}',
    "stream twice": b'{"model":"m","stream":true,"stream":false,"messages":[{"role":"user","content":"x"}],"input":"x","max_tokens":1}',
    "longer than is taken": b'{"model": "m", "x": "' + b"a" * (4 << 20) + b'"}',
    "a number of ten thousand digits": b'{"model": "nobody", "seed": '
    + b"1" * 10_000
    + b', "messages": [], "input": "x"}',
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_body_is_refused_in_the_dialects_shape(
    served: tuple[RunningGateway, FakeProvider], path: str, body: bytes
) -> None:
    """Nothing of it reaches the provider, and it takes no second."""
    gateway, provider = served
    before = provider.count
    began = time.monotonic()
    answer = post(gateway, path, body)
    took = time.monotonic() - began
    assert 400 <= answer.status < 500, answer.body[:300]
    error = answer.json["error"]
    assert error["message"] and isinstance(error["type"], str)
    assert (answer.json.get("type") == "error") == (path == "/v1/messages")
    assert len(answer.body) < 10_000
    assert took < 3
    assert provider.count == before


WRONG: list[Any] = [None, True, 0, -1, 1.5, 1e308, 2**63, "", "x", [], {}, [None], [[]], [{}], [1, "x"], {"a": {}}]
FIELDS = {
    "/v1/chat/completions": ("messages", "stream", "tools", "stream_options", "response_format", "max_tokens", "user"),
    "/v1/responses": ("input", "stream", "tools", "instructions", "text", "max_output_tokens", "metadata"),
    "/v1/messages": ("messages", "stream", "tools", "system", "max_tokens", "metadata", "thinking"),
    "/v1/embeddings": ("input", "dimensions", "encoding_format", "user"),
}
GOOD: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": chat(),
    "/v1/responses": {"model": "m", "input": "hello"},
    "/v1/messages": {"model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]},
    "/v1/embeddings": {"model": "m", "input": "hello"},
}


@pytest.mark.parametrize("path", PATHS)
def test_any_value_in_any_field_is_answered(served: tuple[RunningGateway, FakeProvider], path: str) -> None:
    """Passed on or refused, never a failure of the gateway's own; and what was begun was finished."""
    gateway, _ = served
    bodies = [{**GOOD[path], field: value} for field in FIELDS[path] for value in WRONG]
    inner = "messages" if "messages" in GOOD[path] else "input"
    bodies += [{**GOOD[path], inner: [{"role": role, "content": value}]} for role in WRONG[:10] for value in WRONG]
    bodies += [
        {**GOOD[path], inner: [{"role": "user", "content": [{"type": kind, kind: value}]}]}
        for kind in ("text", "image_url", "input_image", "tool_result", "nonsense")
        for value in WRONG
    ]
    for body in bodies:
        answer = post(gateway, path, body)
        assert answer.status < 500, (body, answer.body[:300])
    whole = [(r.id, r.outcome) for r in gateway.finished()]
    assert len(whole) == len({id for id, _ in whole})
    begun = {r.id for r in gateway.records()} - {id for id, _ in whole}
    assert not begun, "calls were begun and never ended"


def test_random_damage_to_good_bodies_is_answered(served: tuple[RunningGateway, FakeProvider]) -> None:
    """A thousand bodies with bytes changed, cut or doubled."""
    gateway, _ = served
    chance = random.Random(20261121)
    raws = {path: json.dumps({**body, "stream": False}).encode() for path, body in GOOD.items()}
    for _ in range(1000):
        path = chance.choice(PATHS)
        raw = bytearray(raws[path])
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(raw))
            match chance.randrange(3):
                case 0:
                    raw[at] = chance.randrange(256)
                case 1:
                    del raw[at : at + chance.randrange(1, 9)]
                case _:
                    raw[at:at] = raw[max(0, at - 8) : at]
        answer = post(gateway, path, bytes(raw))
        assert answer.status < 500, (bytes(raw), answer.body[:300])
        assert answer.status == 200 or answer.json["error"]["message"]


@pytest.mark.parametrize("headers", [
    {"authorization": "Bearer " + "x" * 20_000},
    {"authorization": "Bearer \xff\xfe"},
    {"authorization": "Basic eDp5"},
    {"authorization": "Bearer"},
    {"traceparent": "00-" + "z" * 32 + "-x-01"},
    {"traceparent": "\xff"},
    {"tracestate": "\xe9" * 2000},
    {"content_encoding": "gzip"},
    {"content_encoding": "br, gzip"},
    {"content_type": "text/plain; charset=utf-16"},
    {"x_meliora_user": "u" * 5000},
    {"x_meliora_user": "\xff"},
    {"x_meliora_tags": "=,==,a=b=c,," * 100},
    {"x_meliora_tags": "\xff=\xfe"},
    {"idempotency_key": "k" * 10_000},
    {"idempotency_key": "\xff\xfe"},
    {"anthropic_beta": "\xe9, x"},
    {"cache_control": "no-store, max-age=99999999999999999999999"},
    {"cookie": "a=b; " * 1000},
])  # fmt: skip
def test_any_header_is_answered(served: tuple[RunningGateway, FakeProvider], headers: dict[str, str]) -> None:
    gateway, _ = served
    answer = post(gateway, "/v1/chat/completions", chat(), **headers)
    assert answer.status < 500, answer.body[:300]


def test_a_length_with_nothing_behind_is_refused_at_once(served: tuple[RunningGateway, FakeProvider]) -> None:
    """A hundred megabytes are announced; nobody waits for them."""
    gateway, _ = served
    raw = request(framed=False, body=b"", headers=[b"content-length: 104857600"])
    read, _ = talk(gateway.port, raw, until=1)
    [answer] = Answers(read).all
    assert answer.status == 413  # who waited for it would say 408


def test_a_body_in_single_bytes_and_chunks_is_one_body(served: tuple[RunningGateway, FakeProvider]) -> None:
    """However it is cut; also where the head's end and a large body come in one piece."""
    gateway, provider = served
    body = raw_chat("hello")
    pieces = [request(framed=False, headers=[b"transfer-encoding: chunked"], body=b"")]
    pieces += [b"1\r\n%c\r\n" % byte for byte in body] + [b"0\r\n\r\n"]
    read, _ = talk(gateway.port, *pieces, pause=0.0005)
    assert [answer.status for answer in Answers(read).all] == [200]
    assert provider.requests[-1].body == body
    large = raw_chat("x" * 200_000)
    raw = request(body=large)
    at = raw.index(b"\r\n\r\n")
    for cut in (at + 1, at + 2, at + 3, at + 4):
        read, _ = talk(gateway.port, raw[:cut], raw[cut:])
        assert [answer.status for answer in Answers(read).all] == [200]
        assert provider.requests[-1].body == large
    assert Answers(talk(gateway.port, request(framed=False, headers=[b"transfer-encoding: chunked", b"expect: 100-continue"],
                                              body=chunked(body)))[0]).all[0].status == 200  # fmt: skip


@pytest.mark.parametrize(
    ("pieces", "status"),
    [
        ([b"POST /", *[b"a"] * 5000], None),
        ([b"POST /v1/chat/completions HTTP/1.1\r\n"] + [b"x: y\r\n"] * 5000, None),
        ([b""], None),
        ([request(framed=False, headers=[b"content-length: 100"], body=b"")], 408),
        ([request(framed=False, headers=[b"content-length: 100000"], body=b"{")], 408),
        ([request(framed=False, headers=[b"transfer-encoding: chunked"], body=b"5\r\n{")], 408),
        ([request(framed=False, headers=[b"transfer-encoding: chunked"], body=chunked(b"{}")[:-2])], 408),
    ],
    ids=["a head in bytes", "a head in lines", "nothing", "no body", "half a body", "half a chunk", "no last line"],
)
def test_a_client_that_dawdles_does_not_keep_its_connection(
    served: tuple[RunningGateway, FakeProvider],
    pieces: list[bytes],
    status: int | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its time is up while it still drips, which it would for a minute; others are served meanwhile."""
    gateway, provider = served
    for name in ("HEAD_SECONDS", "BODY_SECONDS"):
        monkeypatch.setattr(server, name, 0.4)
    before = provider.count
    read, closed = talk(gateway.port, *pieces, pause=0.01, seconds=20)
    assert closed
    assert [answer.status for answer in Answers(read).all] == ([status] if status else [])
    assert provider.count == before
    assert post(gateway, "/v1/chat/completions", chat()).status == 200


def test_a_client_that_leaves_in_the_middle_of_its_body_leaves_nothing(
    served: tuple[RunningGateway, FakeProvider], tmp_path: Path
) -> None:
    gateway, provider = served
    before = provider.count
    for size in (0, 1, 50):
        talk(gateway.port, request(framed=False, headers=[b"content-length: 1000"], body=b"{" * size), seconds=0.05)
    assert post(gateway, "/v1/chat/completions", chat()).status == 200
    assert provider.count == before + 1
