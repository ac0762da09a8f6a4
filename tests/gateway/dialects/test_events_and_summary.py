"""Questions about events that pass by, and what the record keeps of an answer."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meliora.gateway.dialects.events import drop_usage_only, has_content, is_usage_only, stream_error
from meliora.gateway.dialects.sse import KEEPALIVE, split_events
from meliora.gateway.dialects.summary import summarise_body, summarise_stream
from meliora.telemetry.records import Usage

DATA = Path(__file__).parents[2] / "data" / "dialects"
DIALECTS = ("chat", "messages", "responses")


def stream(name: str) -> bytes:
    return (DATA / f"{name}.sse").read_bytes()


@pytest.mark.parametrize(
    ("name", "prelude"),
    [
        ("chat_text", 1),
        ("chat_tools", 1),
        ("chat_reasoning", 1),
        ("messages_text", 3),
        ("messages_crlf", 3),
        ("messages_tools", 2),
        ("responses_tools", 4),
    ],
)
def test_a_prelude_is_not_content_and_what_follows_is(name, prelude):
    dialect = name.partition("_")[0]
    events = split_events(stream(name))
    assert [has_content(dialect, event) for event in events[: prelude + 1]] == [False] * prelude + [True]
    assert has_content(dialect, b"".join(events))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_keep_alives_are_not_content(dialect):
    assert not has_content(dialect, KEEPALIVE[dialect])
    assert stream_error(dialect, KEEPALIVE[dialect]) is None


@pytest.mark.parametrize(
    ("name", "status", "retryable"),
    [("chat_error", 500, True), ("messages_error", 529, True), ("responses_failed", 429, True)],
)
def test_an_error_inside_a_stream_is_found_where_it_is(name, status, retryable):
    dialect = name.partition("_")[0]
    events = split_events(stream(name))
    assert all(stream_error(dialect, event) is None for event in events[:-1])
    fault = stream_error(dialect, events[-1])
    assert fault is not None
    assert (fault.status, fault.retryable, fault.quota) == (status, retryable, False)
    assert not has_content(dialect, events[-1])


def test_words_about_errors_are_no_error():
    raw = b'data: {"choices":[{"index":0,"delta":{"content":"\\"error\\": {}"}}],"usage":null}\n\n'
    assert stream_error("chat", raw) is None
    assert stream_error("chat", b'data: {"choices":[{"delta":{"content":"error"}}]}\n\n') is None


def test_usage_alone_is_told_from_content_with_usage():
    events = split_events(stream("chat_text"))
    assert [is_usage_only(event) for event in events] == [False] * 4 + [True, False]
    assert drop_usage_only(stream("chat_text")) == b"".join(events[:4] + events[5:])
    assert not is_usage_only(b'data: {"choices":[],"prompt_filter_results":[],"usage":null}\n\n')


@pytest.mark.parametrize(
    ("name", "text", "finish", "complete"),
    [
        ("chat_text", 'Grüße, "world"\n', "stop", True),
        ("chat_tools", 'weather({"city":"Bern"})\ntime({"zone":"CET"})', "tool_calls", True),
        (
            "chat_tools_interleaved",
            'Looking. \nweather({"city":"Bern"})\ntime({"zone":"a}{\\""})\nnow()',
            "tool_calls",
            True,
        ),
        ("chat_refusal", "I cannot help with that.", "stop", True),
        ("chat_reasoning", "Four.", "length", True),
        ("chat_error", "Half", None, False),
        ("chat_cut", "Half", None, False),
        ("messages_text", 'Grüße, "world"\n', "end_turn", True),
        ("messages_crlf", 'Grüße, "world"\n', "end_turn", True),
        ("messages_tools", 'Looking. \nweather({"city": "Bern"})\nnow()', "tool_use", True),
        ("messages_cut", 'Grüße, "world"\n', None, False),
        ("messages_error", "Half", None, False),
        ("responses_tools", 'Hello\nweather({"city":"Bern"})', "completed", True),
        ("responses_incomplete", "Hel", "max_output_tokens", True),
        ("responses_failed", "", "failed", True),
    ],
)
def test_streams_are_summarised(name, text, finish, complete):
    summary = summarise_stream(name.partition("_")[0], stream(name))
    assert (summary.text, summary.finish_reason, summary.complete, summary.malformed) == (text, finish, complete, 0)
    assert summary.response_id in ("chatcmpl-9aZ", "msg_01Xy", "resp_7")
    assert (summary.error_code is not None) == (name.endswith(("error", "failed")))


def test_usage_counts_the_whole_prompt_and_merges_start_and_end():
    chat = Usage(input=21, output=9, cached=5, reasoning=4)
    assert summarise_stream("chat", stream("chat_text")).usage == chat
    assert summarise_stream("responses", stream("responses_tools")).usage == Usage(21, 9, 5, 0, 4)
    assert summarise_stream("messages", stream("messages_text")).usage == Usage(21, 9, 7, 3)
    assert summarise_stream("messages", stream("messages_tools")).usage == Usage(22, 40, 7, 3, 15)
    assert summarise_stream("chat", stream("chat_cut")).usage is None


def test_malformed_events_are_counted_and_a_cut_one_is_not():
    raw = stream("chat_text")
    assert summarise_stream("chat", b"data: {oops\n\ndata: [1]\n\n" + raw).malformed == 2
    assert summarise_stream("chat", raw[:400]).malformed == 0
    assert summarise_stream("chat", raw[:-2]).complete


@settings(max_examples=100)
@given(st.sampled_from(sorted(DATA.glob("*.sse"))), st.integers(0, 4000), st.binary(max_size=20))
def test_a_stream_cut_or_garbled_anywhere_is_still_summarised(path, cut, junk):
    dialect = path.stem.partition("_")[0]
    raw = path.read_bytes()
    summarise_stream(dialect, raw[:cut])
    summarise_stream(dialect, raw[:cut] + junk + raw[cut:])
    for event in split_events(raw[:cut] + junk):
        has_content(dialect, event)
        stream_error(dialect, event)
        is_usage_only(event)


def test_bodies_are_summarised():
    message = {"content": "Hi", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}]}
    chat = {
        "id": "chatcmpl-1",
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
    }
    summary = summarise_body("chat", {**chat, "usage": {"prompt_tokens": 1, "completion_tokens": 2}})
    assert (summary.text, summary.usage, summary.complete) == ("Hi\nf({})", Usage(1, 2), True)
    body = b'{"type":"error","error":{"type":"overloaded_error","message":"busy"}}'
    assert summarise_body("messages", body).error_code == "overloaded_error"
    assert summarise_body("embeddings", {"model": "e", "usage": {"prompt_tokens": 8}}).usage == Usage(8, 0)
    assert summarise_body("chat", b"<html>").malformed == 1
    assert summarise_body("chat", b'{"usage":{"prompt_tokens":"9","completion_tokens":-1}}').usage is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "id",
                    "model",
                    "choices",
                    "delta",
                    "message",
                    "content",
                    "type",
                    "index",
                    "usage",
                    "error",
                    "response",
                    "output",
                    "item",
                    "text",
                    "code",
                    "status",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@settings(max_examples=200)
@given(JSON, st.sampled_from(["chat", "messages", "responses", "embeddings"]))
def test_any_json_answer_is_summarised(body, dialect):
    summarise_body(dialect, body)
