"""What the simulated provider says, and in which shapes."""

from __future__ import annotations

import base64
import functools
import itertools
import json
import math
import struct
from typing import Any

import anthropic.types as at
import jsonschema_rs
import openai.types as ot
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from meliora.gateway.simulated.answers import Answer, answer, dialect_of
from meliora.gateway.simulated.knowledge import grade, task_of
from meliora.gateway.simulated.models import SIMULATED, TASKS, find_model, simulated_models, simulated_provider
from meliora.gateway.simulated.reply import LABEL
from meliora.settings.models import Settings

LARGE, SMALL, VECTORS = (find_model(f"simulated-{size}") for size in ("large", "small", "embedding"))
assert LARGE and SMALL and VECTORS
WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1, "maximum": 7}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
PATHS = {"chat": "/v1/chat/completions", "responses": "/responses", "messages": "/v1/messages?beta=true"}


def request(dialect: str, prompt: str, **more: Any) -> dict[str, Any]:
    if dialect == "responses":
        return {"model": "simulated-large", "input": prompt, **more}
    body = {"model": "simulated-large", "messages": [{"role": "user", "content": prompt}], **more}
    return {"max_tokens": 1000, **body} if dialect == "messages" else body


def asked(dialect: str, prompt: str, **more: Any) -> Answer:
    return answer(PATHS[dialect], request(dialect, prompt, **more), LARGE, 0)


def tool(dialect: str, name: str) -> dict[str, Any]:
    if dialect == "chat":
        return {"type": "function", "function": {"name": name, "parameters": WEATHER}}
    if dialect == "responses":
        return {"type": "function", "name": name, "parameters": WEATHER}
    return {"name": name, "input_schema": WEATHER}


def payloads(made: Answer) -> list[dict[str, Any]]:
    datas = [event.data.split(b"data: ", 1)[1].strip() for event in made.events]
    return [json.loads(data) for data in datas if data != b"[DONE]"]


def text_of(dialect: str, made: Answer) -> str:
    body = json.loads(made.body)
    if dialect == "chat":
        return body["choices"][0]["message"]["content"]
    if dialect == "messages":
        return "".join(block.get("text", "") for block in body["content"])
    return "".join(part["text"] for item in body["output"] for part in item.get("content", ()))


def calls_of(dialect: str, made: Answer) -> list[tuple[str, dict[str, Any]]]:
    body = json.loads(made.body)
    if dialect == "chat":
        calls = [call["function"] for call in body["choices"][0]["message"].get("tool_calls", ())]
        return [(call["name"], json.loads(call["arguments"])) for call in calls]
    if dialect == "messages":
        return [(block["name"], block["input"]) for block in body["content"] if block["type"] == "tool_use"]
    items = [item for item in body["output"] if item["type"] == "function_call"]
    return [(item["name"], json.loads(item["arguments"])) for item in items]


@functools.cache
def adapter(union: Any) -> TypeAdapter[Any]:
    return TypeAdapter(union)


def validated(dialect: str, made: Answer) -> None:
    """Hold body and events to the official clients' own types, strictly where they are strict."""
    if dialect == "chat":
        ChatCompletion.model_validate_json(made.body)
        [ChatCompletionChunk.model_validate(payload) for payload in payloads(made)]
    elif dialect == "messages":
        at.Message.model_validate_json(made.body)
        events = [payload for payload in payloads(made) if payload["type"] != "ping"]
        [adapter(at.RawMessageStreamEvent).validate_python(payload) for payload in events]
    else:
        Response.model_validate_json(made.body)
        [adapter(ResponseStreamEvent).validate_python(payload) for payload in payloads(made)]


every_dialect = pytest.mark.parametrize("dialect", ["chat", "responses", "messages"])


@every_dialect
@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"tools": "two"},
        {"stream_options": {"include_usage": True}},
        {"n": 3},
        {"thinking": {"type": "enabled", "budget_tokens": 1024}},
        {"reasoning": {"effort": "high"}, "reasoning_effort": "low"},
        {"max_output_tokens": 3, "max_tokens": 3},
        {"user": "u", "metadata": {"user_id": "u"}, "temperature": 0.3},
    ],
    ids=lambda extra: "-".join(extra) or "plain",
)
def test_bodies_and_streams_are_what_the_official_clients_expect(dialect: str, extra: dict[str, Any]) -> None:
    if extra.get("tools"):
        extra = {"tools": [tool(dialect, "get_weather"), tool(dialect, "get_news")]}
    validated(dialect, asked(dialect, "Call get_weather and get_news for Spain", **extra))


