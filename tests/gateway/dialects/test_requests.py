"""Translated requests: what crosses, what is refused by name, what is lost with leave."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
import pytest
from anthropic.types import message_create_params
from anthropic.types.message_create_params import MessageCreateParams
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import completion_create_params
from openai.types.chat.completion_create_params import CompletionCreateParams
from openai.types.responses import response_create_params
from pydantic import TypeAdapter

from meliora.errors import InvalidRequest, MelioraError, UntranslatableField
from meliora.gateway.dialects.translate import Options, can_translate, crossing_table, thinking_style, translator
from meliora.gateway.dialects.translate.fields import CHAT_TO_MESSAGES, MESSAGES_TO_CHAT, RESPONSES_TO_CHAT, TABLES

ROOT = Path(__file__).parents[3]
USER = {"role": "user", "content": "hi"}
BASE: dict[str, dict[str, Any]] = {
    "chat": {"model": "m", "messages": [USER]},
    "messages": {"model": "m", "max_tokens": 100, "messages": [USER]},
    "responses": {"model": "m", "input": "hi"},
}
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False}
PAIRS = [("messages", "chat"), ("chat", "messages"), ("responses", "chat"), ("responses", "messages")]
SHAPES = {"chat": TypeAdapter(CompletionCreateParams), "messages": TypeAdapter(MessageCreateParams)}


def cross(client, upstream, *, loss=False, options=None, **more) -> tuple[dict[str, Any], tuple[str, ...]]:
    numbers = itertools.count(1)
    options = options or Options(created=1, new_id=lambda prefix: f"{prefix}{next(numbers)}")
    body, lost = translator(client, upstream, allow_loss=loss, options=options).request({**BASE[client], **more})
    consume(SHAPES[upstream].validate_python(json.loads(msgspec.json.encode(body))))
    return body, lost


def consume(value: Any) -> None:
    """Lists in the SDKs' types are validated only while they are walked."""
    if isinstance(value, dict):
        for inner in value.values():
            consume(inner)
    elif isinstance(value, Iterable) and not isinstance(value, str):
        for inner in value:
            consume(inner)


def sent(client, upstream, **more) -> dict[str, Any]:
    body, lost = cross(client, upstream, **more)
    assert lost == ()
    return body


def refused(client, upstream, **more) -> str | None:
    with pytest.raises(UntranslatableField) as caught:
        cross(client, upstream, **more)
    assert caught.value.field is not None
    assert f"`{caught.value.field}`" in caught.value.message
    _, lost = cross(client, upstream, loss=True, **more)
    assert caught.value.field in lost
    return caught.value.field


def test_the_documentation_holds_the_table_of_what_crosses():
    assert crossing_table() in (ROOT / "docs" / "dialects.md").read_text()


@pytest.mark.parametrize(
    ("table", "module", "name"),
    [
        (CHAT_TO_MESSAGES, completion_create_params, "CompletionCreateParams"),
        (MESSAGES_TO_CHAT, message_create_params, "MessageCreateParams"),
        (RESPONSES_TO_CHAT, response_create_params, "ResponseCreateParams"),
    ],
)
def test_every_field_that_the_sdk_knows_stands_in_the_table(table, module, name):
    kinds = [getattr(module, f"{name}{kind}") for kind in ("Base", "Streaming")]
    known = {field for kind in kinds for field in get_type_hints(kind)}
    assert known - set(table) == set()


@pytest.mark.parametrize(("pair", "name"), [(pair, name) for pair in TABLES for name in TABLES[pair]])
def test_a_refused_field_is_named_and_its_harmless_values_pass(pair, name):
    field = TABLES[pair][name]
    if field.how != "refused":
        return
    assert refused(*pair, **{name: "something odd"}) == name
    for value in (None, [], {}, *field.harmless):
        assert name not in sent(*pair, **{name: value})


@pytest.mark.parametrize("pair", PAIRS)
def test_unknown_fields_are_refused_by_name(pair):
    assert refused(*pair, frobnicate=1) == "frobnicate"
    key = "input" if pair[0] == "responses" else "messages"
    assert refused(*pair, **{key: [{**USER, "mood": "good"}]}) == f"{key}[0].mood"


