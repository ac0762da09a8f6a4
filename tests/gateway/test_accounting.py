"""Every accepted call ends in exactly one finish record, and it says what the client saw."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from meliora.clock import SystemClock
from meliora.gateway.budgets import BudgetLedger
from meliora.gateway.state import LeaseGrant
from meliora.gateway.sync import Sync
from meliora.settings.models import Gateway, Model, Price, Retry, Settings
from meliora.telemetry.records import CallBegun
from meliora.testing import FakeProvider
from meliora.testing.gateway import RunningGateway, key
from tests.gateway.asking import QUICK, chat, get, messages, post, settings
from tests.gateway.raw_upstream import GOOD, RawUpstream, said, stream, whole

PATH = "/v1/chat/completions"
KEPT_ALIVE = QUICK.model_copy(update={"keepalive": 0.1, "retry": Retry(attempts=1)})


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (
            whole({"error": {"message": "no such field", "type": "invalid_request_error"}}, "400 X"),
            "invalid_request_error",
            "invalid_request_error",
        ),
        ([None], "server_error", "upstream_broken"),
    ],
)
def test_a_failure_behind_a_keep_alive_is_an_event_and_its_record_says_so(
    tmp_path: Path, answer: list[Any], kind: str, code: str
) -> None:
    """The head left with 200; what the provider said keeps its type, so that SDKs raise the right exception."""
    with (
        RawUpstream([0.5, *answer]) as upstream,
        RunningGateway(settings(tmp_path, upstream, gateway=KEPT_ALIVE)) as gateway,
    ):
        answered = post(gateway, PATH, chat(stream=True))
        [record] = gateway.finished(1)
    assert answered.status == 200
    assert answered.body.startswith(b": keep-alive\n\n")
    event = json.loads(answered.body.rpartition(b"data: ")[2])
    assert event["error"]["type"] == kind
    assert (record.outcome, record.status, record.error_code) == ("error", 200, code)


def test_a_call_that_a_defect_ends_is_answered_and_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody thought of must not vanish from the accounts."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("meliora.gateway.answering.outgoing", broken)
    with FakeProvider() as provider, RunningGateway(settings(tmp_path, provider)) as gateway:
        answered = post(gateway, PATH, chat())
        [record] = gateway.finished(1)
        assert gateway.gateway.house.admission.in_flight == 0
        begun = [one for one in gateway.records() if isinstance(one, CallBegun)]
    assert answered.status == 500
    assert (record.outcome, record.status, record.error_code) == ("error", 500, "defect")
    assert [one.id for one in begun] == [record.id]


def test_an_error_behind_content_counts_against_its_endpoint(tmp_path: Path) -> None:
    """A stream that begins well and breaks is no success of the endpoint."""
    error = b'data: {"error":{"message":"overloaded","type":"server_error"}}\n\ndata: [DONE]\n\n'
    with RawUpstream(stream(said("hi"), error)) as upstream, RunningGateway(settings(tmp_path, upstream)) as gateway:
        post(gateway, PATH, chat(stream=True))
        [record] = gateway.finished(1)
        [breaker] = gateway.gateway.snapshot.catalog.breakers.values()
        failures = breaker.view(gateway.clock.monotonic()).failures
    assert record.outcome == "error"
    assert failures == 1


class _Slow:
    """A control process that takes its time over each question."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.asked = 0

    async def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """Grant, late."""
        self.asked += 1
        await asyncio.sleep(self.seconds)
        return 200, msgspec.json.encode([LeaseGrant("key_test", "day:2026-01-01", 1)])


