"""What fails upstream is retried elsewhere while the client has seen nothing, and told plainly when it cannot be helped."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from meliora.settings.models import Model, Provider, Retry, Settings, Timeouts
from meliora.telemetry.records import CallFinished
from meliora.testing import FakeProvider, FaultPlan, FaultRule, FrozenClock, Play, faults
from meliora.testing.gateway import RunningGateway
from tests.gateway.asking import QUICK, chat, get, messages, opened, post, settings, stream_text
from tests.gateway.raw_upstream import RawUpstream, Step, said, stream, whole

IMPATIENT = Timeouts(connect=1, first_byte=1, stall=1, total=20)
BEFORE_CONTENT = [
    faults.Reset(),
    faults.Status(500),
    faults.Status(503),
    faults.Status(429),
    faults.Status(529),
    faults.Status(402, "billing"),
    faults.Status(429, "quota"),
    faults.SlowHeaders(30),
    faults.Garbage(),
    faults.HugeHeader(),
    faults.WrongContentLength(50),
    faults.WrongContentLength(-5),
    faults.Cut(after_bytes=20),
    faults.MalformedChunk(0),
]
BEFORE_CONTENT_OF_A_STREAM = [
    faults.Reset(),
    faults.Status(500),
    faults.Status(429),
    faults.SlowHeaders(30),
    faults.Garbage(),
    faults.Cut(after_events=0),
    faults.Cut(after_events=1),
    faults.Stall(after_events=1, seconds=30),
    faults.ErrorInStream(after_content=0),
    faults.MalformedChunk(1),
]


def _two(tmp_path: Path, bad: FakeProvider, good: FakeProvider) -> Settings:
    """Two endpoints of one model; the bad one is always tried first, and soon given up."""
    made = settings(tmp_path, bad, good)
    first = made.providers["p0"].model_copy(update={"timeouts": IMPATIENT})
    second = made.providers["p1"].model_copy(update={"weight": 0})
    return made.model_copy(update={"providers": {"p0": first, "p1": second}})


@pytest.mark.parametrize("fault", BEFORE_CONTENT, ids=repr)
def test_a_whole_answer_comes_from_the_other_endpoint(tmp_path: Path, fault: Any) -> None:
    """The client sees one good answer; the record names both attempts."""
    plan = FaultPlan(rules=[FaultRule(fault)])
    with FakeProvider(plan) as bad, FakeProvider() as good, RunningGateway(_two(tmp_path, bad, good)) as gateway:
        answer = post(gateway, "/v1/chat/completions", chat())
        [record] = gateway.finished(1)
    assert answer.status == 200, answer.body
    assert [a.endpoint for a in record.attempts] == ["p0/m", "p1/m"]
    assert record.attempts[0].error and not record.attempts[1].error
    assert record.outcome == "ok"


@pytest.mark.parametrize("fault", BEFORE_CONTENT_OF_A_STREAM, ids=repr)
def test_a_stream_begins_anew_elsewhere_while_the_client_has_no_content(tmp_path: Path, fault: Any) -> None:
    """A prelude is not content: the answer comes whole, once, from the other endpoint."""
    plan = FaultPlan(rules=[FaultRule(fault)])
    with FakeProvider(plan) as bad, FakeProvider() as good, RunningGateway(_two(tmp_path, bad, good)) as gateway:
        answer = post(gateway, "/v1/chat/completions", chat(stream=True))
        [record] = gateway.finished(1)
    assert answer.status == 200
    assert stream_text(answer.body).count("[simulated]") == 1
    assert answer.body.count(b"[DONE]") == 1
    assert [a.endpoint for a in record.attempts] == ["p0/m", "p1/m"]


@pytest.mark.parametrize(
    "fault",
    [faults.Cut(after_events=4), faults.Stall(after_events=4, seconds=30), faults.MalformedChunk(4), faults.Reset(4)],
    ids=repr,
)
@pytest.mark.parametrize("dialect", ["chat", "messages"])
def test_a_stream_that_breaks_after_content_ends_with_an_error_and_is_never_begun_again(
    tmp_path: Path, fault: Any, dialect: str
) -> None:
    """What the client has read cannot be taken back: it gets an error in its own dialect."""
    plan = FaultPlan(rules=[FaultRule(fault)])
    with FakeProvider(plan) as bad, FakeProvider() as good:
        made = _two(tmp_path, bad, good)
        if dialect == "messages":
            both = {n: p.model_copy(update={"kind": "anthropic"}) for n, p in made.providers.items()}
            made = made.model_copy(update={"providers": both})
        with RunningGateway(made) as gateway:
            if dialect == "chat":
                answer = post(gateway, "/v1/chat/completions", chat("Write 50 words", stream=True))
            else:
                answer = post(gateway, "/v1/messages", messages("Write 50 words", stream=True))
            [record] = gateway.finished(1)
        assert good.count == 0
    assert b'"error"' in answer.body
    assert (b"[DONE]" not in answer.body) and (b"message_stop" not in answer.body)
    assert record.outcome == "error"
    assert record.error_code in ("upstream_broken", "upstream_timeout")


def test_the_last_refusal_reaches_the_client_as_the_upstream_said_it(tmp_path: Path) -> None:
    """Status, body and retry-after are the upstream's own."""
    plan = FaultPlan(rules=[FaultRule(faults.Status(429, retry_after=60, message="slow down, please"))])
    with FakeProvider(plan) as provider, RunningGateway(settings(tmp_path, provider)) as gateway:
        answer = post(gateway, "/v1/chat/completions", chat())
        [record] = gateway.finished(1)
        assert provider.count == 1, "a retry-after beyond the patience is not waited for"
    assert answer.status == 429
    assert answer.headers["retry-after"] == "60"
    assert answer.json["error"]["message"] == "slow down, please"
    assert record.status == 429