def test_harmless_fields_of_a_chat_request_pass():
    body = sent(
        "chat", "messages", store=False, metadata={"a": "b"}, user="u", n=1, logprobs=False, temperature=1, top_p=1.0,
        frequency_penalty=0.0, response_format={"type": "text"}, modalities=["text"], stream=True, service_tier="auto",
        stream_options={"include_usage": True}, prompt_cache_key="k", max_completion_tokens=None, stop=None, logit_bias={},
    )  # fmt: skip
    assert body == {
        "model": "m",
        "stream": True,
        "max_tokens": 4096,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
        "metadata": {"user_id": "u"},
        "service_tier": "auto",
    }


CHAT_TURNS = [
    {"role": "system", "content": "S1"},
    {"role": "developer", "content": [{"type": "text", "text": "S2"}]},
    {"role": "user", "content": [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,BBBB"}},
    ]},
    {"role": "assistant", "content": "", "refusal": None, "audio": None, "annotations": [], "function_call": None,
     "reasoning_content": "hm", "tool_calls": [
        {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
        {"id": "odd id!", "type": "function", "function": {"name": "g", "arguments": ""}},
    ]},
    {"role": "tool", "tool_call_id": "call_1", "content": "one"},
    {"role": "tool", "tool_call_id": "odd id!", "content": [{"type": "text", "text": "two"}]},
    {"role": "user", "content": "go on"},
]  # fmt: skip


def test_a_whole_chat_becomes_messages():
    body = sent("chat", "messages", messages=CHAT_TURNS, stop="END", max_tokens=7, temperature=0.5)
    assert body["system"] == "S1\n\nS2"
    user, assistant, results = body["messages"]
    assert [block["type"] for block in user["content"]] == ["text", "image", "image", "document"]
    assert user["content"][1]["source"] == {"type": "base64", "media_type": "image/png", "data": "AAAA"}
    assert user["content"][2]["source"] == {"type": "url", "url": "https://x/y.png"}
    assert user["content"][3]["title"] == "a.pdf"
    assert [block["input"] for block in assistant["content"]] == [{"a": 1}, {}]
    assert [block["type"] for block in results["content"]] == ["tool_result", "tool_result", "text"]
    ids = [block["id"] for block in assistant["content"]]
    assert ids == [block["tool_use_id"] for block in results["content"][:2]]
    assert ids[0] == "call_1"
    assert ids[1].startswith("call_")
    assert (body["max_tokens"], body["stop_sequences"], body["temperature"]) == (7, ["END"], 0.5)


def tool(name="f", **more):
    return {"type": "function", "function": {"name": name, "parameters": SCHEMA, **more}}


@pytest.mark.parametrize(
    ("choice", "parallel", "expected"),
    [
        (None, None, None),
        ("auto", None, {"type": "auto"}),
        ("required", False, {"type": "any", "disable_parallel_tool_use": True}),
        ("none", False, {"type": "none"}),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        ({"type": "function", "function": {"name": "f"}}, None, {"type": "tool", "name": "f"}),
    ],
)
def test_tools_and_their_choice_cross_both_ways(choice, parallel, expected):
    body = sent(
        "chat", "messages", tools=[tool(description="d", strict=True)], tool_choice=choice, parallel_tool_calls=parallel
    )
    assert body["tools"] == [{"name": "f", "description": "d", "input_schema": SCHEMA, "strict": True}]
    assert body.get("tool_choice") == expected
    back = sent("messages", "chat", tools=body["tools"], tool_choice=expected or {})
    assert back["tools"] == [tool(description="d", strict=True)]
    if choice is not None:
        assert back["tool_choice"] == choice
    if expected and "disable_parallel_tool_use" in expected:
        assert back["parallel_tool_calls"] is False


def test_allowed_tools_leave_only_those():
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "g"}}]}
    choice = {"type": "allowed_tools", "allowed_tools": allowed}
    body = sent("chat", "messages", tools=[tool("f"), tool("g")], tool_choice=choice)
    assert ([one["name"] for one in body["tools"]], body["tool_choice"]) == (["g"], {"type": "any"})


def test_a_json_schema_crosses_every_way():
    shape = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, "strict": True}}
    expected = {"type": "json_schema", "schema": SCHEMA}
    assert sent("chat", "messages", response_format=shape)["output_config"] == {"format": expected}
    text = {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": True}}
    assert sent("responses", "chat", text=text)["response_format"] == shape
    assert sent("responses", "messages", text=text)["output_config"] == {"format": expected}
    back = sent("messages", "chat", output_config={"format": expected})["response_format"]
    assert back["json_schema"]["schema"] == SCHEMA
    assert sent("messages", "chat", output_format=expected)["response_format"] == back


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"temperature": 1.5}, "temperature"),
        ({"stop": ["\n"]}, "stop"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"tools": [{"type": "custom", "custom": {"name": "c"}}]}, "tools[0]"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}]},
         "messages[0].content[0].file.file_id"),
        ({"messages": [{"role": "user", "content": "x", "name": "Ann"}]}, "messages[0].name"),
        ({"messages": [{"role": "assistant", "content": "x", "_thinking": [{"type": "thinking"}]}]}, "messages[0]._thinking"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/tiff;base64,A"}}]}]},
         "messages[0].content[0]"),
    ],
)  # fmt: skip
def test_parts_of_a_chat_request_without_counterpart_are_named(more, field):
    assert refused("chat", "messages", **more) == field