async def test_calls_that_wait_for_a_slice_wait_together_and_not_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A control process that hangs costs each call one patience, not one for each call before it."""
    monkeypatch.setattr("meliora.gateway.sync.LEASE_PATIENCE", 0.1)
    clock = SystemClock()
    ledger = BudgetLedger(Gateway())
    ledger.settle(ledger.reserve(key(budget_day_micros=1000), 10, clock.now_us()), 10)
    control = _Slow(60)
    sync = Sync(cast("Any", control), ledger, tmp_path / "state.json", lambda _: None, dict, "g", clock)
    assert await asyncio.gather(*(sync.lease() for _ in range(20))) == [False] * 20
    assert control.asked < 5, "whoever waited for its turn asked anew"


def test_a_long_user_is_cut_in_the_record_and_passes_whole(tmp_path: Path) -> None:
    """The provider judges it; what is kept has a bound."""
    with RawUpstream(whole(GOOD)) as upstream, RunningGateway(settings(tmp_path, upstream)) as gateway:
        post(gateway, PATH, chat(user="u" * 100_000))
        [record] = gateway.finished(1)
    assert record.user is not None
    assert len(record.user) == 200
    assert len(json.loads(upstream.requests[0][1])["user"]) == 100_000


def _anthropic(made: Settings) -> Settings:
    return made.model_copy(update={"providers": {"p0": made.providers["p0"].model_copy(update={"kind": "anthropic"})}})


def test_an_error_that_the_provider_tells_within_its_stream_is_told_once_and_by_its_name(tmp_path: Path) -> None:
    """Anthropic closes a stream behind an `error` event without its closing event: that is no second error."""
    events = [
        {"type": "message_start", "message": {"id": "m", "role": "assistant", "usage": {"input_tokens": 3}}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}},
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
    ]
    pieces = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events]
    with RawUpstream(stream(*pieces)) as upstream, RunningGateway(_anthropic(settings(tmp_path, upstream))) as gateway:
        answered = post(gateway, "/v1/messages", messages(stream=True))
        [record] = gateway.finished(1)
    assert answered.body.count(b"event: error") == 1
    assert (record.outcome, record.error_code) == ("error", "overloaded_error")


def test_an_event_that_cannot_be_translated_ends_the_stream_and_its_record_in_an_error(tmp_path: Path) -> None:
    """The client was told once; the record says the same."""
    broken = stream(said("hi"), b"data: {broken\n\n", said("", "stop"), b"data: [DONE]\n\n")
    with RawUpstream(broken) as upstream, RunningGateway(settings(tmp_path, upstream)) as gateway:
        answered = post(gateway, "/v1/messages", messages(stream=True))
        [record] = gateway.finished(1)
    assert answered.body.count(b"event: error") == 1
    assert (record.outcome, record.error_code) == ("error", "upstream_broken")


def test_an_answer_that_cannot_be_translated_is_an_error_and_is_paid_for(tmp_path: Path) -> None:
    """The provider took its tokens, whatever became of them."""
    priced = {"m": Model(context_window=100_000, price=Price(input=1, output=2))}
    nothing = whole(GOOD | {"choices": None})
    with RawUpstream(nothing) as upstream, RunningGateway(settings(tmp_path, upstream, models=priced)) as gateway:
        answered = post(gateway, "/v1/messages", messages())
        [record] = gateway.finished(1)
    assert (answered.status, answered.json["error"]["type"]) == (502, "api_error")
    assert (record.outcome, record.cost_micros) == ("error", 20)


def test_embeddings_without_usage_are_estimated_and_marked_so(tmp_path: Path) -> None:
    """No input that was counted is no input of zero."""
    model = {"m": Model(capabilities=["embeddings"], price=Price(input=1))}
    answer = whole({"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.1]}], "model": "m"})
    with RawUpstream(answer) as upstream, RunningGateway(settings(tmp_path, upstream, models=model)) as gateway:
        post(gateway, "/v1/embeddings", {"model": "m", "input": "a text of forty characters, more or less"})
        [record] = gateway.finished(1)
    assert (record.usage_source, record.usage.input if record.usage else None, record.cost_micros) == (
        "estimated",
        10,
        10,
    )


def test_names_that_clients_make_up_do_not_fill_the_metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider that passes any name on has a bound on its labels."""
    monkeypatch.setattr("meliora.gateway.tally.MOST", 3)
    with RawUpstream(whole(GOOD)) as upstream:
        made = settings(tmp_path, upstream)
        open_to_all = made.providers["p0"].model_copy(update={"passthrough": True})
        with RunningGateway(made.model_copy(update={"providers": {"p0": open_to_all}})) as gateway:
            for number in range(20):
                assert post(gateway, PATH, chat() | {"model": f"p0/made-up-{number}"}).status == 200
            shown = get(gateway, "/metrics").body.decode()
    assert shown.count("meliora_call_seconds_count{") == 4
    assert 'meliora_call_seconds_count{model="other"} 17.0' in shown
    assert shown.count("meliora_attempts_total{") <= 13
