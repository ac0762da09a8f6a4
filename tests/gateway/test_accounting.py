"""Every accepted call ends in exactly one finish record, and it says what the client saw."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from meliora.clock import SystemClock
from meliora.gateway.budgets import BudgetLedger
from meliora.gateway.state import LeaseGrant
from meliora.gateway.sync import Sync
from meliora.settings.models import Gateway, Retry
from meliora.telemetry.records import CallBegun
from meliora.testing import FakeProvider
from meliora.testing.gateway import RunningGateway, key
from tests.gateway.asking import QUICK, chat, post, settings
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

    monkeypatch.setattr("meliora.gateway.serve.outgoing", broken)
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
    control: Any = _Slow(60)
    sync = Sync(control, ledger, tmp_path / "state.json", lambda _: None, dict, "g", clock)
    async with asyncio.timeout(1):
        assert await asyncio.gather(*(sync.lease() for _ in range(20))) == [False] * 20


def test_a_long_user_is_cut_in_the_record_and_passes_whole(tmp_path: Path) -> None:
    """The provider judges it; what is kept has a bound."""
    with RawUpstream(whole(GOOD)) as upstream, RunningGateway(settings(tmp_path, upstream)) as gateway:
        post(gateway, PATH, chat(user="u" * 100_000))
        [record] = gateway.finished(1)
    assert record.user is not None
    assert len(record.user) == 200
    assert len(json.loads(upstream.requests[0][1])["user"]) == 100_000
