"""Upstreams that answer in ways no documentation mentions: each is understood, or named for what it is."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from meliora.settings.models import Model, Price
from meliora.testing import FakeProvider
from meliora.testing.gateway import RunningGateway
from tests.gateway.asking import QUICK, chat, post, settings, stream_text
from tests.gateway.raw_upstream import GOOD, RawUpstream, Step, said, stream, whole

PATH = "/v1/chat/completions"
NO_RETRY = QUICK.model_copy(update={"retry": QUICK.retry.model_copy(update={"attempts": 1})})


def _ask(tmp_path: Path, answer: list[Step], **body: Any) -> tuple[Any, Any]:
    with RawUpstream(answer) as upstream:
        priced = {"m": Model(context_window=100_000, price=Price(input=1, output=2))}
        made = settings(tmp_path, upstream, gateway=NO_RETRY, models=priced)
        with RunningGateway(made) as gateway:
            answered = post(gateway, PATH, chat(**body))
            [record] = gateway.finished(1)
            assert gateway.gateway.house.admission.in_flight == 0
    return answered, record


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (whole(GOOD, "301 Moved", more="location: http://elsewhere.test/\r\n"), "answered 301"),
        (whole(b"", "302 Found"), "answered 302"),
        (whole(b""), "an empty body"),
        ([b"HTTP/1.1 204 No Content\r\n\r\n"], "an empty body"),
        (whole(gzip.compress(b"{}", mtime=0), more="content-encoding: gzip\r\n"), "'gzip'"),
        (stream(said("hi", "stop"), b"data: [DONE]\n\n"), "a stream, which was not asked for"),
        (whole(b"<html>Hello</html>", kind="text/html"), "a body that is no JSON"),
        ([b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", None], "another protocol"),
    ],
)
def test_what_is_no_answer_is_named_and_never_taken_for_one(tmp_path: Path, answer: list[Step], told: str) -> None:
    """A redirect is not followed and no success; the message says what came instead of JSON."""
    answered, record = _ask(tmp_path, answer)
    assert answered.status == 502
    assert told in answered.json["error"]["message"]
    assert (record.outcome, record.status, record.error_code) == ("error", 502, "upstream_broken")


@pytest.mark.parametrize("body", [b"", b"<html>bad gateway</html>", b"model not loaded", gzip.compress(b"{}", mtime=0)])
@pytest.mark.parametrize("status", ["400 Bad Request", "502 Bad Gateway"])
def test_a_refusal_that_is_no_json_reaches_the_client_in_its_providers_shape(
    tmp_path: Path, body: bytes, status: str
) -> None:
    """SDKs read `error.message`; a page of a proxy in between is no error of the provider."""
    answered, record = _ask(tmp_path, whole(body, status, kind="text/html"))
    assert answered.status == int(status[:3]) == record.status
    assert answered.json["error"]["message"]
    assert "<" not in answered.json["error"]["message"]


def test_an_error_that_is_a_bare_string_under_a_good_status_is_an_error(tmp_path: Path) -> None:
    """Small servers write `{"error": "..."}` and 200."""
    answered, record = _ask(tmp_path, whole({"error": "out of memory"}))
    assert answered.status == 500
    assert answered.json["error"]["message"] == "out of memory"
    assert (record.outcome, record.cost_micros) == ("error", None)


def test_a_whole_answer_to_a_stream_is_an_error_and_is_paid_for(tmp_path: Path) -> None:
    """A client that reads events would find none in it and take the answer for empty; its tokens are counted."""
    answered, record = _ask(tmp_path, whole(GOOD), stream=True)
    assert answered.status == 502
    assert "with a whole body" in answered.json["error"]["message"]
    assert (record.outcome, record.status, record.cost_micros) == ("error", 502, 20)


@pytest.mark.parametrize("end", [b"data: [DONE]\n", b"data: [DONE]", b"data:[DONE]\r\n"])
def test_a_stream_may_end_without_its_last_blank_line(tmp_path: Path, end: bytes) -> None:
    """The client gets the closing event whole."""
    answered, record = _ask(tmp_path, stream(said("hi"), said("", "stop"), end), stream=True)
    assert answered.body.endswith(b"[DONE]\n\n")
    assert b'"error"' not in answered.body
    assert stream_text(answered.body.replace(b"data:[DONE]", b"data: [DONE]")) == "hi"
    assert record.outcome == "ok"


def test_a_stream_that_is_cut_within_an_event_is_broken_whatever_the_event_was_to_be(tmp_path: Path) -> None:
    """Half a closing event closes nothing."""
    answered, record = _ask(tmp_path, stream(said("hi"), b"data: [DO"), stream=True)
    assert b"ended within an event" in answered.body
    assert (record.outcome, record.error_code) == ("error", "upstream_broken")


@pytest.mark.parametrize(
    "prelude", [b"", b": waiting\n\n", b'data: {"id":"c","choices":[{"index":0,"delta":{"role":"assistant"}}]}\n\n']
)
def test_a_stream_that_ends_in_order_before_any_content_is_tried_elsewhere(tmp_path: Path, prelude: bytes) -> None:
    """A prelude is not an answer, however properly its connection is closed."""
    with RawUpstream(stream(prelude)) as bad, FakeProvider() as good:
        made = settings(tmp_path, bad, good)
        second = made.providers["p1"].model_copy(update={"weight": 0})
        made = made.model_copy(update={"providers": {"p0": made.providers["p0"], "p1": second}})
        with RunningGateway(made) as gateway:
            answered = post(gateway, PATH, chat(stream=True))
            [record] = gateway.finished(1)
    assert answered.body.count(b"[DONE]") == 1
    assert [attempt.endpoint for attempt in record.attempts] == ["p0/m", "p1/m"]
    assert record.outcome == "ok"


def test_events_of_responses_need_no_event_line(tmp_path: Path) -> None:
    """Some servers write the type into the data alone; the closing event is known all the same."""
    done = {"type": "response.completed", "response": {"id": "r1", "status": "completed", "output": []}}
    events = [
        {"type": "response.created", "response": {"id": "r1"}},
        {"type": "response.output_text.delta", "delta": "hi"},
    ]
    pieces = [b"data: " + json.dumps(event).encode() + b"\n\n" for event in (*events, done)]
    with RawUpstream(stream(*pieces)) as upstream:
        made = settings(tmp_path, upstream, gateway=NO_RETRY)
        with RunningGateway(made) as gateway:
            answered = post(gateway, "/v1/responses", {"model": "m", "input": "hi", "stream": True})
            [record] = gateway.finished(1)
    assert b'"error"' not in answered.body
    assert (record.outcome, record.finish_reason) == ("ok", "completed")