def test_a_short_retry_after_is_honoured(tmp_path: Path) -> None:
    """The same endpoint is asked again, not before it said."""
    plan = FaultPlan([faults.Status(429, retry_after=1)])
    with FakeProvider(plan) as provider, RunningGateway(settings(tmp_path, provider)) as gateway:
        began = time.monotonic()
        answer = post(gateway, "/v1/chat/completions", chat())
        took = time.monotonic() - began
    assert answer.status == 200
    assert took >= 1.0


def test_exhausted_quota_is_never_tried_again_at_the_same_provider(tmp_path: Path) -> None:
    """Money does not come back by asking; SDKs are told not to ask again either."""
    plan = FaultPlan(rules=[FaultRule(faults.Status(429, "quota"))])
    with FakeProvider(plan) as provider, RunningGateway(settings(tmp_path, provider)) as gateway:
        answer = post(gateway, "/v1/chat/completions", chat())
        assert provider.count == 1
    assert answer.status == 429
    assert answer.headers["x-should-retry"] == "false"


def test_a_request_that_is_the_clients_fault_is_not_repeated(tmp_path: Path) -> None:
    """A 400 is a 400 everywhere."""
    plan = FaultPlan(rules=[FaultRule(faults.Status(400))])
    with FakeProvider(plan) as bad, FakeProvider() as good, RunningGateway(_two(tmp_path, bad, good)) as gateway:
        answer = post(gateway, "/v1/chat/completions", chat())
        assert good.count == 0
    assert answer.status == 400


def test_the_providers_refusal_of_our_own_key_is_not_shown_as_the_clients(tmp_path: Path) -> None:
    """An SDK must not tell its user that the user's key is wrong."""
    with FakeProvider(play=Play(api_key="right")) as provider, RunningGateway(settings(tmp_path, provider)) as gateway:
        answer = post(gateway, "/v1/chat/completions", chat())
    assert answer.status == 502
    assert "own key" in answer.json["error"]["message"]


