"""OpenAI's client and its chat completions, served by a provider that speaks them and by one that speaks messages."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from tests.clients.house import DATA_URL, House, all_of, each, entered, secret_of, settled

pytestmark = pytest.mark.asyncio(loop_scope="module")
MODELS = pytest.mark.parametrize("model", ["gpt", "claude"])


class City(BaseModel):
    """What is asked for as a structured answer."""

    name: str
    population: int
    districts: list[str]


def _tool(name: str, field: str) -> dict[str, Any]:
    properties = {field: {"type": "string"}}
    schema = {"type": "object", "properties": properties, "required": [field], "additionalProperties": False}
    function = {"name": name, "description": f"Gives it: {name}.", "parameters": schema, "strict": True}
    return {"type": "function", "function": function}


TOOLS = [_tool("get_weather", "city"), _tool("get_time", "location")]


def _ask(text: str) -> list[dict[str, Any]]:
    return [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]


@MODELS
async def test_a_chat_is_answered_and_its_usage_is_what_was_recorded(
    openai_client: Any, house: House, model: str
) -> None:
    raw = await settled(
        openai_client.chat.completions.with_raw_response.create(model=model, messages=_ask("What is 2+2?"))
    )
    completion = raw.parse()
    assert completion.choices[0].message.content == "[simulated] 2 + 2 = 4."
    assert completion.choices[0].finish_reason == "stop"
    assert raw.headers["x-meliora-model"] == model
    assert raw.headers["x-meliora-reason"] == "asked"
    record = house.record(raw.headers["x-meliora-call"])
    assert record.usage is not None
    assert completion.usage.prompt_tokens == record.usage.input
    assert completion.usage.completion_tokens == record.usage.output
    assert completion.usage.total_tokens == (record.usage.input or 0) + (record.usage.output or 0)
    assert record.response_id == completion.id
    assert float(raw.headers["x-meliora-cost"]) * 1e6 == pytest.approx(record.cost_micros)


@MODELS
async def test_a_stream_says_what_the_whole_answer_says_with_the_same_usage(openai_client: Any, model: str) -> None:
    asked = {"model": model, "messages": _ask("Count to 12")}
    whole = await settled(openai_client.chat.completions.create(**asked))
    stream = openai_client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    chunks = await all_of(stream)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert len({c.id for c in chunks}) == 1
    assert chunks[-1].choices == []
    assert chunks[-1].usage.prompt_tokens == whole.usage.prompt_tokens
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens


@MODELS
async def test_a_stream_without_the_wish_for_usage_has_none(openai_client: Any, model: str) -> None:
    chunks = await all_of(
        openai_client.chat.completions.create(model=model, messages=_ask("What is 2+2?"), stream=True)
    )
    assert all(chunk.choices and chunk.usage is None for chunk in chunks)


@MODELS
async def test_the_streaming_helper_gives_the_final_completion(openai_client: Any, model: str) -> None:
    manager = openai_client.chat.completions.stream(model=model, messages=_ask("Count to 5"))
    async with entered(manager) as stream:
        deltas = [event.delta async for event in each(stream) if event.type == "content.delta"]
        final = await settled(stream.get_final_completion())
    assert "".join(deltas) == final.choices[0].message.content
    assert final.choices[0].message.content.startswith("[simulated]")


@MODELS
async def test_a_tool_is_called_and_its_result_is_read(openai_client: Any, house: House, model: str) -> None:
    messages = _ask("Use get_weather for Paris")
    asked = {"model": model, "tools": TOOLS}
    first = await settled(openai_client.chat.completions.create(**asked, messages=messages))
    [call] = first.choices[0].message.tool_calls
    assert first.choices[0].finish_reason == "tool_calls"
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments) == {"city": "Paris"}
    messages += [first.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "17 degrees"}]
    second = await settled(openai_client.chat.completions.create(**asked, messages=messages))
    assert "17 degrees" in second.choices[0].message.content
    assert call.id in house.provider(model).requests[-1].body.decode()


@MODELS
async def test_two_tools_are_called_at_once_unless_that_is_forbidden(openai_client: Any, model: str) -> None:
    messages = _ask("Use get_weather and get_time for Paris")
    asked = {"model": model, "tools": TOOLS}
    first = await settled(openai_client.chat.completions.create(**asked, messages=messages))
    calls = first.choices[0].message.tool_calls
    assert [call.function.name for call in calls] == ["get_weather", "get_time"]
    assert len({call.id for call in calls}) == 2
    results = [{"role": "tool", "tool_call_id": call.id, "content": f"Result of {call.id}"} for call in calls]
    second = await settled(
        openai_client.chat.completions.create(**asked, messages=[*messages, first.choices[0].message, *results])
    )
    assert second.choices[0].finish_reason == "stop"
    one = await settled(openai_client.chat.completions.create(**asked, messages=messages, parallel_tool_calls=False))
    assert len(one.choices[0].message.tool_calls) == 1


@MODELS
async def test_streamed_tool_calls_are_put_together_by_the_helper(openai_client: Any, model: str) -> None:
    messages = _ask("Use get_weather and get_time for Paris")
    async with entered(openai_client.chat.completions.stream(model=model, messages=messages, tools=TOOLS)) as stream:
        done = [e async for e in each(stream) if e.type == "tool_calls.function.arguments.done"]
        final = await settled(stream.get_final_completion())
    assert [event.name for event in done] == ["get_weather", "get_time"]
    calls = final.choices[0].message.tool_calls
    assert [json.loads(call.function.arguments) for call in calls] == [{"city": "Paris"}, {"location": "Paris"}]
    assert final.choices[0].finish_reason == "tool_calls"


@MODELS
async def test_a_tool_can_be_forced_by_name(openai_client: Any, model: str) -> None:
    forced = {"type": "function", "function": {"name": "get_time"}}
    answer = await settled(
        openai_client.chat.completions.create(model=model, messages=_ask("Hello"), tools=TOOLS, tool_choice=forced)
    )
    [call] = answer.choices[0].message.tool_calls
    assert call.function.name == "get_time"


@MODELS
async def test_a_structured_answer_is_parsed(openai_client: Any, model: str) -> None:
    asked = {"model": model, "messages": _ask("Tell me of Rome"), "response_format": City}
    answer = await settled(openai_client.chat.completions.parse(**asked))
    assert isinstance(answer.choices[0].message.parsed, City)
    async with entered(openai_client.chat.completions.stream(**asked)) as stream:
        final = await settled(stream.get_final_completion())
    assert final.choices[0].message.parsed == answer.choices[0].message.parsed


@MODELS
async def test_an_image_reaches_the_provider(openai_client: Any, house: House, model: str) -> None:
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": DATA_URL}}]
    answer = await settled(
        openai_client.chat.completions.create(model=model, messages=[{"role": "user", "content": parts}])
    )
    assert "I see 1 image" in answer.choices[0].message.content
    assert DATA_URL.partition(",")[2] in house.provider(model).requests[-1].body.decode()


async def test_fields_that_the_client_does_not_know_pass(openai_client: Any, house: House) -> None:
    await settled(
        openai_client.chat.completions.create(
            model="gpt", messages=_ask("Hello"), extra_body={"x_new": {"b": [1]}}, seed=7, logit_bias={"5": 1}
        )
    )
    sent = house.openai.requests[-1].json()
    assert (sent["x_new"], sent["seed"], sent["logit_bias"]) == ({"b": [1]}, 7, {"5": 1})


async def test_what_has_no_counterpart_is_refused_by_name_unless_the_key_allows_loss(
    openai_client: Any, house: House
) -> None:
    asked = {"model": "claude", "messages": _ask("Hello"), "seed": 7}
    before = house.anthropic.count
    with pytest.raises(openai.BadRequestError) as refused:
        await settled(openai_client.chat.completions.create(**asked))
    assert refused.value.param == "seed"
    assert refused.value.code == "untranslatable_field"
    assert house.anthropic.count == before
    lossy = openai_client.with_options(api_key=secret_of("lossy"))
    raw = await settled(lossy.chat.completions.with_raw_response.create(**asked))
    assert raw.headers["x-meliora-loss"] == "seed"
    assert house.record(raw.headers["x-meliora-call"]).loss == ("seed",)


async def test_the_labels_of_the_application_are_recorded(openai_client: Any, house: House) -> None:
    labelled = openai_client.with_options(
        default_headers={"x-meliora-session": "s1", "x-meliora-feature": "search", "x-meliora-tags": "env=test"}
    )
    raw = await settled(
        labelled.chat.completions.with_raw_response.create(
            model="smart",
            messages=_ask("Hello"),
            extra_headers={"x-meliora-user": "u1", "x-meliora-message-id": "msg-9"},
        )
    )
    record = house.record(raw.headers["x-meliora-call"])
    assert (record.user, record.session, record.feature) == ("u1", "s1", "search")
    assert (record.message_id, record.tags) == ("msg-9", {"env": "test"})
    assert raw.headers["x-meliora-reason"] == "alias:smart"
    assert record.model == "gpt"


async def test_embeddings_come_in_the_clients_default_encoding(openai_client: Any, house: House) -> None:
    """The client asks for base64 of its own accord and gives floats."""
    asked = {"model": "embed", "input": ["one", "two"]}
    answer = await settled(openai_client.embeddings.create(**asked))
    assert house.openai.requests[-1].json()["encoding_format"] == "base64"
    plain = await settled(openai_client.embeddings.create(**asked, encoding_format="float"))
    assert len(answer.data) == 2
    for one, other in zip(answer.data, plain.data, strict=True):
        assert one.embedding == pytest.approx(other.embedding, abs=1e-6)
    assert answer.usage.prompt_tokens == plain.usage.prompt_tokens > 0


async def test_the_models_are_listed_and_one_is_found(openai_client: Any) -> None:
    page = await settled(openai_client.models.list())
    names = [model.id for model in page.data]
    assert {"gpt", "claude", "embed", "smart", "auto", "auto:fast"} <= set(names)
    one = await settled(openai_client.models.retrieve("gpt"))
    assert (one.id, one.owned_by) == ("gpt", "openai")
    with pytest.raises(openai.NotFoundError):
        await settled(openai_client.models.retrieve("nobody"))
