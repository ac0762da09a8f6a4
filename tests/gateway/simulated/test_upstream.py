"""The simulated provider in this process: its pace, its ids, its refusals."""

from __future__ import annotations

import json
from typing import Any

import pytest

from meliora.errors import UpstreamBroken
from meliora.gateway.simulated.models import find_model
from meliora.gateway.simulated.upstream import Pace, SimulatedUpstream
from meliora.gateway.upstream import UpstreamRequest
from meliora.testing import FrozenClock


def post(path: str = "/chat/completions", **body: Any) -> UpstreamRequest:
    usual = {"model": "simulated-large", "messages": [{"role": "user", "content": "Say: hello to you"}]}
    return UpstreamRequest("POST", path, [], json.dumps({**usual, **body}).encode())


def upstream(scale: float = 0, **more: Any) -> tuple[SimulatedUpstream, FrozenClock]:
    clock = FrozenClock()
    return SimulatedUpstream(pace=Pace(scale, clock.sleep), clock=clock, **more), clock


async def test_an_answer_comes_whole_and_says_that_it_is_simulated() -> None:
    simulated, _ = upstream()
    answer = await simulated.send(post())
    body = json.loads(await answer.read(100_000))
    assert (answer.status, body["choices"][0]["message"]["content"]) == (200, "[simulated] hello to you")
    assert dict(answer.headers)[b"x-meliora-simulated"] == b"true"
    assert await answer.chunk() == b""


async def test_a_stream_comes_event_by_event() -> None:
    simulated, _ = upstream()
    answer = await simulated.send(post(stream=True))
    chunks = []
    while chunk := await answer.chunk():
        chunks.append(chunk)
    assert all(chunk.endswith(b"\n\n") for chunk in chunks)
    assert chunks[-1] == b"data: [DONE]\n\n"
    assert dict(answer.headers)[b"content-type"].startswith(b"text/event-stream")


async def test_declared_latency_passes_before_the_head_and_between_tokens() -> None:
    model = find_model("simulated-large")
    assert model
    simulated, clock = upstream(scale=100)
    answer = await simulated.send(post(stream=True))
    assert clock.monotonic() == pytest.approx(model.first_token_ms / 10)
    chunks = 0
    while await answer.chunk():
        chunks += 1
    assert clock.monotonic() == pytest.approx(model.first_token_ms / 10 + (chunks + 1) * model.token_ms / 10)
    whole, still = upstream(scale=100)
    tokens = json.loads(await (await whole.send(post())).read(100_000))["usage"]["completion_tokens"]
    assert still.monotonic() == pytest.approx(model.first_token_ms / 10 + tokens * model.token_ms / 10)


async def test_no_latency_passes_at_scale_zero() -> None:
    simulated, clock = upstream()
    await (await simulated.send(post())).read(100_000)
    assert clock.monotonic() == 0


async def test_equal_requests_get_the_same_words_under_different_ids() -> None:
    simulated, _ = upstream()
    first, second = [json.loads(await (await simulated.send(post())).read(100_000)) for _ in range(2)]
    assert first["choices"] == second["choices"]
    assert first["id"] != second["id"]
    assert simulated.sent == 2


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (post(model="gpt-5"), 404),
        (post("/nothing"), 404),
        (post(model="simulated-embedding"), 400),
        (post("/embeddings", input="x"), 400),
        (UpstreamRequest("POST", "/messages", [], b"{"), 400),
        (UpstreamRequest("POST", "/messages", [], b"[" * 5000 + b"]" * 5000), 400),
        (UpstreamRequest("GET", "/models", [], b""), 200),
    ],
)
async def test_what_cannot_be_served_gets_an_error_answer(request_: UpstreamRequest, status: int) -> None:
    simulated, _ = upstream()
    answer = await simulated.send(request_)
    body = json.loads(await answer.read(100_000))
    assert answer.status == status
    assert ("error" in body) == (status != 200)


async def test_a_limit_on_the_body_is_kept_and_an_aborted_answer_gives_no_more() -> None:
    simulated, _ = upstream()
    with pytest.raises(UpstreamBroken):
        await (await simulated.send(post())).read(10)
    answer = await simulated.send(post(stream=True))
    await answer.chunk()
    answer.abort()
    answer.abort()
    with pytest.raises(UpstreamBroken):
        await answer.chunk()
    await simulated.close()