def test_a_model_falls_back_to_another_and_says_so(tmp_path: Path) -> None:
    """The chain of the settings is walked; the headers and the record tell."""
    with FakeProvider(FaultPlan(rules=[FaultRule(faults.Status(500), model="m")])) as provider:
        made = settings(tmp_path, provider, models={"m": Model(fallbacks=["n"]), "n": Model()})
        made = made.model_copy(
            update={"providers": {"p0": Provider(base_url=provider.base_url_openai, models=["m", "n"])}}
        )
        with RunningGateway(made) as gateway:
            answer = post(gateway, "/v1/chat/completions", chat())
            [record] = gateway.finished(1)
    assert answer.status == 200
    assert answer.headers["x-meliora-model"] == "n"
    assert answer.headers["x-meliora-reason"] == "fallback:m"
    assert record.model == "n"
    assert record.reason == "fallback:m"


def test_a_breaker_takes_a_failing_endpoint_out_and_lets_it_back(tmp_path: Path) -> None:
    """After enough failures nobody waits for it; after its time one call probes it."""
    breaker = QUICK.breaker.model_copy(update={"min_calls": 3, "open_seconds": 0.3})
    once = Retry(attempts=1)
    gateway_settings = QUICK.model_copy(update={"breaker": breaker, "retry": once})
    plan = FaultPlan([faults.Status(500)] * 3)
    with (
        FakeProvider(plan) as provider,
        RunningGateway(settings(tmp_path, provider, gateway=gateway_settings), clock=FrozenClock()) as gateway,
    ):
        for _ in range(3):
            assert post(gateway, "/v1/chat/completions", chat()).status == 500
        refused = post(gateway, "/v1/chat/completions", chat())
        assert provider.count == 3
        assert refused.status == 503
        assert refused.json["error"]["code"] == "no_endpoint"
        assert b'meliora_breaker_open{endpoint="p0/m"} 1.0' in get(gateway, "/metrics").body
        gateway.clock.advance(0.4)  # type: ignore[attr-defined]
        assert post(gateway, "/v1/chat/completions", chat()).status == 200
        assert post(gateway, "/v1/chat/completions", chat()).status == 200


def test_a_dead_endpoint_is_passed_over(tmp_path: Path) -> None:
    """A refused connection costs the client nothing."""
    with (
        FakeProvider() as bad,
        FakeProvider() as good,
        RunningGateway(_two(tmp_path, bad, good)) as gateway,
        bad.refusing(),
    ):
        answer = post(gateway, "/v1/chat/completions", chat())
        [record] = gateway.finished(1)
    assert answer.status == 200
    assert record.attempts[0].error == "upstream_unreachable"


def test_a_kept_connection_that_the_upstream_closed_is_replaced_silently(tmp_path: Path) -> None:
    """Between two calls the upstream restarts; the second call does not notice."""
    with FakeProvider() as provider, RunningGateway(settings(tmp_path, provider)) as gateway:
        assert post(gateway, "/v1/chat/completions", chat()).status == 200
        with provider.refusing():
            pass
        answer = post(gateway, "/v1/chat/completions", chat())
        records = gateway.finished(2)
    assert answer.status == 200
    assert all(len(r.attempts) == 1 for r in records)


def test_retries_stay_within_their_budget(tmp_path: Path) -> None:
    """A struggling upstream is not given a multiple of its load."""
    retry = Retry(attempts=3, budget_ratio=0, budget_floor=0.2, backoff=0.001)
    breaker = QUICK.breaker.model_copy(update={"min_calls": 1000})
    made = QUICK.model_copy(update={"retry": retry, "breaker": breaker})
    plan = FaultPlan(rules=[FaultRule(faults.Status(500))])
    with (
        FakeProvider(plan) as provider,
        RunningGateway(settings(tmp_path, provider, gateway=made), clock=FrozenClock()) as gateway,  # in no time
    ):
        for _ in range(20):
            post(gateway, "/v1/chat/completions", chat())
        assert provider.count == 22