@every_dialect
def test_every_answer_says_that_it_is_simulated(dialect: str) -> None:
    made = asked(dialect, "Why is the sky blue?")
    assert text_of(dialect, made).startswith(LABEL)
    assert "_sim_" in (ident := json.loads(made.body)["id"]) or "-sim-" in ident
    assert (b"x-meliora-simulated", b"true") in made.headers
    if dialect == "chat":
        assert json.loads(made.body)["system_fingerprint"] == "simulated"


def test_the_same_conversation_gets_the_same_text_in_every_dialect_streamed_or_not() -> None:
    texts = {text_of(dialect, asked(dialect, "Compare the sources on tea")) for dialect in PATHS}
    chunks = payloads(asked("chat", "Compare the sources on tea", stream=True))
    streamed = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)
    assert texts == {streamed}


@given(st.text(max_size=60), st.integers(0, 5), st.sampled_from(sorted(PATHS)))
@settings(max_examples=100, deadline=None)
def test_any_prompt_is_answered_and_always_alike(prompt: str, seed: int, dialect: str) -> None:
    first, second = (answer(PATHS[dialect], request(dialect, prompt), LARGE, seed) for _ in range(2))
    assert first.status == 200
    assert first.body == second.body
    assert [event.data for event in first.events] == [event.data for event in second.events]


def test_equal_requests_have_ids_of_their_own_where_they_are_numbered() -> None:
    body = request("chat", "hello there you")
    first, second = (json.loads(answer(PATHS["chat"], body, LARGE, 0, serial=serial).body) for serial in (1, 2))
    assert first["id"] != second["id"]
    assert first["choices"] == second["choices"]


def test_small_questions_are_answered_rightly_by_a_model_that_is_right() -> None:
    assert text_of("chat", asked("chat", "What is 12*7?")) == "[simulated] 12 * 7 = 84."
    assert "Lima" in text_of("chat", asked("chat", "What is the capital of Peru?"))
    assert text_of("chat", asked("chat", "Say: good morning")) == "[simulated] good morning"
    assert "text[::-1]" in text_of("chat", asked("chat", "Write a python function to reverse a string"))


@every_dialect
def test_tools_that_are_named_are_called_with_valid_arguments(dialect: str) -> None:
    tools = [tool(dialect, name) for name in ("get_weather", "get_news", "get_stock")]
    made = asked(dialect, "Please use get_weather and get news in Norway", tools=tools)
    calls = calls_of(dialect, made)
    assert [name for name, _ in calls] == ["get_weather", "get_news"]
    for _, arguments in calls:
        jsonschema_rs.validate(WEATHER, arguments)
    assert calls[0][1]["city"] == "Oslo"


@every_dialect
def test_a_forced_tool_is_called_and_a_forbidden_one_is_not(dialect: str) -> None:
    tools = [tool(dialect, "get_weather"), tool(dialect, "get_news")]
    forced = {
        "chat": {"type": "function", "function": {"name": "get_news"}},
        "responses": {"type": "function", "name": "get_news"},
        "messages": {"type": "tool", "name": "get_news"},
    }[dialect]
    none, any_ = ({"type": "none"}, {"type": "any"}) if dialect == "messages" else ("none", "required")
    prompt = "Tell me about Oslo and rain"
    assert [name for name, _ in calls_of(dialect, asked(dialect, prompt, tools=tools, tool_choice=forced))] == [
        "get_news"
    ]
    assert len(calls_of(dialect, asked(dialect, prompt, tools=tools, tool_choice=any_))) == 1
    assert calls_of(dialect, asked(dialect, "use get_news", tools=tools, tool_choice=none)) == []
    assert calls_of(dialect, asked(dialect, prompt, tools=tools)) == []


def test_one_tool_at_a_time_where_parallel_calls_are_off() -> None:
    tools = [tool("chat", "get_weather"), tool("chat", "get_news")]
    made = asked("chat", "get_weather get_news", tools=tools, parallel_tool_calls=False)
    assert len(calls_of("chat", made)) == 1
    tools = [tool("messages", "get_weather"), tool("messages", "get_news")]
    choice = {"type": "auto", "disable_parallel_tool_use": True}
    assert len(calls_of("messages", asked("messages", "get_weather get_news", tools=tools, tool_choice=choice))) == 1


