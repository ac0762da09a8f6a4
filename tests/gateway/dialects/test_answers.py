"""Whole answers, held to the official SDKs' own models."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from anthropic.types import Message
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion
from openai.types.responses import Response

from meliora.errors import MelioraError, UpstreamBroken
from meliora.gateway.dialects.summary import summarise_body
from meliora.gateway.dialects.translate import Options, translator

SHAPES = {"chat": ChatCompletion, "messages": Message, "responses": Response}
ASKED: dict[str, dict[str, Any]] = {
    "chat": {"model": "m", "messages": []},
    "messages": {"model": "m", "max_tokens": 9, "messages": [], "thinking": {"type": "adaptive"}},
    "responses": {
        "model": "m",
        "input": "hi",
        "instructions": "be",
        "temperature": 0.5,
        "metadata": {"a": "b"},
        "include": ["reasoning.encrypted_content"],
        "tools": [{"type": "function", "name": "f", "parameters": {}}],
        "tool_choice": "required",
        "max_output_tokens": 9,
    },
}
MESSAGE: dict[str, Any] = {
    "id": "msg_01", "type": "message", "role": "assistant", "model": "claude-sonnet-5", "stop_reason": "tool_use",
    "stop_sequence": None,
    "content": [
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "text", "text": "Calling."},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}},
        {"type": "tool_use", "id": "toolu_2", "name": "g", "input": {}},
    ],
    "usage": {"input_tokens": 10, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 1, "output_tokens": 6},
}  # fmt: skip


def completion(message: dict[str, Any], finish: str = "stop", **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish, **more}
    usage = {"prompt_tokens": 15, "completion_tokens": 6, "prompt_tokens_details": {"cached_tokens": 4}}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [choice],
        "usage": usage,
    }


CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}


def answered(client, upstream, body):
    numbers = itertools.count(1)
    options = Options(created=1790000000, new_id=lambda prefix: f"{prefix}{next(numbers)}")
    translation = translator(client, upstream, allow_loss=True, options=options)
    translation.request(ASKED[client])
    out = translation.response(body)
    return SHAPES[client].model_validate(out)


def test_a_message_becomes_a_completion():
    answer = answered("chat", "messages", MESSAGE)
    choice = answer.choices[0]
    assert (answer.id, answer.created, choice.finish_reason) == ("chatcmpl-01", 1790000000, "tool_calls")
    assert [call.function.arguments for call in choice.message.tool_calls] == ['{"a":1}', "{}"]
    assert (choice.message.content, choice.message.reasoning_content) == ("Calling.", "hm")
    assert (answer.usage.prompt_tokens, answer.usage.prompt_tokens_details.cached_tokens) == (15, 4)


def test_a_message_becomes_a_response_that_gives_back_what_was_asked():
    answer = answered("responses", "messages", MESSAGE)
    assert [item.type for item in answer.output] == ["reasoning", "message", "function_call", "function_call"]
    assert answer.output[0].encrypted_content.startswith("meliora.thinking.1:")
    assert (answer.instructions, answer.temperature, answer.metadata) == ("be", 0.5, {"a": "b"})
    assert (answer.status, answer.output_text, answer.usage.total_tokens) == ("completed", "Calling.", 21)


@pytest.mark.parametrize(
    ("reason", "finish", "status"),
    [
        ("end_turn", "stop", "completed"),
        ("stop_sequence", "stop", "completed"),
        ("max_tokens", "length", "incomplete"),
        ("model_context_window_exceeded", "length", "incomplete"),
        ("refusal", "content_filter", "incomplete"),
        ("something_new", "stop", "completed"),
    ],
)
def test_reasons_to_stop_cross(reason, finish, status):
    body = {**MESSAGE, "content": [{"type": "text", "text": "x"}], "stop_reason": reason}
    assert answered("chat", "messages", body).choices[0].finish_reason == finish
    response = answered("responses", "messages", body)
    assert response.status == status
    assert (response.incomplete_details is not None) == (status == "incomplete")


def test_a_completion_becomes_a_message():
    body = completion({"content": "Calling.", "tool_calls": [CALL], "reasoning_content": "hm"})
    answer = answered("messages", "chat", body)
    assert [block.type for block in answer.content] == ["thinking", "text", "tool_use"]
    assert (answer.content[2].input, answer.stop_reason, answer.id) == ({"a": 1}, "tool_use", "msg_1")
    assert (answer.usage.input_tokens, answer.usage.cache_read_input_tokens, answer.usage.output_tokens) == (11, 4, 6)


def test_a_completion_becomes_a_response_with_citations_and_probabilities():
    cited = {
        "type": "url_citation",
        "url_citation": {"url": "https://x", "title": "t", "start_index": 0, "end_index": 1},
    }
    token = {"token": "x", "bytes": None, "logprob": -0.1, "top_logprobs": []}
    body = completion({"content": "x", "annotations": [cited]}, logprobs={"content": [token], "refusal": None})
    answer = answered("responses", "chat", body)
    part = answer.output[0].content[0]
    assert (part.annotations[0].url, part.logprobs[0].token) == ("https://x", "x")


def test_a_refusal_crosses():
    body = completion({"content": None, "refusal": "No."})
    message = answered("messages", "chat", body)
    assert (message.content[0].text, message.stop_reason) == ("No.", "refusal")
    assert answered("responses", "chat", body).output[0].content[0].refusal == "No."
    refusing = {
        **MESSAGE,
        "content": [],
        "stop_reason": "refusal",
        "stop_details": {"type": "refusal", "explanation": "Harm."},
    }
    assert answered("chat", "messages", refusing).choices[0].message.refusal == "Harm."


@pytest.mark.parametrize(
    ("client", "upstream", "body"),
    [
        ("chat", "messages", {}),
        ("messages", "chat", {"choices": []}),
        ("responses", "chat", {"choices": [{"message": None}]}),
        ("messages", "chat", completion({"tool_calls": [{"function": {"name": "f", "arguments": "[1]"}}]})),
    ],
)
def test_what_is_no_answer_is_a_broken_upstream(client, upstream, body):
    with pytest.raises(UpstreamBroken):
        answered(client, upstream, body)


NAMES = ["content", "choices", "message", "text", "type", "tool_calls", "function", "arguments", "usage", "id", "input"]
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["text", "tool_use", "thinking", "x", "\ud800"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=15,
)


@settings(max_examples=120)
@given(
    st.sampled_from([("messages", "chat"), ("chat", "messages"), ("responses", "chat"), ("responses", "messages")]),
    st.dictionaries(st.sampled_from(NAMES), JUNK, max_size=5),
    st.dictionaries(st.sampled_from(NAMES), JUNK, max_size=5),
)
def test_any_json_answer_is_translated_or_broken(pair, body, message):
    options = Options(created=1, new_id=str)
    for given_body in (body, {"choices": [{"message": message}], "content": [message]}):
        try:
            out = translator(*pair, allow_loss=False, options=options).response(given_body)
        except MelioraError as error:
            assert isinstance(error, UpstreamBroken)
        else:
            summarise_body(pair[0], out)
