"""Answers that are ready in one turn of the loop leave after one write of all their records, and never before it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from meliora.gateway.metrics import Metrics
from meliora.gateway.recorder import Recorder
from meliora.telemetry.records import CallFinished
from meliora.telemetry.redaction import Redactor
from meliora.telemetry.spool import SpoolWriter
from meliora.testing import FakeProvider, FrozenClock
from meliora.testing.gateway import RunningGateway
from tests.gateway.asking import chat, post, settings


@contextmanager
def _recorder(tmp_path: Path, events: list[str]) -> Iterator[tuple[Recorder, SpoolWriter]]:
    def write(file: int, data: bytes) -> int:
        events.append(f"write of {data.count(b'payload')}")
        return len(data)

    spool = SpoolWriter(tmp_path, write=write)
    yield Recorder(spool, Metrics(), FrozenClock(), Redactor(), "gateway"), spool
    spool.close()


async def test_what_ends_in_one_turn_is_written_once_and_then_answered_in_order(tmp_path: Path) -> None:
    """The write comes before the first of the answers; a later turn has a write of its own."""
    events: list[str] = []
    with _recorder(tmp_path, events) as (recorder, spool):
        for name in ("a", "b", "c"):
            spool.note(b"payload")
            recorder.answer(lambda name=name: events.append(name))
        assert events == []
        await asyncio.sleep(0)
        assert events == ["write of 3", "a", "b", "c"]
        spool.note(b"payload")
        recorder.answer(lambda: events.append("d"))
        await asyncio.sleep(0)
        assert events[4:] == ["write of 1", "d"]


async def test_an_answer_that_fails_takes_no_other_with_it(tmp_path: Path) -> None:
    """Its defect goes to the loop, and those behind it are sent in the next turn."""
    events: list[str] = []
    told: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context["exception"]))

    def broken() -> None:
        raise ZeroDivisionError

    with _recorder(tmp_path, events) as (recorder, _):
        for send in (lambda: events.append("a"), broken, lambda: events.append("c")):
            recorder.answer(send)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert events == ["a", "c"]
    assert [type(error) for error in told] == [ZeroDivisionError]


def test_no_answer_leaves_before_its_finish_record_is_written(tmp_path: Path) -> None:
    """Seen from the client, with the disk asked at the moment each answer arrives."""
    with FakeProvider() as provider, RunningGateway(settings(tmp_path, provider)) as gateway:

        def ask(number: int) -> bool:
            answer = post(gateway, "/v1/chat/completions", chat(f"question {number}"))
            assert answer.status == 200
            return any(
                isinstance(record, CallFinished) and record.id == answer.headers["x-meliora-call"]
                for record in gateway.records()
            )

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(ask, range(64)))
        assert gateway.gateway.house.admission.in_flight == 0


def test_a_disk_that_refuses_costs_the_records_and_not_the_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each record that was in the write is counted as lost."""
    with FakeProvider() as provider, RunningGateway(settings(tmp_path, provider)) as gateway:
        spool = gateway.gateway.house.recorder._spool

        def refuse(_file: int, _data: bytes) -> int:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(spool, "_write", refuse)
        assert post(gateway, "/v1/chat/completions", chat()).status == 200
        assert spool.dropped == 2
        assert (spool.last_error or "").startswith("ENOSPC")