@pytest.mark.parametrize(
    "more",
    [
        {"messages": "x"},
        {"messages": [3]},
        {"messages": [{"role": "king", "content": "x"}]},
        {
            "messages": [
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}]}
            ]
        },
        {
            "messages": [
                {"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{oops"}}]}
            ]
        },
        {"response_format": {"type": "json_schema"}},
    ],
)
def test_what_is_wrong_in_the_client_s_own_dialect_is_a_bad_request(more):
    for loss in (False, True):
        with pytest.raises(InvalidRequest) as caught:
            cross("chat", "messages", loss=loss, **more)
        assert not isinstance(caught.value, UntranslatableField)
        assert caught.value.field is not None


def test_effort_is_told_to_an_upstream_in_the_way_it_knows():
    assert sent("chat", "messages", reasoning_effort="minimal")["output_config"] == {"effort": "low"}
    assert sent("chat", "messages", reasoning_effort="high")["thinking"] == {"type": "adaptive"}
    assert sent("chat", "messages", reasoning_effort="none")["thinking"] == {"type": "disabled"}
    forced = sent("chat", "messages", reasoning_effort="high", tools=[tool()], tool_choice="required")
    assert "thinking" not in forced
    old = Options(created=1, new_id=str, thinking="budget", max_tokens=8000)
    assert sent("chat", "messages", reasoning_effort="high", options=old)["thinking"]["budget_tokens"] == 4000
    in_round = CHAT_TURNS[:-1]
    assert "thinking" not in sent("chat", "messages", reasoning_effort="high", options=old, messages=in_round)
    assert sent("messages", "chat", thinking={"type": "enabled", "budget_tokens": 9000})["reasoning_effort"] == "medium"
    assert sent("messages", "chat", output_config={"effort": "max"})["reasoning_effort"] == "max"
    assert "reasoning_effort" not in sent("messages", "chat", thinking={"type": "adaptive"})
    plain = Options(created=1, new_id=str, reasoning_effort=False)
    assert refused("messages", "chat", thinking={"type": "enabled", "budget_tokens": 1}, options=plain) == "thinking"
    assert refused("responses", "chat", reasoning={"effort": "low"}, options=plain) == "reasoning.effort"


CACHE = {"cache_control": {"type": "ephemeral"}}
MESSAGES_TURNS = [
    {"role": "user", "content": [{"type": "text", "text": "look", **CACHE}, {"type": "image", "source": {
        "type": "base64", "media_type": "image/png", "data": "AAAA"}}]},
    {"role": "assistant", "content": [
        {"type": "thinking", "thinking": "ours", "signature": ""},
        {"type": "text", "text": "Calling."},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": "ü"}},
        {"type": "tool_use", "id": "toolu_2", "name": "g", "input": {}},
    ]},
    {"role": "user", "content": [
        {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "1"}], **CACHE},
        {"type": "tool_result", "tool_use_id": "toolu_2", "content": "no such file", "is_error": True},
        {"type": "text", "text": "go on"},
    ]},
]  # fmt: skip


