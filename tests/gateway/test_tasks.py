"""The task of a call that names its model is told once: from its record where that holds the request, else by the gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from meliora.gateway.tasks import task_later
from meliora.settings.models import Recording, Settings
from meliora.telemetry.records import CallFinished
from meliora.testing import FakeProvider
from meliora.testing.gateway import RunningGateway
from tests.gateway.asking import chat, messages, post, settings

ROUTING = Settings().routing
PATH = "/v1/chat/completions"
ASKED = {
    "code": "Write a function in Python that sorts a list.",
    "creative": "Write a short story about a cat.",
    "reasoning": "Why is the sky blue? Prove it.",
    "simple": "What is the capital of France?",
    "chat": "The order came late, \ud83d\ude00 and Київ waits.",
}


def recorded(tmp_path: Path, *asked: tuple[str, dict[str, Any]], **recording: Any) -> list[CallFinished]:
    """Make calls one after the other and give their records."""
    with (
        FakeProvider() as provider,
        RunningGateway(settings(tmp_path, provider, recording=Recording(**recording))) as gateway,
    ):
        for count, (path, body) in enumerate(asked, 1):
            post(gateway, path, body)
            records = gateway.finished(count)
    return sorted(records, key=lambda record: record.started_us)


@pytest.mark.parametrize("content", ["redacted", "full"])
def test_a_record_with_the_whole_request_tells_the_task_later(tmp_path: Path, content: str) -> None:
    """In each dialect, streamed or not, the same task as the gateway would have told."""
    asked = [(PATH, chat(text, stream=text.startswith("W"))) for text in ASKED.values()]
    asked.append(("/v1/messages", messages(ASKED["code"])))
    asked.append(("/v1/responses", {"model": "m", "input": ASKED["creative"]}))
    records = recorded(tmp_path, *asked, content=content)
    assert [record.outcome for record in records] == ["ok"] * len(asked)
    assert {record.task for record in records} == {None}
    assert [task_later(record, ROUTING) for record in records] == [*ASKED, "code", "creative"]


def test_without_the_whole_request_in_the_record_the_gateway_tells_the_task(tmp_path: Path) -> None:
    """Nothing kept, something masked, or the end cut off: nobody could tell it later."""
    asked = (PATH, chat(ASKED["code"])), (PATH, chat(ASKED["code"], stream=True))
    assert [one.task for one in recorded(tmp_path / "off", *asked, content="off")] == ["code", "code"]
    assert [one.task for one in recorded(tmp_path / "cut", *asked, content_bytes=64)] == ["code", "code"]
    private = (PATH, chat(ASKED["code"] + " Mail it to ann@example.org.")), (PATH, chat(ASKED["creative"]))
    masked, clean = recorded(tmp_path / "masked", *private, content="redacted")
    assert (masked.task, masked.masked > 0) == ("code", True)
    assert (clean.task, task_later(clean, ROUTING)) == (None, "creative")


def test_a_call_that_was_refused_before_a_decision_has_no_task(tmp_path: Path) -> None:
    """As it never had one."""
    [record] = recorded(tmp_path, (PATH, chat(ASKED["code"]) | {"model": "nobody"}), content="full")
    assert (record.outcome, record.task, task_later(record, ROUTING)) == ("error", None, None)


def test_a_request_that_cannot_be_read_has_no_task_and_a_task_that_stands_is_kept(tmp_path: Path) -> None:
    """Whatever wrote the record."""
    [record] = recorded(tmp_path, (PATH, chat(ASKED["code"])), content="full")
    for text in ("", "{", "[]", "7", '{"model": 1}', '{"model": "m", "messages": 7}', "[" * 100_000):
        assert task_later(msgspec.structs.replace(record, request_text=text), ROUTING) is None
    assert task_later(msgspec.structs.replace(record, task="chat"), ROUTING) == "chat"
