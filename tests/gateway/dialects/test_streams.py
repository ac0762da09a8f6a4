"""Translated streams, read by the official SDKs' own parsers."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from anthropic.types import RawMessageStreamEvent
from anthropic.types.shared import ErrorObject as AnthropicErrorObject
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types import ErrorObject
from openai.types.chat import ChatCompletionChunk
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from meliora.gateway.dialects.sse import Framer, iter_events
from meliora.gateway.dialects.summary import summarise_stream
from meliora.gateway.dialects.translate import Options, translator

DATA = Path(__file__).parents[2] / "data" / "dialects"
SHAPES = {
    "chat": TypeAdapter(ChatCompletionChunk),
    "messages": TypeAdapter(RawMessageStreamEvent),
    "responses": TypeAdapter(ResponseStreamEvent),
}
PAIRS = [("messages", "chat"), ("chat", "messages"), ("responses", "chat"), ("responses", "messages")]
ASKED: dict[str, dict[str, Any]] = {
    "chat": {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True},
    "messages": {
        "model": "m",
        "max_tokens": 4000,
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "thinking": {"type": "adaptive"},
    },
    "responses": {"model": "m", "input": "hi", "stream": True, "include": ["reasoning.encrypted_content"]},
}


def stream(name: str) -> bytes:
    return (DATA / f"{name}.sse").read_bytes()


def options(**more: Any) -> Options:
    numbers = itertools.count(1)
    return Options(created=1790000000, new_id=lambda prefix: f"{prefix}{next(numbers)}", **more)


def begin(client, upstream, **more):
    translation = translator(client, upstream, allow_loss=False, options=options(include_usage=True, **more))
    translation.request(ASKED[client])
    return translation.stream()


def translate(client, upstream, raw: bytes) -> bytes:
    translation = begin(client, upstream)
    return translation.feed(raw) + translation.finish()


def events(client, raw: bytes) -> list[dict[str, Any]]:
    read = [json.loads(event.data) for event in iter_events(raw) if event.data != b"[DONE]"]
    for event in read:
        if client != "responses" and "error" in event:
            anthropic_error(event) if client == "messages" else ErrorObject.model_validate(event["error"])
        else:
            SHAPES[client].validate_python(event)
    return read


def anthropic_error(event: dict[str, Any]) -> None:
    assert event["type"] == "error"
    TypeAdapter(AnthropicErrorObject).validate_python(event["error"])


def serve(raw: bytes, status: int = 200) -> httpx2.Client:
    head = {"content-type": "text/event-stream" if status == 200 else "application/json"}
    return httpx2.Client(transport=httpx2.MockTransport(lambda _: httpx2.Response(status, content=raw, headers=head)))


def openai_client(raw: bytes, status: int = 200) -> openai.OpenAI:
    return openai.OpenAI(api_key="k", base_url="http://x/v1", http_client=serve(raw, status), max_retries=0)


def anthropic_client(raw: bytes, status: int = 200) -> anthropic.Anthropic:
    return anthropic.Anthropic(api_key="k", base_url="http://x", http_client=serve(raw, status), max_retries=0)


def read_messages(raw: bytes):
    with (
        anthropic_client(raw) as client,
        client.messages.stream(model="m", max_tokens=9, messages=[{"role": "user", "content": "hi"}]) as answer,
    ):
        return answer.get_final_message()


def read_responses(raw: bytes):
    with openai_client(raw) as client, client.responses.stream(model="m", input="hi") as answer:
        return answer.get_final_response()


def read_chat(raw: bytes):
    with (
        openai_client(raw) as client,
        client.chat.completions.stream(model="m", messages=[{"role": "user", "content": "hi"}]) as answer,
    ):
        return answer.get_final_completion()


CASES = [(client, upstream, path.stem) for client, upstream in PAIRS for path in sorted(DATA.glob(f"{upstream}_*.sse"))]


@pytest.mark.parametrize(("client", "upstream", "name"), CASES)
def test_every_event_is_of_the_sdk_s_own_type_and_the_summaries_agree(client, upstream, name):
    raw = stream(name)
    out = translate(client, upstream, raw)
    assert events(client, out)
    before, after = summarise_stream(upstream, raw), summarise_stream(client, out)
    if "refusal" not in name:
        calls = after.text.replace(" ", "")
        assert calls == before.text.replace(
            "now()", "now({})" if client == "responses" or upstream == "messages" else "now()"
        ).replace(" ", "")
    assert after.complete == before.complete
    if before.complete and before.usage:
        assert after.usage is not None
        assert (after.usage.input, after.usage.output, after.usage.cached) == (
            before.usage.input,
            before.usage.output,
            before.usage.cached,
        )
    assert (after.error_code is not None) == (not before.complete)


@settings(max_examples=80)
@given(st.sampled_from(CASES), st.lists(st.integers(0, 3000), max_size=8))
def test_any_chunking_of_the_upstream_gives_the_same_events(case, cuts):
    client, upstream, name = case
    raw = stream(name)
    at = sorted({0, len(raw), *(cut for cut in cuts if cut < len(raw))})
    framer, translation = Framer(1 << 20), begin(client, upstream)
    out = b"".join(translation.feed(framer.feed(raw[a:b])) for a, b in itertools.pairwise(at))
    assert out + translation.finish() == translate(client, upstream, raw)


def test_chat_tools_become_messages_blocks_one_after_the_other():
    message = read_messages(translate("messages", "chat", stream("chat_tools_interleaved")))
    assert [block.type for block in message.content] == ["text", "tool_use", "tool_use", "tool_use"]
    assert [block.input for block in message.content[1:]] == [{"city": "Bern"}, {"zone": 'a}{"'}, {}]
    assert [block.id for block in message.content[1:]] == ["call_a", "call_b", "call_c"]
    assert message.stop_reason == "tool_use"
    assert (message.usage.input_tokens, message.usage.cache_read_input_tokens, message.usage.output_tokens) == (
        16,
        5,
        9,
    )


def test_parallel_calls_stream_as_they_come_where_they_do_not_interleave():
    translation = begin("messages", "chat")
    pieces = [translation.feed(event + b"\n\n") for event in stream("chat_tools").split(b"\n\n")]
    assert b'"name":"time"' in pieces[4]
    assert b"CET" in pieces[5]


def test_words_that_come_while_a_call_stands_open_follow_it():
    def chunk(delta):
        return b"data: " + json.dumps({"choices": [{"index": 0, "delta": delta}]}).encode() + b"\n\n"

    def call(arguments):
        return {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": arguments}}]}

    raw = chunk(call('{"a":')) + chunk({"content": "late"}) + chunk(call("1}"))
    end = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}\n\ndata: [DONE]\n\n'
    message = read_messages(translate("messages", "chat", raw + end))
    assert [block.type for block in message.content] == ["tool_use", "text"]
    assert (message.content[0].input, message.content[1].text) == ({"a": 1}, "late")


def call_chunk(*calls: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"tool_calls": list(calls)}, "finish_reason": finish}
    return b"data: " + json.dumps({"id": "c", "model": "m", "choices": [choice]}).encode() + b"\n\n"


def one_call(arguments: Any, **more: Any) -> dict[str, Any]:
    name = more.pop("name", None)
    return {**more, "function": {"arguments": arguments} if name is None else {"name": name, "arguments": arguments}}


TWO = [("f", {"a": 1}), ("g", {"a": 2})]
CALLS = {
    "all under one index": [
        call_chunk(one_call('{"a":1}', index=0, id="x", name="f")),
        call_chunk(one_call('{"a":2}', index=0, id="y", name="g")),
    ],
    "without an index": [
        call_chunk(one_call('{"a":1}', id="x", name="f")),
        call_chunk(one_call('{"a":2}', id="y", name="g")),
    ],
    "without an index, in pieces": [
        call_chunk(one_call('{"a"', id="x", name="f"), one_call("", id="y", name="g")),
        call_chunk(one_call(":1}", id="x")),
        call_chunk(one_call('{"a":2}')),
    ],
    "without index and id": [call_chunk(one_call('{"a":1}', name="f"), one_call('{"a":2}', name="g"))],
    "with a new id for each piece": [
        call_chunk(one_call('{"a"', index=0, id="x", name="f")),
        call_chunk(one_call(":1}", index=0, id="z")),
        call_chunk(one_call('{"a":2}', index=1, id="y", name="g")),
    ],
    "with the name in each piece": [
        call_chunk(one_call('{"a"', index=0, id="x", name="f")),
        call_chunk(one_call(":1}", index=0, id="x", name="f")),
        call_chunk(one_call('{"a":2}', index=1, id="y", name="g")),
    ],
    "with objects for arguments": [
        call_chunk(one_call({"a": 1}, index=0, id="x", name="f"), one_call({"a": 2}, index=1, id="y", name="g"))
    ],
}


@pytest.mark.parametrize("how", CALLS)
def test_parallel_calls_stay_apart_however_a_server_numbers_them(how: str) -> None:
    """Gemini gives them all one index, Ollama none, older vLLM a new id for each piece."""
    raw = b"".join(CALLS[how]) + call_chunk(finish="tool_calls") + b"data: [DONE]\n\n"
    message = read_messages(translate("messages", "chat", raw))
    assert [(block.name, block.input) for block in message.content] == TWO
    response = read_responses(translate("responses", "chat", raw))
    assert [(item.name, json.loads(item.arguments)) for item in response.output] == TWO
    assert len({item.call_id for item in response.output}) == 2
    told = summarise_stream("chat", raw).text.splitlines()
    assert [(line[0], json.loads(line[2:-1])) for line in told] == TWO


@pytest.mark.parametrize("nothing", ["", None, {}])
def test_a_call_without_arguments_has_an_empty_object_of_them(nothing: Any) -> None:
    """Clients parse what they are given."""
    raw = call_chunk(one_call(nothing, index=0, id="x", name="f"), finish="tool_calls") + b"data: [DONE]\n\n"
    assert read_responses(translate("responses", "chat", raw)).output[0].arguments == "{}"
    assert read_messages(translate("messages", "chat", raw)).content[0].input == {}


def test_reasoning_is_shown_to_a_messages_client_that_asked_for_thinking_only():
    raw = stream("chat_reasoning")
    message = read_messages(translate("messages", "chat", raw))
    assert [block.type for block in message.content] == ["thinking", "text"]
    assert (message.content[0].thinking, message.stop_reason) == ("First think.", "max_tokens")
    quiet = translator("messages", "chat", allow_loss=False, options=options())
    quiet.request({key: value for key, value in ASKED["messages"].items() if key != "thinking"})
    assert [block.type for block in read_messages(quiet.stream().feed(raw)).content] == ["text"]


def test_a_refusal_is_a_refusal_in_every_dialect():
    assert read_messages(translate("messages", "chat", stream("chat_refusal"))).stop_reason == "refusal"
    response = read_responses(translate("responses", "chat", stream("chat_refusal")))
    assert response.output[0].content[0].refusal == "I cannot help with that."
    chunks = events("chat", translate("chat", "messages", stream("messages_refusal")))
    assert chunks[-2]["choices"][0]["finish_reason"] == "content_filter"
    assert chunks[-2]["choices"][0]["delta"] == {"refusal": "That could do harm."}


def test_messages_tools_become_chat_tool_calls_with_arguments_that_parse():
    choice = read_chat(translate("chat", "messages", stream("messages_tools"))).choices[0]
    assert choice.finish_reason == "tool_calls"
    assert [(call.id, json.loads(call.function.arguments)) for call in choice.message.tool_calls] == [
        ("toolu_a", {"city": "Bern"}),
        ("toolu_b", {}),
    ]
    assert choice.message.content == "Looking. "
    assert choice.message.reasoning_content == "Two calls needed."


def test_a_chat_client_gets_usage_only_if_it_asked():
    raw = stream("messages_text")
    asked = events("chat", translate("chat", "messages", raw))[-1]
    assert (asked["choices"], asked["usage"]["prompt_tokens"], asked["usage"]["total_tokens"]) == ([], 21, 30)
    translation = translator("chat", "messages", allow_loss=False, options=options())
    translation.request(ASKED["chat"])
    out = translation.stream().feed(raw)
    assert all("usage" not in event for event in events("chat", out))
    assert out.endswith(b"data: [DONE]\n\n")


def test_responses_carry_numbers_in_a_row_and_the_whole_response_at_the_end():
    out = events("responses", translate("responses", "chat", stream("chat_tools_interleaved")))
    assert [event["sequence_number"] for event in out] == list(range(len(out)))
    assert [event["type"] for event in out[:2]] == ["response.created", "response.in_progress"]
    response = read_responses(translate("responses", "chat", stream("chat_tools_interleaved")))
    assert [item.type for item in response.output] == ["message", "function_call", "function_call", "function_call"]
    assert [item.arguments for item in response.output[1:]] == ['{"city":"Bern"}', '{"zone":"a}{\\""}', "{}"]
    assert response.usage.total_tokens == 30


def test_signed_thinking_goes_through_a_responses_client_and_back_unchanged():
    out = events("responses", translate("responses", "messages", stream("messages_tools")))
    output = out[-1]["response"]["output"]
    assert [item["type"] for item in output] == ["reasoning", "reasoning", "message", "function_call", "function_call"]
    assert output[0]["summary"][0]["text"] == "Two calls needed."
    translation = translator("responses", "messages", allow_loss=False, options=options())
    results = [{"type": "function_call_output", "call_id": one, "output": "7"} for one in ("toolu_a", "toolu_b")]
    body, loss = translation.request({"model": "m", "input": [{"role": "user", "content": "hi"}, *output, *results]})
    assert loss == ()
    assert body["messages"][1]["content"][:2] == [
        {"type": "thinking", "thinking": "Two calls needed.", "signature": "EqQBsig=="},
        {"type": "redacted_thinking", "data": "EmwKredacted"},
    ]
    assert [block["type"] for block in body["messages"][2]["content"]] == ["tool_result", "tool_result"]


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
@pytest.mark.parametrize("name", ["error", "cut"])
def test_an_error_in_the_middle_raises_the_sdk_s_own_exception(client, upstream, name):
    out = translate(client, upstream, stream(f"{upstream}_{name}"))
    if client == "messages":
        with pytest.raises(anthropic.APIStatusError):
            read_messages(out)
    elif client == "chat":
        with pytest.raises(openai.APIError):
            read_chat(out)
    else:
        with pytest.raises(openai.APIError):
            read_responses(out)


def test_after_an_error_nothing_more_is_given():
    translation = begin("chat", "messages")
    translation.feed(stream("messages_error"))
    assert translation.fault is not None
    assert (translation.feed(stream("messages_text")), translation.finish()) == (b"", b"")


def test_an_event_that_is_no_json_ends_the_stream_with_an_error():
    translation = begin("messages", "chat")
    assert b"event: error" in translation.feed(b"data: {oops\n\n")


def test_a_chat_upstream_that_forgets_its_end_mark_is_whole_once_it_said_why_it_stopped():
    raw = stream("chat_text").replace(b"data: [DONE]\n\n", b"")
    assert read_messages(translate("messages", "chat", raw)).stop_reason == "end_turn"


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "index", "delta", "content", "choices", "tool_calls", "function", "usage", "message"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)
KINDS = st.sampled_from(
    ["message_start", "content_block_start", "content_block_delta", "message_delta", "message_stop"]
)


@settings(max_examples=150)
@given(st.sampled_from(PAIRS), st.lists(st.tuples(KINDS, JUNK, JUNK, JUNK), max_size=6))
def test_any_json_events_are_passed_over_or_translated(pair, made):
    client, upstream = pair
    translation = begin(client, upstream)
    for kind, first, second, third in made:
        body = {"type": kind, "delta": first, "content_block": second, "message": third, "index": 0}
        if upstream == "chat":
            body = {"id": third, "choices": [{"index": 0, "delta": first, "finish_reason": second}], "usage": third}
        translation.feed(b"data: " + json.dumps(body).encode() + b"\n\n")
        translation.feed(b"data: " + json.dumps(first).encode() + b"\n\n")
    translation.finish()