def test_whole_messages_become_a_chat():
    body = sent(
        "messages", "chat", messages=MESSAGES_TURNS, system=[{"type": "text", "text": "S", **CACHE}], stream=True,
        metadata={"user_id": "u"}, stop_sequences=["END"], temperature=0.3, service_tier="auto", cache_control=CACHE,
        thinking={"type": "adaptive"},
    )  # fmt: skip
    system, user, assistant, first, second, last = body["messages"]
    assert system == {"role": "system", "content": "S"}
    assert user["content"][1] == {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    assert assistant["content"] == "Calling."
    assert [call["function"]["arguments"] for call in assistant["tool_calls"]] == ['{"a":"ü"}', "{}"]
    assert first == {"role": "tool", "tool_call_id": "toolu_1", "content": "1"}
    assert second["content"] == "Error: no such file"
    assert last == {"role": "user", "content": "go on"}
    assert (body["max_completion_tokens"], body["stop"], body["user"]) == (100, ["END"], "u")
    assert body["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize(
    ("blocks", "role", "field"),
    [
        ([{"type": "thinking", "thinking": "t", "signature": "sig"}], "assistant", "messages[0].content[0].signature"),
        ([{"type": "redacted_thinking", "data": "x"}], "assistant", "messages[0].content[0]"),
        ([{"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}], "assistant", "messages[0].content[0]"),
        ([{"type": "document", "source": {"type": "url", "url": "https://x"}}], "user", "messages[0].content[0].source"),
        ([{"type": "image", "source": {"type": "file", "file_id": "x"}}], "user", "messages[0].content[0].source"),
        ([{"type": "search_result", "content": []}], "user", "messages[0].content[0]"),
        ([{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "image", "source": {}}]}], "user",
         "messages[0].content[0].content[0]"),
    ],
)  # fmt: skip
def test_blocks_without_counterpart_in_chat_are_named(blocks, role, field):
    assert refused("messages", "chat", messages=[{"role": role, "content": blocks}, USER]) == field


def test_an_answer_begun_for_the_model_and_the_provider_s_own_tools_are_refused():
    assert refused("messages", "chat", messages=[USER, {"role": "assistant", "content": "{"}]) == "messages[1]"
    assert refused("messages", "chat", tools=[{"type": "web_search_20260318", "name": "web_search"}]) == "tools[0]"
    assert refused("messages", "chat", output_config={"novelty": 1}) == "output_config.novelty"


ITEMS = [
    {"role": "developer", "content": "D"},
    {"type": "message", "role": "user", "content": [
        {"type": "input_text", "text": "look"},
        {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "auto"},
    ]},
    {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "s"}]},
    {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": '{"a":1}', "status": "completed"},
    {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [
        {"type": "output_text", "text": "Calling.", "annotations": [], "logprobs": []}]},
    {"type": "function_call", "call_id": "call_2", "name": "g", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "call_1", "output": "one"},
    {"type": "function_call_output", "call_id": "call_2", "output": [{"type": "input_text", "text": "two"}]},
]  # fmt: skip


def test_responses_items_become_a_chat_with_one_turn_for_calls_in_a_row():
    body = sent(
        "responses", "chat", input=ITEMS, instructions="I", max_output_tokens=9, reasoning={"effort": "low", "summary": "auto"},
        store=True, truncation="disabled", background=False, include=["reasoning.encrypted_content"], stream=True,
        tools=[{"type": "function", "name": "f", "parameters": SCHEMA, "strict": True}], parallel_tool_calls=False,
        tool_choice={"type": "function", "name": "f"}, metadata={"a": "b"}, text={"verbosity": "low"},
    )  # fmt: skip
    assert [turn["role"] for turn in body["messages"]] == ["system", "system", "user", "assistant", "tool", "tool"]
    assistant = body["messages"][3]
    assert assistant["content"] == [{"type": "text", "text": "Calling."}]
    assert [call["id"] for call in assistant["tool_calls"]] == ["call_1", "call_2"]
    assert body["messages"][5]["content"] == "two"
    assert body["tools"] == [tool(strict=True)]
    assert body["tool_choice"] == {"type": "function", "function": {"name": "f"}}
    assert (body["reasoning_effort"], body["verbosity"], body["max_completion_tokens"]) == ("low", "low", 9)


def test_responses_items_become_messages_with_images_in_results_and_documents_by_url():
    image = {"type": "input_image", "image_url": "https://x/y.png", "detail": "auto"}
    items = [
        {"role": "user", "content": [{"type": "input_file", "file_url": "https://x/a.pdf"}]},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": [image]},
    ]
    body = sent("responses", "messages", input=items, max_output_tokens=5)
    assert body["messages"][0]["content"][0]["source"] == {"type": "url", "url": "https://x/a.pdf"}
    assert body["messages"][2]["content"][0]["content"][0]["source"] == {"type": "url", "url": "https://x/y.png"}
    assert body["max_tokens"] == 5
    assert refused("responses", "chat", input=items) == "input[0].content[0]"
    assert refused("responses", "chat", input=items[1:]) == "input[1].output[0]"


@pytest.mark.parametrize(
    ("upstream", "more", "field"),
    [
        ("chat", {"tools": [{"type": "web_search"}]}, "tools[0]"),
        ("chat", {"previous_response_id": "resp_1"}, "previous_response_id"),
        ("chat", {"conversation": "conv"}, "conversation"),
        ("chat", {"background": True}, "background"),
        ("chat", {"truncation": "auto"}, "truncation"),
        ("chat", {"input": [{"type": "item_reference", "id": "x"}]}, "input[0]"),
        ("chat", {"input": [{"type": "reasoning", "id": "r", "summary": [], "encrypted_content": "gAAA"}]},
         "input[0].encrypted_content"),
        ("messages", {"input": [{"type": "reasoning", "id": "r", "summary": [], "encrypted_content": "gAAA"}]},
         "input[0].encrypted_content"),
        ("messages", {"text": {"verbosity": "low"}}, "text.verbosity"),
        ("messages", {"text": {"format": {"type": "json_object"}}}, "text.format"),
        ("messages", {"top_logprobs": 3}, "include"),
        ("messages", {"input": [USER, {"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]},
         "input[1].content[0]"),
    ],
)  # fmt: skip
def test_what_a_responses_client_cannot_have_is_named_as_it_was_sent(upstream, more, field):
    assert refused("responses", upstream, **more) == field


def test_there_is_no_way_from_embeddings_or_to_responses():
    assert can_translate("chat", "chat")
    assert not can_translate("embeddings", "messages")
    with pytest.raises(InvalidRequest):
        translator("embeddings", "messages", allow_loss=True, options=Options(created=1, new_id=str))


FIELDS = sorted({name for table in TABLES.values() for name in table})
PARTS = [
    "type", "role", "content", "text", "image_url", "url", "source", "tool_calls", "function", "name", "arguments", "input",
    "output", "tool_use_id", "call_id", "id", "format", "json_schema", "schema", "effort", "summary", "encrypted_content",
]  # fmt: skip
WORDS = st.sampled_from(
    ["user", "assistant", "system", "tool", "text", "image", "image_url", "document", "tool_use", "tool_result", "thinking",
     "function", "custom", "function_call", "function_call_output", "reasoning", "message", "input_text", "json_schema",
     "allowed_tools", "auto", "{}", "\ud800", "data:image/png;base64,A", "https://x", "low", "1"]
)  # fmt: skip
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | WORDS
JUNK = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(PARTS), inner, max_size=5),
    max_leaves=20,
)


@settings(max_examples=150)
@given(
    st.sampled_from(PAIRS),
    st.booleans(),
    st.dictionaries(st.sampled_from(FIELDS), JUNK, max_size=6),
    st.lists(JUNK, max_size=4),
)
def test_any_json_is_translated_or_refused(pair, loss, body, turns):
    options = Options(created=1, new_id=str)
    for turned in (body, {**body, "messages": turns, "input": turns}):
        try:
            out, _ = translator(*pair, allow_loss=loss, options=options).request(turned)
        except MelioraError as error:
            assert isinstance(error, InvalidRequest)
        else:
            assert isinstance(out["messages"], list)


def test_nesting_without_end_is_refused_or_passed_on_but_never_a_crash():
    deep: Any = {}
    for _ in range(100_000):
        deep = {"a": deep}
    turns = [{"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": deep}]}, USER]
    with pytest.raises(InvalidRequest):
        translator("messages", "chat", allow_loss=True, options=Options(created=1, new_id=str)).request(
            {**BASE["messages"], "messages": turns}
        )


@pytest.mark.parametrize(
    ("model", "style"),
    [
        ("claude-sonnet-4-5-20250929", "budget"),
        ("claude-opus-4-20250514", "budget"),
        ("anthropic.claude-3-7-sonnet-20250219-v1:0", "budget"),
        ("claude-haiku-4-5", "budget"),
        ("claude-opus-4-6", "adaptive"),
        ("claude-sonnet-5-5", "adaptive"),
        ("claude-opus-4-51", "adaptive"),
        ("other", "adaptive"),
    ],
)
def test_older_claude_models_are_told_a_budget(model, style):
    assert thinking_style(model) == style


def test_a_body_of_many_strange_blocks_is_translated_in_linear_time_and_its_loss_is_cut():
    content = [{"type": "strange"}] * 50_000
    _, lost = cross("messages", "chat", loss=True, messages=[{"role": "user", "content": content}, USER])
    assert len(lost) == 100
    items = [{"role": "assistant", "content": "x"}] * 20_000
    assert len(sent("responses", "chat", input=[*items, USER])["messages"][0]["content"]) == 20_000
