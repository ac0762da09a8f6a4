"""Recorded traffic is played again as it was, or as fast as it goes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from meliora.telemetry.records import CallFinished
from meliora.testing import (
    FakeProvider,
    FaultPlan,
    FrozenClock,
    Play,
    PlayerPace,
    RecordedCall,
    faults,
    play,
    read_recording,
    record_line,
    row_line,
)

BODY = {"model": "simulated-small", "messages": [{"role": "user", "content": "What is 2+2?"}]}


class WaitingClock(FrozenClock):
    """A frozen clock whose sleeps are written down."""

    def __init__(self) -> None:
        super().__init__()
        self.slept: list[float] = []

    def wait(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.advance(seconds)


def finished(**more: Any) -> CallFinished:
    usual: dict[str, Any] = {
        "id": "call_1",
        "tenant": "default",
        "key_id": "k",
        "gateway": "g",
        "started_us": 5_000_000,
    }
    usual |= {
        "ended_us": 6_000_000,
        "dialect": "chat",
        "model_asked": "simulated-small",
        "outcome": "ok",
        "status": 200,
    }
    return CallFinished(**{**usual, "request_text": json.dumps(BODY), **more})


def recorded(at_us: int = 0, **body: Any) -> RecordedCall:
    return RecordedCall(at_us, "chat", msgspec.Raw(json.dumps({**BODY, **body}).encode()))


def test_finished_calls_become_a_recording_that_is_read_back(tmp_path: Path) -> None:
    lines = [record_line(finished(started_us=at), 5_000_000) for at in (7_000_000, 5_000_000)]
    path = tmp_path / "calls.jsonl"
    path.write_bytes(b"".join(line for line in lines if line) + b"\n")
    calls = read_recording(path)
    assert [call.at_us for call in calls] == [0, 2_000_000]
    assert json.loads(bytes(calls[0].body)) == BODY


def test_a_row_of_the_store_makes_the_same_line_as_its_record() -> None:
    call = finished()
    assert row_line(msgspec.to_builtins(call), 0) == record_line(call, 0)


@pytest.mark.parametrize("more", [{"request_text": None}, {"truncated": True}, {"request_text": '{"cut'}])
def test_a_call_whose_content_is_not_whole_is_left_out(more: dict[str, Any]) -> None:
    assert record_line(finished(**more), 0) is None
    assert row_line(msgspec.to_builtins(finished(**more)), 0) is None


def test_a_line_that_is_none_is_named(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    path.write_bytes((record_line(finished(), 0) or b"") + b'{"at_us": 1}\n')
    with pytest.raises(ValueError, match=r"Line 2 of calls\.jsonl"):
        read_recording(path)


def test_calls_are_played_in_their_dialects_with_the_key_given() -> None:
    with FakeProvider(play=Play(api_key="k")) as provider:
        calls = [
            recorded(),
            RecordedCall(1, "embeddings", msgspec.Raw(b'{"model":"simulated-embedding","input":"x"}')),
            RecordedCall(2, "chat", msgspec.Raw(b"{}"), path="/v1/messages", headers={"x-tag": "7"}),
        ]
        results = play(calls, provider.base_url, {"x-api-key": "k"}, PlayerPace(speed=None))
        assert [result.status for result in results] == [200, 200, 400]
        assert "4." in json.loads(results[0].body)["choices"][0]["message"]["content"]
        assert results[0].headers["x-meliora-simulated"] == "true"
        assert all(result.head_us is not None and result.head_us <= result.latency_us for result in results)
        assert [seen.header("x-tag") for seen in provider.requests if seen.path == "/v1/messages"] == ["7"]


@pytest.mark.parametrize("speed", [1.0, 4.0])
def test_the_pace_is_the_recorded_one_times_the_speed(speed: float) -> None:
    clock = WaitingClock()
    calls = [recorded(at_us) for at_us in (0, 2_000_000, 6_000_000)]
    with FakeProvider() as provider:
        play(calls, provider.base_url, pace=PlayerPace(speed, clock=clock, sleep=clock.wait))
    assert clock.slept == [2 / speed, 4 / speed]


def test_no_more_calls_run_at_once_than_allowed() -> None:
    with FakeProvider(FaultPlan([faults.SlowHeaders(0.02)] * 6)) as provider:
        results = play([recorded()] * 6, provider.base_url, pace=PlayerPace(None, concurrency=2))
        assert provider.count == 6
    begun = sorted((result.sent_us, result.sent_us + result.latency_us) for result in results)
    assert max(sum(start <= at < end for start, end in begun) for at, _ in begun) == 2


def test_failures_are_results() -> None:
    plan = FaultPlan([faults.Reset(), faults.Cut(after_bytes=10), faults.Garbage(), faults.Status(500)])
    with FakeProvider(plan) as provider:
        results = play([recorded()] * 4, provider.base_url, pace=PlayerPace(None, concurrency=1))
        gone = provider.base_url
    assert [result.status for result in results] == [None, 200, None, 500]
    assert [result.error is None for result in results] == [False, False, False, True]
    assert len(results[1].body) == 10
    assert "refused" in (play([recorded()], gone)[0].error or "").lower()


def test_a_pace_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="speed"):
        PlayerPace(speed=0)
    with pytest.raises(ValueError, match="one call"):
        PlayerPace(concurrency=0)
