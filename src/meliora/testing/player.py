"""Recorded traffic, played again: at its own pace, faster, or as fast as it goes. Reads JSON lines; judges no answer."""

from __future__ import annotations

import http.client
import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from meliora.clock import Clock, SystemClock
from meliora.telemetry.records import CallFinished, Dialect

PATHS: Mapping[Dialect, str] = {
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
    "embeddings": "/v1/embeddings",
}


class RecordedCall(msgspec.Struct, frozen=True, omit_defaults=True):
    """A call as a line of a recording has it. `at_us` counts from the recording's beginning."""

    at_us: int
    dialect: Dialect
    body: msgspec.Raw
    path: str = ""
    """Empty: the usual one of the dialect."""
    headers: dict[str, str] = {}


@dataclass(frozen=True)
class PlayedCall:
    """What came of a call. `status` is None where no answer came, and `error` says why."""

    number: int
    status: int | None
    body: bytes
    headers: dict[str, str]
    sent_us: int
    """From the beginning to when it was sent; compare with `RecordedCall.at_us` to see a player that is behind."""
    head_us: int | None
    """From sending to the answer's head; None where there was none."""
    latency_us: int
    """From sending to the answer's end."""
    error: str | None = None


@dataclass(frozen=True)
class Pace:
    """How fast, and how many at once."""

    speed: float | None = 1.0
    """2 is twice as fast as recorded; None as fast as it goes."""
    concurrency: int = 16
    timeout: float = 60.0
    """Seconds that an answer may be silent."""
    clock: Clock = field(default_factory=SystemClock)
    sleep: Callable[[float], None] = time.sleep

    def __post_init__(self) -> None:
        if self.speed is not None and self.speed <= 0:
            raise ValueError("A speed is more than 0; None plays as fast as it goes.")
        if self.concurrency < 1:
            raise ValueError("At least one call is played at a time.")


def record_line(call: CallFinished, origin_us: int) -> bytes | None:
    """Give the line of a recording for a finished call; None where its content was not kept whole.

    `origin_us` is when the recording begins. What was masked in the content stays masked.
    """
    if call.request_text is None or call.truncated:
        return None
    return _line(call.started_us - origin_us, call.dialect, call.request_text)


def row_line(row: Mapping[str, Any], origin_us: int) -> bytes | None:
    """Do the same for a row that was exported from the store: `started_us`, `dialect`, `request_text`, `truncated`."""
    text = row.get("request_text")
    if text is None or row.get("truncated"):
        return None
    return _line(row["started_us"] - origin_us, row["dialect"], text)


def read_recording(path: Path) -> list[RecordedCall]:
    """Read a recording, in the order of its times. Raises `ValueError` naming the line that is none."""
    calls = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        if not line.strip():
            continue
        try:
            calls.append(msgspec.json.decode(line, type=RecordedCall))
        except msgspec.DecodeError as error:
            raise ValueError(f"Line {number} of {path.name} is not a recorded call: {error}.") from None
    return sorted(calls, key=lambda call: call.at_us)


def play(
    calls: Iterable[RecordedCall], base_url: str, headers: Mapping[str, str] | None = None, pace: Pace | None = None
) -> list[PlayedCall]:
    """Send the calls to `base_url` (without `/v1`) and give what came of each, in their order.

    `headers` go with every call, over those recorded; the key belongs there. A call that fails is a result, never raises.
    """
    pace = pace or Pace()
    waiting: queue.SimpleQueue[tuple[int, RecordedCall] | None] = queue.SimpleQueue()
    played: list[PlayedCall] = []
    start = pace.clock.monotonic()
    # As many threads as calls may run at once: a call that is due while all are busy is sent late, and `sent_us` shows it.
    threads = [
        threading.Thread(target=_worker, args=(waiting, played, _Target(base_url, dict(headers or {})), pace, start))
        for _ in range(pace.concurrency)
    ]
    for thread in threads:
        thread.start()
    try:
        for number, call in enumerate(calls):
            _await_due(call, pace, start)
            waiting.put((number, call))
    finally:
        for _ in threads:
            waiting.put(None)
        for thread in threads:
            thread.join()
    return sorted(played, key=lambda result: result.number)


@dataclass(frozen=True)
class _Target:
    base_url: str
    headers: dict[str, str]


def _line(at_us: int, dialect: Dialect, text: str) -> bytes | None:
    """Write one line; None where the text is no JSON, because masking or cutting broke it."""
    try:
        body = msgspec.json.encode(msgspec.json.decode(text))
    except (msgspec.DecodeError, RecursionError):
        return None
    return msgspec.json.encode(RecordedCall(at_us, dialect, msgspec.Raw(body))) + b"\n"


def _await_due(call: RecordedCall, pace: Pace, start: float) -> None:
    if pace.speed is None:
        return
    early = start + call.at_us / 1_000_000 / pace.speed - pace.clock.monotonic()
    if early > 0:
        pace.sleep(early)


def _worker(
    waiting: queue.SimpleQueue[tuple[int, RecordedCall] | None],
    played: list[PlayedCall],
    target: _Target,
    pace: Pace,
    start: float,
) -> None:
    while (task := waiting.get()) is not None:
        number, call = task
        played.append(_send(number, call, target, pace, start))


def _send(number: int, call: RecordedCall, target: _Target, pace: Pace, start: float) -> PlayedCall:
    url = urlsplit(target.base_url)
    maker = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = maker(url.hostname or "", url.port, timeout=pace.timeout)
    sent = pace.clock.monotonic()
    status, body, answered, head_us, error = None, b"", {}, None, None
    try:
        path = url.path.rstrip("/") + (call.path or PATHS[call.dialect])
        headers = {"content-type": "application/json", **call.headers, **target.headers}
        connection.request("POST", path, bytes(call.body), headers)
        answer = connection.getresponse()
        status, answered = answer.status, {name.lower(): value for name, value in answer.getheaders()}
        head_us = _micros(sent, pace)
        body = answer.read()
    except http.client.IncompleteRead as cut:
        body, error = cut.partial, "IncompleteRead"
    except (OSError, http.client.HTTPException, ValueError) as failed:
        error = f"{type(failed).__name__}: {failed}"
    finally:
        connection.close()
    return PlayedCall(
        number, status, body, answered, round((sent - start) * 1_000_000), head_us, _micros(sent, pace), error
    )


def _micros(since: float, pace: Pace) -> int:
    return round((pace.clock.monotonic() - since) * 1_000_000)
