"""What the gateway reads of a request, and the raw changes it makes."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meliora.errors import InvalidRequest
from meliora.gateway.dialects.count_tokens import estimate_tokens
from meliora.gateway.dialects.inspect import ask_for_usage, check_duplicates, inspect_request, splice_model
from meliora.gateway.dialects.raw import members

NAMES = st.sampled_from(
    [
        "model",
        "messages",
        "input",
        "stream",
        "role",
        "content",
        "type",
        "text",
        "user",
        "tools",
        "tool_calls",
        "function",
        "arguments",
        "system",
        "metadata",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=25,
)


def decode(raw: bytes):
    return msgspec.json.decode(raw)


def test_a_chat_request_gives_its_system_prompt_and_its_last_user_message():
    body = {
        "model": "auto",
        "stream": True,
        "messages": [
            {"role": "developer", "content": "Be kind."},
            {"role": "user", "content": "first"},
            {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]},
            {"role": "user", "content": [{"type": "text", "text": "last"}, {"type": "image_url", "image_url": {}}]},
        ],
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "response_format": {"type": "json_schema", "json_schema": {}},
        "stream_options": {"include_usage": True},
        "max_tokens": 5,
        "max_completion_tokens": 7,
        "safety_identifier": "u",
    }
    view = inspect_request("chat", body)
    assert view.prompt_text == "Be kind.\nlast"
    assert (view.has_images, view.has_tools, view.has_schema, view.stream) == (True, True, True, True)
    assert (view.max_output_tokens, view.user, view.includes_usage, view.turns) == (7, "u", True, 4)
    assert view.input_chars >= len("Be kind.firstlast{}")


def test_a_messages_request_skips_turns_of_tool_results_alone_for_its_prompt():
    result = {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "12"}, {"type": "image"}]}
    body = {
        "model": "m",
        "max_tokens": 9,
        "system": [{"type": "text", "text": "sys"}],
        "messages": [{"role": "user", "content": "ask"}, {"role": "user", "content": [result]}],
        "metadata": {"user_id": "u1"},
        "thinking": {"type": "enabled", "budget_tokens": 2000},
    }
    view = inspect_request("messages", body)
    assert (view.prompt_text, view.user, view.max_output_tokens) == ("sys\nask", "u1", 9)
    assert (view.has_images, view.wants_reasoning) == (True, True)
    assert view.input_chars == len("sys" + "ask" + "12")


def test_a_responses_request_may_give_its_input_as_a_string_or_as_items():
    assert inspect_request("responses", {"model": "m", "input": "hi", "instructions": "be"}).prompt_text == "be\nhi"
    items = [
        {"role": "user", "content": [{"type": "input_text", "text": "hi"}]},
        {"type": "function_call_output", "output": "42"},
    ]
    view = inspect_request("responses", {"model": "m", "input": items, "previous_response_id": "resp_1"})
    assert (view.prompt_text, view.previous_response_id, view.input_chars) == ("hi", "resp_1", 4)


@pytest.mark.parametrize("given", ["text", ["a", "b"], [1, 2, 3], [[1, 2], [3]]])
def test_embeddings_take_text_and_tokens(given):
    assert inspect_request("embeddings", {"model": "m", "input": given}).input_chars > 0


@pytest.mark.parametrize(
    ("dialect", "body", "field"),
    [
        ("chat", {}, "model"),
        ("chat", {"model": ""}, "model"),
        ("chat", {"model": 3, "messages": []}, "model"),
        ("chat", {"model": "m", "messages": "hi"}, "messages"),
        ("messages", {"model": "m"}, "messages"),
        ("responses", {"model": "m", "input": 3}, "input"),
        ("responses", {"model": "m"}, "input"),
        ("embeddings", {"model": "m", "input": {}}, "input"),
        ("chat", {"model": "m", "messages": [], "stream": "yes"}, "stream"),
        ("chat", [], None),
        ("chat", None, None),
    ],
)
def test_what_the_gateway_needs_is_checked_and_named(dialect, body, field):
    with pytest.raises(InvalidRequest) as caught:
        inspect_request(dialect, body)
    assert caught.value.field == field


@settings(max_examples=120)
@given(JSON, st.sampled_from(["chat", "messages", "responses", "embeddings"]))
def test_any_json_is_read_or_refused(extra, dialect):
    body = {"model": "m", "messages": [extra], "input": [extra], "system": extra, "tools": extra, "metadata": extra}
    inspect_request(dialect, body)
    inspect_request(dialect, {**body, "messages": [{"role": "user", "content": extra}]})


RAW = [
    b'{"model":"a","messages":[]}',
    b' { "messages" : [ {"content":"\\"model\\": \\"x\\""} ] , "model" : "a" , "x": 1.50 } ',
    b'{"tools":[{"model":"in"}],"model":"a"}',
    b'{"mod\\u0065l":"a","x":{"model":"b"}}',
    b'{"x":"model","model":"a\\"b"}',
]


@pytest.mark.parametrize("raw", RAW)
def test_splicing_changes_the_model_and_no_other_byte(raw):
    spliced = splice_model(raw, decode(raw), 'new"ü')
    assert decode(spliced) == {**decode(raw), "model": 'new"ü'}
    (before,) = [m for m in members(raw) if m.key == "model"]
    (after,) = [m for m in members(spliced) if m.key == "model"]
    assert (raw[: before.start], raw[before.end :]) == (spliced[: after.start], spliced[after.end :])


@pytest.mark.parametrize(
    ("raw", "options"),
    [
        (b'{"model":"a"}', {"include_usage": True}),
        (b' {"model":"a","stream_options":null}', {"include_usage": True}),
        (b'{"model":"a","stream_options": {} }', {"include_usage": True}),
        (b'{"model":"a","stream_options":{"include_usage" : false,"z":1e2}}', {"include_usage": True, "z": 100.0}),
        (
            b'{"model":"a","stream_options":{"z":[{"include_usage":false}]}}',
            {"include_usage": True, "z": [{"include_usage": False}]},
        ),
        (b'{"x":{"stream_options":{}},"stream_options":{"include_usage":true}}', {"include_usage": True}),
        (b'{"str\\u0065am_options":null,"a":1}', {"include_usage": True}),
    ],
)
def test_usage_is_asked_for_and_the_rest_stays(raw, options):
    asked = ask_for_usage(raw, decode(raw))
    assert decode(asked) == {**decode(raw), "stream_options": options}
    assert ask_for_usage(asked, decode(asked)) == asked


def test_stream_options_of_another_type_are_refused():
    with pytest.raises(InvalidRequest):
        ask_for_usage(b'{"stream_options":3}', {"stream_options": 3})


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (b'{"model":"a","model":"b"}', "model"),
        (b'{"mod\\u0065l":"a","model":"b"}', "model"),
        (b'{"model":"a","stream":true,"\\u0073tream" : false}', "stream"),
        (b'{"max_tokens":1,"model":"a","max_tokens" :2}', "max_tokens"),
    ],
)
def test_a_guarded_key_that_is_there_twice_is_refused(raw, field):
    with pytest.raises(InvalidRequest) as caught:
        check_duplicates(raw, decode(raw))
    assert caught.value.field == field


@pytest.mark.parametrize(
    "raw",
    [
        b'{"model":"a","messages":[{"model":"b","role":"user"}],"user":"user"}',
        b'{"model":"model","metadata":{"model":"\\u0061\\"model\\":"}}',
        b'{"a":{"b":[{"model":1},{"model":2}]},"model":"x"}',
    ],
)
def test_keys_of_inner_objects_are_no_duplicates(raw):
    check_duplicates(raw, decode(raw))


@settings(max_examples=150)
@given(st.dictionaries(NAMES, JSON, max_size=6))
def test_members_are_what_the_decoder_sees(body):
    raw = msgspec.json.format(msgspec.json.encode(body), indent=1)
    again = decode(raw)
    found = members(raw)
    assert [m.key for m in found] == list(again)
    assert [msgspec.json.encode(decode(raw[m.start : m.end])) for m in found] == [
        msgspec.json.encode(v) for v in again.values()
    ]
    check_duplicates(raw, again)


def test_a_body_of_megabytes_is_scanned_in_linear_time():
    raw = b'{"model":"a","model2":"' + b'\\"{' * 700_000 + b'","m\\u006fdel":"b"}'
    with pytest.raises(InvalidRequest):
        check_duplicates(raw, decode(raw))


def test_tokens_are_estimated_by_four_bytes_and_a_flat_sum_an_image():
    body = {"model": "m", "messages": [{"role": "user", "content": "x" * 400}]}
    assert estimate_tokens(body) == 100
    body["messages"].append({"role": "user", "content": [{"type": "image", "source": {"data": "A" * 9999}}]})
    assert estimate_tokens(body) == 1700