def test_a_stream_is_kept_alive_while_the_upstream_thinks(tmp_path: Path) -> None:
    """The client sees signs of life in its dialect's form, and then the whole answer."""
    body, _ = _kept_alive(tmp_path, stream(said("hello"), b"data: [DONE]\n\n"))
    assert body.startswith(b": keep-alive\n\n")
    assert stream_text(body) == "hello"


def test_a_failure_after_a_keep_alive_is_an_error_in_the_stream(tmp_path: Path) -> None:
    """The status has left; the error comes as an event."""
    body, record = _kept_alive(tmp_path, whole({"error": {"message": "x"}}, "500 X"))
    assert b'"error"' in body
    assert record.outcome == "error"


def _kept_alive(tmp_path: Path, answer: Iterable[Step]) -> tuple[bytes, CallFinished]:
    """Let the upstream answer once the client has seen a sign of life; give what the client read, and the record."""
    alive = threading.Event()
    made = QUICK.model_copy(update={"keepalive": 0.1, "retry": Retry(attempts=1), "timeouts": Timeouts(first_byte=30)})
    with (
        RawUpstream([lambda: alive.wait(20), *answer]) as upstream,
        RunningGateway(settings(tmp_path, upstream, gateway=made)) as gateway,
    ):
        with opened(gateway, "/v1/chat/completions", chat(stream=True)) as response:
            assert response.status == 200
            body = response.readline()
            alive.set()
            body += response.read()
        [record] = gateway.finished(1)
    return body, record


def test_a_stream_of_ten_thousand_chunks_passes_whole(tmp_path: Path) -> None:
    """Long streams neither grow the gateway nor lose a chunk."""
    with (
        FakeProvider(FaultPlan([faults.ManyChunks(10_000)])) as provider,
        RunningGateway(settings(tmp_path, provider)) as gateway,
    ):
        answer = post(gateway, "/v1/chat/completions", chat(stream=True))
        [record] = gateway.finished(1)
    assert answer.body.count(b"data: ") >= 10_000
    assert answer.body.endswith(b"data: [DONE]\n\n")
    assert record.outcome == "ok"
    assert record.usage is not None and (record.usage.output or 0) >= 10_000


def test_a_stream_cut_into_single_bytes_arrives_as_whole_events(tmp_path: Path) -> None:
    """However the bytes come, the client gets events."""
    with (
        FakeProvider(FaultPlan([faults.Fragmented(1)])) as provider,
        RunningGateway(settings(tmp_path, provider)) as gateway,
    ):
        answer = post(gateway, "/v1/chat/completions", chat(stream=True))
    assert "[simulated]" in stream_text(answer.body)


def test_a_client_that_stops_reading_is_cut_in_the_end(tmp_path: Path) -> None:
    """It holds no more than the buffers, and not for ever."""
    limits = QUICK.limits.model_copy(update={"client_stall": 0.5})
    made = QUICK.model_copy(update={"limits": limits})
    plan = FaultPlan([faults.ManyChunks(60_000)])
    with (
        FakeProvider(plan) as provider,
        RunningGateway(settings(tmp_path, provider, gateway=made)) as gateway,
        opened(gateway, "/v1/chat/completions", chat(stream=True)),
    ):
        [record] = gateway.finished(1, seconds=15)
    assert record.outcome == "cancelled"
    assert record.error_code == "client_stalled"


def test_calls_in_flight_end_before_the_gateway_does(tmp_path: Path) -> None:
    """SIGTERM drains."""
    import threading

    with FakeProvider(play=Play(event_delay=0.05)) as provider, RunningGateway(settings(tmp_path, provider)) as gateway:
        results: list[Any] = []
        ask = threading.Thread(
            target=lambda: results.append(post(gateway, "/v1/chat/completions", chat("Write 20 words", stream=True)))
        )
        ask.start()
        assert provider.wait_for(lambda p: p.count == 1)
        gateway.stop()
        ask.join(10)
    assert results[0].body.endswith(b"data: [DONE]\n\n")
    assert [r.outcome for r in gateway.finished(1)] == ["ok"]
