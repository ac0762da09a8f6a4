"""Plans give faults to calls in a way that can be told beforehand; in process they fail as the wire does."""

from __future__ import annotations

import json
import math

import pytest

from meliora.errors import UpstreamBroken, UpstreamError, UpstreamTimeout, UpstreamUnreachable
from meliora.gateway.simulated.upstream import Pace, SimulatedUpstream
from meliora.gateway.upstream import UpstreamRequest
from meliora.testing import Fault, FaultPlan, FaultRule, FrozenClock, Patience, faults

CHAT = {"model": "simulated-large", "messages": [{"role": "user", "content": "Say: a b c d e f"}]}


def request(*, stream: bool = True) -> UpstreamRequest:
    return UpstreamRequest("POST", "/chat/completions", [], json.dumps({**CHAT, "stream": stream}).encode())


def upstream(fault: Fault | None, seconds: float = 5) -> tuple[SimulatedUpstream, FrozenClock]:
    clock = FrozenClock()
    plan = FaultPlan([fault], patience=Patience(seconds, clock.sleep))
    return SimulatedUpstream(pace=Pace(0), clock=clock, faults=plan), clock


async def chunks_and_error(fault: Fault | None, *, stream: bool = True) -> tuple[list[bytes], UpstreamError | None]:
    answer = await upstream(fault)[0].send(request(stream=stream))
    chunks: list[bytes] = []
    try:
        while chunk := await answer.chunk():
            chunks.append(chunk)
    except UpstreamError as error:
        return chunks, error
    return chunks, None


def test_a_script_is_followed_call_by_call_and_then_all_is_well() -> None:
    plan = FaultPlan([faults.Reset(), None, faults.Garbage()])
    assert [plan.next("/x", "m") for _ in range(4)] == [faults.Reset(), None, faults.Garbage(), None]
    assert plan.injected == [(0, faults.Reset()), (2, faults.Garbage())]


def test_rules_match_path_and_model_and_count_only_what_matches() -> None:
    rule = FaultRule(faults.Reset(), path="*/chat/*", model="gpt-*", skip=1, times=2)
    plan = FaultPlan(rules=[rule])
    calls = [("/v1/chat/completions?x=1", "gpt-5")] * 5
    assert plan.next("/v1/messages", "gpt-5") is None
    assert plan.next("/v1/chat/completions", "claude") is None
    assert [plan.next(*call) is not None for call in calls] == [False, True, True, False, False]


def test_a_share_is_drawn_by_the_seed_and_about_as_large_as_it_says() -> None:
    def hit(seed: int) -> list[bool]:
        plan = FaultPlan(rules=[FaultRule(faults.Reset(), share=0.3)], seed=seed)
        return [plan.next("/x", None) is not None for _ in range(1000)]

    assert hit(1) == hit(1) != hit(2)
    assert abs(sum(hit(1)) - 300) < 5 * math.sqrt(1000 * 0.3 * 0.7)


async def test_no_fault_changes_nothing() -> None:
    chunks, error = await chunks_and_error(None)
    assert chunks[-1] == b"data: [DONE]\n\n"
    assert error is None


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (faults.Refuse(), UpstreamUnreachable),
        (faults.Reset(), UpstreamBroken),
        (faults.Garbage(), UpstreamBroken),
        (faults.HugeHeader(), UpstreamBroken),
        (faults.SlowHeaders(6), UpstreamTimeout),
    ],
)
async def test_faults_before_the_head_are_raised_by_send(fault: Fault, error: type[UpstreamError]) -> None:
    with pytest.raises(error):
        await upstream(fault)[0].send(request())


async def test_headers_that_are_slow_but_not_too_slow_are_waited_for() -> None:
    simulated, clock = upstream(faults.SlowHeaders(4))
    assert (await simulated.send(request())).status == 200
    assert clock.monotonic() == 4


@pytest.mark.parametrize(
    ("fault", "kept"),
    [
        (faults.Cut(after_events=2), 2),
        (faults.Cut(after_events=0), 0),
        (faults.MalformedChunk(3), 3),
        (faults.Reset(1), 1),
    ],
)
async def test_a_stream_breaks_where_the_fault_says(fault: Fault, kept: int) -> None:
    chunks, error = await chunks_and_error(fault)
    assert (len(chunks), type(error)) == (kept, UpstreamBroken)


async def test_bytes_are_cut_and_lengths_are_wrong() -> None:
    chunks, error = await chunks_and_error(faults.Cut(after_bytes=100))
    assert (len(b"".join(chunks)), type(error)) == (100, UpstreamBroken)
    whole, _ = await chunks_and_error(None, stream=False)
    long, error = await chunks_and_error(faults.WrongContentLength(5), stream=False)
    assert (len(long[0]), type(error)) == (len(whole[0]), UpstreamBroken)
    short, error = await chunks_and_error(faults.WrongContentLength(-5), stream=False)
    assert (len(short[0]), error) == (len(whole[0]) - 5, None)


async def test_a_stall_ends_the_clients_patience_or_passes() -> None:
    chunks, error = await chunks_and_error(faults.Stall(2, 6))
    assert (len(chunks), type(error)) == (2, UpstreamTimeout)
    chunks, error = await chunks_and_error(faults.Stall(2, 4))
    assert (chunks[-1], error) == (b"data: [DONE]\n\n", None)


async def test_content_is_spoiled_as_on_the_wire() -> None:
    answer = await upstream(faults.Status(429, retry_after=3))[0].send(request())
    assert (answer.status, dict(answer.headers)[b"retry-after"]) == (429, b"3")
    assert b"rate_limit_exceeded" in await answer.read(10_000)
    chunks, _ = await chunks_and_error(faults.ErrorInStream(1))
    assert (len(chunks), b'"error"' in chunks[-1]) == (3, True)
    chunks, _ = await chunks_and_error(faults.ManyChunks(500))
    assert sum(b'"content":' in chunk for chunk in chunks) == 501
    chunks, _ = await chunks_and_error(faults.MalformedEvent(1))
    with pytest.raises(ValueError):
        json.loads(chunks[1].removeprefix(b"data: "))
    chunks, _ = await chunks_and_error(faults.Fragmented(5))
    assert max(map(len, chunks)) == 5
    assert b"".join(chunks).endswith(b"[DONE]\n\n")