def test_a_tools_result_is_answered_in_words() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "get_news", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "use get_news"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "all quiet"},
    ]
    body = {"model": "simulated-large", "messages": messages, "tools": [tool("chat", "get_news")]}
    assert "all quiet" in text_of("chat", answer(PATHS["chat"], body, LARGE, 0))
    blocks = [{"type": "tool_result", "tool_use_id": "c", "content": [{"type": "text", "text": "all quiet"}]}]
    body = request("messages", "", messages=[{"role": "user", "content": blocks}])
    assert "all quiet" in text_of("messages", answer(PATHS["messages"], body, LARGE, 0))


@every_dialect
def test_a_structured_answer_is_an_instance_of_its_schema(dialect: str) -> None:
    schema = {
        "type": "object",
        "properties": {"answer": {"type": "integer"}, "steps": {"type": "array", "items": {"type": "string"}}},
        "required": ["answer", "steps"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "name": "sum", "schema": schema, "strict": True}
    extra = {
        "chat": {"response_format": {"type": "json_schema", "json_schema": {"name": "sum", "schema": schema}}},
        "responses": {"text": {"format": form}},
        "messages": {"output_config": {"format": {"type": "json_schema", "schema": schema}}},
    }[dialect]
    made = asked(dialect, "What is 12*7?", **extra)
    value = json.loads(text_of(dialect, made))
    jsonschema_rs.validate(schema, value)
    assert value["answer"] == 84
    validated(dialect, made)


def test_several_choices_a_stop_and_a_limit_are_honoured() -> None:
    body = json.loads(asked("chat", "Tell me about rivers", n=3).body)
    assert [choice["index"] for choice in body["choices"]] == [0, 1, 2]
    stopped = json.loads(asked("chat", "Say: one two three", stop=["two"]).body)["choices"][0]
    assert (stopped["message"]["content"], stopped["finish_reason"]) == ("[simulated] one ", "stop")
    cut = json.loads(asked("chat", "count to 50", max_completion_tokens=5).body)
    assert cut["choices"][0]["finish_reason"] == "length"
    assert cut["usage"]["completion_tokens"] == 5
    said = json.loads(asked("messages", "Say: one two three", stop_sequences=["two"]).body)
    assert (said["stop_reason"], said["stop_sequence"]) == ("stop_sequence", "two")
    assert json.loads(asked("messages", "count to 50", max_tokens=5).body)["stop_reason"] == "max_tokens"
    ended = json.loads(asked("responses", "count to 50", max_output_tokens=5).body)
    assert (ended["status"], ended["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})


@pytest.mark.parametrize("max_tokens", [1, 2, 30])
@every_dialect
def test_usage_never_exceeds_the_limit_and_counts_what_was_streamed(dialect: str, max_tokens: int) -> None:
    field = "max_output_tokens" if dialect == "responses" else "max_tokens"
    more = {field: max_tokens, "thinking": {"type": "adaptive"}, "reasoning": {"effort": "high"}}
    made = asked(dialect, "count to 50", stream=True, stream_options={"include_usage": True}, **more)
    assert made.output_tokens == max_tokens
    usage = [payload for payload in payloads(made) if payload.get("usage") or "response" in payload][-1]
    usage = usage.get("response", usage)["usage"]
    assert (usage.get("completion_tokens") or usage.get("output_tokens")) == max_tokens


def test_usage_is_streamed_only_where_it_is_asked_for() -> None:
    plain = payloads(asked("chat", "hello there", stream=True))
    assert not any("usage" in chunk for chunk in plain)
    counted = payloads(asked("chat", "hello there", stream=True, stream_options={"include_usage": True}))
    assert counted[-1]["choices"] == []
    assert counted[-1]["usage"]["total_tokens"] > 0
    assert all(chunk["usage"] is None for chunk in counted[:-1])


def test_cached_tokens_are_a_part_of_the_prompt_where_it_is_marked_for_the_cache() -> None:
    prompt = "tea " * 1000
    usage = json.loads(asked("chat", prompt, prompt_cache_key="k").body)["usage"]
    assert 0 < usage["prompt_tokens_details"]["cached_tokens"] < usage["prompt_tokens"]
    blocks = [{"type": "text", "text": prompt, "cache_control": {"type": "ephemeral"}}]
    marked = json.loads(asked("messages", "", messages=[{"role": "user", "content": blocks}]).body)["usage"]
    assert marked["cache_read_input_tokens"] + marked["input_tokens"] == usage["prompt_tokens"]


def test_images_are_counted_not_looked_at() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    content = [{"type": "text", "text": "What is this thing?"}, picture, picture]
    made = asked("chat", "", messages=[{"role": "user", "content": content}])
    assert "I see 2 images." in text_of("chat", made)
    content = [{"type": "input_text", "text": "What is this?"}, {"type": "input_image", "image_url": "https://x/y"}]
    made = asked("responses", "", input=[{"role": "user", "content": content}])
    assert "I see 1 image." in text_of("responses", made)


def test_thinking_comes_before_the_text_and_is_signed() -> None:
    made = asked("messages", "Why rain?", thinking={"type": "enabled", "budget_tokens": 2000})
    blocks = json.loads(made.body)["content"]
    assert [block["type"] for block in blocks] == ["thinking", "text"]
    assert base64.b64decode(blocks[0]["signature"]).startswith(b"simulated:")


def test_a_stream_begins_with_a_prelude_that_is_no_content() -> None:
    for dialect, prelude in (("chat", 1), ("messages", 3), ("responses", 4)):
        flags = [event.content for event in asked(dialect, "hello there you", stream=True).events]
        assert flags == [False] * prelude + [True] * (len(flags) - prelude)


def test_tokens_are_counted_without_an_answer() -> None:
    body = request("messages", "four words are here")
    counted = answer("/v1/messages/count_tokens", {k: v for k, v in body.items() if k != "max_tokens"}, LARGE, 0)
    used = json.loads(answer("/v1/messages", body, LARGE, 0).body)["usage"]["input_tokens"]
    assert at.MessageTokensCount.model_validate_json(counted.body).input_tokens == used


def test_embeddings_are_unit_vectors_of_the_asked_length_in_both_encodings() -> None:
    body = {"model": "simulated-embedding", "input": ["green tea", "green teas", "tax law"], "dimensions": 128}
    made = ot.CreateEmbeddingResponse.model_validate_json(answer("/v1/embeddings", body, VECTORS, 0).body)
    vectors = [each.embedding for each in made.data]
    assert [len(vector) for vector in vectors] == [128] * 3
    assert all(math.isclose(math.fsum(x * x for x in vector), 1, rel_tol=1e-6) for vector in vectors)
    near, far = (sum(a * b for a, b in zip(vectors[0], vectors[i], strict=True)) for i in (1, 2))
    assert near > far
    packed = json.loads(answer("/v1/embeddings", {**body, "encoding_format": "base64"}, VECTORS, 0).body)
    unpacked = struct.unpack("<128f", base64.b64decode(packed["data"][0]["embedding"]))
    assert all(math.isclose(a, b, abs_tol=1e-6) for a, b in zip(unpacked, vectors[0], strict=True))
    tokens = answer("/v1/embeddings", {"model": "e", "input": [[1, 2], [3]]}, VECTORS, 0)
    assert [len(each["embedding"]) for each in json.loads(tokens.body)["data"]] == [256, 256]


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/chat/completions", {"model": "m"}, "messages"),
        ("/chat/completions", {"model": "m", "messages": []}, "messages"),
        ("/chat/completions", {"model": "m", "messages": [{"role": "king", "content": ""}]}, "messages.role"),
        ("/chat/completions", {"model": 7, "messages": [{"role": "user", "content": ""}]}, "model"),
        ("/chat/completions", {"model": "m", "messages": [{"role": "user"}], "stream": "yes"}, "stream"),
        ("/chat/completions", {"model": "m", "messages": [{"role": "user"}], "n": 0}, "n"),
        ("/chat/completions", {"model": "m", "messages": [{"role": "user"}], "n": 1000}, "n"),
        ("/messages", {"model": "m", "messages": [{"role": "user", "content": "x"}]}, "max_tokens"),
        ("/responses", {"model": "m", "input": 7}, "input"),
        ("/responses", {"model": "m", "input": "x", "previous_response_id": "resp_1"}, "previous_response_id"),
        ("/chat/completions", [], None),
    ],
)
def test_a_bad_request_is_refused_by_the_name_of_its_field(path: str, body: Any, field: str | None) -> None:
    made = answer(path, body, LARGE, 0)
    error = json.loads(made.body)["error"]
    assert made.status == 400
    assert field is None or field in (error.get("param") or error["message"])


def test_a_prompt_longer_than_the_context_is_refused_as_providers_do() -> None:
    made = answer("/chat/completions", request("chat", "tea " * 130_000), SMALL, 0)
    assert (made.status, json.loads(made.body)["error"]["code"]) == (400, "context_length_exceeded")


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_openai = st.sampled_from(("messages", "input", "tools", "tool_choice", "response_format", "text", "stop", "n"))
_others = st.sampled_from(
    ("stream", "stream_options", "thinking", "system", "reasoning", "output_config", "dimensions")
)
_fields = _openai | _others


@given(st.sampled_from([*PATHS.values(), "/v1/embeddings"]), st.dictionaries(_fields, _json, max_size=4))
@settings(max_examples=200, deadline=None)
def test_no_body_brings_it_down(path: str, extra: dict[str, Any]) -> None:
    dialect = dialect_of(path) or ""
    made = answer(path, {**request(dialect, "hi"), **extra}, VECTORS if dialect == "embeddings" else LARGE, 0)
    assert made.status in (200, 400)
    json.loads(made.body)
    list(made.events)


PROMPTS = {
    "chat": "I would like to hear about {} and what you like there, friend",
    "code": "Write a python function number {} that filters items",
    "reasoning": "Prove step by step that claim {} holds for all cases",
    "research": "Compare the literature and sources about topic {} for me",
    "creative": "Write a poem about mountain {} and the long winter",
    "system": "How can I restart the nginx server number {} tonight",
    "simple": "What is {} plus 4",
}


@pytest.mark.parametrize("model", [model for model in SIMULATED if model.quality], ids=lambda model: model.name)
@pytest.mark.parametrize("task", TASKS)
def test_models_are_right_as_often_as_declared(model: Any, task: Any) -> None:
    prompts = [PROMPTS[task].format(i) for i in range(400)]
    assert {task_of(prompt) for prompt in prompts} == {task}
    answers = [answer(PATHS["chat"], request("chat", prompt), model, 7) for prompt in prompts]
    right = sum(grade(prompt, text_of("chat", made)) for prompt, made in zip(prompts, answers, strict=True))
    declared = model.quality[task]
    # Five standard deviations: the draws are fixed by the seed, so this fails for a wrong rate, never by chance.
    assert abs(right / 400 - declared) < 5 * math.sqrt(declared * (1 - declared) / 400)


def test_seeds_make_different_mistakes() -> None:
    def wrong(seed: int) -> set[int]:
        bodies = [request("chat", f"Prove step by step that claim {i} holds") for i in range(60)]
        texts = [text_of("chat", answer(PATHS["chat"], body, SMALL, seed)) for body in bodies]
        return {i for i, text in enumerate(texts) if "claim" not in text}

    assert len({frozenset(wrong(seed)) for seed in range(4)}) == 4


def test_better_models_cost_more_and_take_longer() -> None:
    writers = [model for model in SIMULATED if model.tier in ("fast", "balanced", "deep")]
    for cheap, dear in itertools.pairwise(writers):
        assert cheap.output_usd < dear.output_usd
        assert cheap.first_token_ms < dear.first_token_ms
        assert all(cheap.quality[task] < dear.quality[task] for task in TASKS)


def test_the_models_are_settings_as_they_stand() -> None:
    made = Settings.model_validate(
        {
            "providers": {"simulated": simulated_provider().model_dump()},
            "models": {name: model.model_dump() for name, model in simulated_models().items()},
        }
    )
    assert {model.tier for model in made.models.values()} == {"fast", "balanced", "deep", "code", None}
    assert all(model.price and model.price.input is not None for model in made.models.values())


def test_embeddings_of_texts_about_the_same_are_nearer_than_of_texts_that_sound_alike() -> None:
    def near(first: str, second: str) -> float:
        body = {"model": "e", "input": [first, second]}
        one, other = (row["embedding"] for row in json.loads(answer("/v1/embeddings", body, VECTORS, 0).body)["data"])
        return sum(a * b for a, b in zip(one, other, strict=True))

    assert near("Paris is the capital of France.", "The capital of France is Paris!") == pytest.approx(1)
    assert near("You reverse a list with list.reverse().", "To reverse the list, call its reverse method.") > 0.6
    assert near("The answer is a cat.", "The answer is a dog.") < 0.6
    assert near("Water boils at 100 degrees.", "The revolution began in 1789.") < 0.3
