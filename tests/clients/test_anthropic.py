"""Anthropic's client, served by a provider that speaks messages and by one that speaks chat."""

from __future__ import annotations

from typing import Any

import anthropic
import pytest
from pydantic import BaseModel

from tests.clients.house import PIXEL, House, all_of, each, entered, secret_of, settled

pytestmark = pytest.mark.asyncio(loop_scope="module")
MODELS = pytest.mark.parametrize("model", ["claude", "gpt"])


class City(BaseModel):
    """What is asked for as a structured answer."""

    name: str
    population: int


def _tool(name: str, field: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": {field: {"type": "string"}}, "required": [field]}
    return {"name": name, "description": name, "input_schema": schema}


TOOLS = [_tool("get_weather", "city"), _tool("get_time", "location")]


def _ask(model: str, text: str, **more: Any) -> dict[str, Any]:
    return {"model": model, "max_tokens": 2000, "messages": [{"role": "user", "content": text}], **more}


@MODELS
async def test_a_message_is_answered_and_its_usage_is_what_was_recorded(
    anthropic_client: Any, house: House, model: str
) -> None:
    raw = await settled(
        anthropic_client.messages.with_raw_response.create(**_ask(model, "What is 2+2?", system="Be brief."))
    )
    message = await settled(raw.parse())
    assert message.content[0].text == "[simulated] 2 + 2 = 4."
    assert message.stop_reason == "end_turn"
    assert message.id.startswith("msg_")
    assert raw.headers["x-meliora-model"] == model
    record = house.record(raw.headers["x-meliora-call"])
    assert record.usage is not None
    assert (message.usage.input_tokens, message.usage.output_tokens) == (record.usage.input, record.usage.output)
    assert record.response_id == message.id
    assert float(raw.headers["x-meliora-cost"]) * 1e6 == pytest.approx(record.cost_micros)


@MODELS
async def test_a_stream_says_what_the_whole_answer_says_with_the_same_usage(anthropic_client: Any, model: str) -> None:
    whole = await settled(anthropic_client.messages.create(**_ask(model, "Count to 12")))
    events = await all_of(anthropic_client.messages.create(**_ask(model, "Count to 12", stream=True)))
    text = "".join(e.delta.text for e in events if e.type == "content_block_delta")
    assert text == whole.content[0].text
    assert (events[0].type, events[-1].type) == ("message_start", "message_stop")
    [end] = [e for e in events if e.type == "message_delta"]
    assert end.delta.stop_reason == "end_turn"
    assert end.usage.output_tokens == whole.usage.output_tokens


@MODELS
async def test_the_streaming_helper_gives_the_final_message(anthropic_client: Any, model: str) -> None:
    whole = await settled(anthropic_client.messages.create(**_ask(model, "Count to 5")))
    async with entered(anthropic_client.messages.stream(**_ask(model, "Count to 5"))) as stream:
        text = "".join([piece async for piece in each(stream.text_stream)])
        final = await settled(stream.get_final_message())
    assert text == final.content[0].text == whole.content[0].text
    assert final.usage.input_tokens == whole.usage.input_tokens
    assert final.usage.output_tokens == whole.usage.output_tokens


@MODELS
async def test_a_tool_is_called_and_its_result_is_read(anthropic_client: Any, house: House, model: str) -> None:
    asked = _ask(model, "Use get_weather for Paris", tools=TOOLS)
    first = await settled(anthropic_client.messages.create(**asked))
    [call] = [block for block in first.content if block.type == "tool_use"]
    assert first.stop_reason == "tool_use"
    assert (call.name, call.input) == ("get_weather", {"city": "Paris"})
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "17 degrees"}
    asked["messages"] += [{"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    second = await settled(anthropic_client.messages.create(**asked))
    assert "17 degrees" in second.content[0].text
    assert call.id in house.provider(model).requests[-1].body.decode()


@MODELS
async def test_two_tools_are_called_at_once_unless_that_is_forbidden(anthropic_client: Any, model: str) -> None:
    asked = _ask(model, "Use get_weather and get_time for Paris", tools=TOOLS)
    first = await settled(anthropic_client.messages.create(**asked))
    calls = [block for block in first.content if block.type == "tool_use"]
    assert [call.name for call in calls] == ["get_weather", "get_time"]
    results = [
        {"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": f"{call.name}: ok"}]}
        for call in calls
    ]
    more = [{"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
    second = await settled(anthropic_client.messages.create(**{**asked, "messages": [*asked["messages"], *more]}))
    assert second.stop_reason == "end_turn"
    choice = {"type": "auto", "disable_parallel_tool_use": True}
    one = await settled(anthropic_client.messages.create(**asked, tool_choice=choice))
    assert [block.type for block in one.content].count("tool_use") == 1


@MODELS
async def test_streamed_tool_calls_are_put_together_by_the_helper(anthropic_client: Any, model: str) -> None:
    asked = _ask(model, "Use get_weather and get_time for Paris", tools=TOOLS)
    async with entered(anthropic_client.messages.stream(**asked)) as stream:
        events = [event async for event in each(stream)]
        final = await settled(stream.get_final_message())
    assert any(event.type == "input_json" for event in events)
    assert [block.input for block in final.content if block.type == "tool_use"] == [
        {"city": "Paris"},
        {"location": "Paris"},
    ]
    assert final.stop_reason == "tool_use"


@MODELS
async def test_a_structured_message_is_parsed(anthropic_client: Any, model: str) -> None:
    asked = _ask(model, "Tell me of Rome", output_format=City)
    message = await settled(anthropic_client.messages.parse(**asked))
    assert isinstance(message.parsed_output, City)
    async with entered(anthropic_client.messages.stream(**asked)) as stream:
        final = await settled(stream.get_final_message())
    assert final.parsed_output == message.parsed_output


@MODELS
async def test_an_image_reaches_the_provider(anthropic_client: Any, house: House, model: str) -> None:
    source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
    parts = [{"type": "image", "source": source}, {"type": "text", "text": "What is this?"}]
    message = await settled(
        anthropic_client.messages.create(**{**_ask(model, ""), "messages": [{"role": "user", "content": parts}]})
    )
    assert "I see 1 image" in message.content[0].text
    assert PIXEL in house.provider(model).requests[-1].body.decode()


async def test_thinking_comes_signed_and_goes_back_unchanged(anthropic_client: Any, house: House) -> None:
    asked = _ask("claude", "Use get_weather for Paris", tools=TOOLS)
    asked["thinking"] = {"type": "enabled", "budget_tokens": 1024}
    async with entered(anthropic_client.messages.stream(**asked)) as stream:
        first = await settled(stream.get_final_message())
    thought, call = first.content
    assert (thought.type, call.type) == ("thinking", "tool_use")
    assert thought.thinking and thought.signature
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "17 degrees"}
    asked["messages"] += [{"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    second = await settled(anthropic_client.messages.create(**asked))
    assert [block.type for block in second.content] == ["thinking", "text"]
    assert house.anthropic.requests[-1].json()["messages"][1]["content"][0]["signature"] == thought.signature


async def test_thinking_of_another_provider_is_shown_where_it_shows_any(anthropic_client: Any, house: House) -> None:
    """The budget becomes an effort; the answer is read as usual."""
    asked = _ask("gpt", "What is 2+2?", thinking={"type": "enabled", "budget_tokens": 1024})
    message = await settled(anthropic_client.messages.create(**asked))
    assert message.content[-1].text == "[simulated] 2 + 2 = 4."
    assert house.openai.requests[-1].json()["reasoning_effort"] == "low"


@MODELS
async def test_a_prompt_marked_for_caching_is_answered_and_counted(
    anthropic_client: Any, house: House, model: str
) -> None:
    """The marks reach the provider that knows them; its cached tokens are a part of the recorded input."""
    system = [{"type": "text", "text": "Be brief. " * 100, "cache_control": {"type": "ephemeral"}}]
    raw = await settled(
        anthropic_client.messages.with_raw_response.create(**_ask(model, "What is 2+2?", system=system))
    )
    message = await settled(raw.parse())
    record = house.record(raw.headers["x-meliora-call"])
    assert record.usage is not None
    cached = message.usage.cache_read_input_tokens or 0
    assert cached == (record.usage.cached or 0)
    assert message.usage.input_tokens + cached == record.usage.input
    if model == "claude":
        assert cached > 0
        assert house.anthropic.requests[-1].json()["system"] == system


async def test_the_beta_endpoints_keep_their_query_and_header(anthropic_client: Any, house: House) -> None:
    message = await settled(
        anthropic_client.beta.messages.create(
            **_ask("claude", "What is 2+2?"), betas=["context-1m-2025-08-07"], extra_query={"beta": "true"}
        )
    )
    assert message.content[0].text == "[simulated] 2 + 2 = 4."
    seen = house.anthropic.requests[-1]
    assert seen.path.endswith("/messages?beta=true")
    assert "context-1m-2025-08-07" in (seen.header("anthropic-beta") or "")


@MODELS
async def test_the_beta_tool_runner_goes_its_rounds(anthropic_client: Any, model: str) -> None:
    """It asks the provider to keep the conversation; where none is kept it is told, and sends all of it."""

    def get_weather(city: str) -> str:
        """Give the weather of a city."""
        return f"17 degrees in {city}"

    async def get_weather_async(city: str) -> str:
        """Give the weather of a city."""
        return get_weather(city)

    tool: Any = anthropic.beta_tool(get_weather)
    if isinstance(anthropic_client, anthropic.AsyncAnthropic):
        tool = anthropic.beta_async_tool(get_weather_async, name="get_weather")
    lossy = anthropic_client.with_options(api_key=secret_of("lossy"))
    for client in (anthropic_client, lossy):
        runner = client.beta.messages.tool_runner(**_ask(model, "Use get_weather for Paris"), tools=[tool])
        final = await settled(runner.until_done())
        assert "17 degrees in Paris" in final.content[0].text


async def test_tokens_are_counted_by_the_provider_and_estimated_where_it_cannot(
    anthropic_client: Any, house: House
) -> None:
    asked = {"messages": [{"role": "user", "content": "What is 2+2?"}], "system": "Be brief.", "tools": TOOLS}
    before = house.anthropic.count
    exact = await settled(anthropic_client.messages.with_raw_response.count_tokens(model="claude", **asked))
    guessed = await settled(anthropic_client.messages.with_raw_response.count_tokens(model="gpt", **asked))
    assert house.anthropic.count == before + 1
    assert "x-meliora-estimated" not in exact.headers
    assert guessed.headers["x-meliora-estimated"] == "true"
    assert (await settled(exact.parse())).input_tokens > 0
    assert (await settled(guessed.parse())).input_tokens > 0
    beta = await settled(anthropic_client.beta.messages.count_tokens(model="claude", **asked))
    assert beta.input_tokens == (await settled(exact.parse())).input_tokens


async def test_what_has_no_counterpart_is_refused_by_name_unless_the_key_allows_loss(
    anthropic_client: Any, house: House
) -> None:
    asked = _ask("gpt", "Hello", extra_body={"top_k": 5})
    before = house.openai.count
    with pytest.raises(anthropic.BadRequestError, match="top_k"):
        await settled(anthropic_client.messages.create(**asked))
    assert house.openai.count == before
    lossy = anthropic_client.with_options(api_key=secret_of("lossy"))
    raw = await settled(lossy.messages.with_raw_response.create(**asked))
    assert raw.headers["x-meliora-loss"] == "top_k"
    assert house.record(raw.headers["x-meliora-call"]).loss == ("top_k",)


async def test_the_labels_of_the_application_are_recorded(anthropic_client: Any, house: House) -> None:
    labelled = anthropic_client.with_options(default_headers={"x-meliora-session": "s1"})
    raw = await settled(
        labelled.messages.with_raw_response.create(
            **_ask("claude", "Hello", metadata={"user_id": "u1"}), extra_headers={"x-meliora-tags": "env=test"}
        )
    )
    record = house.record(raw.headers["x-meliora-call"])
    assert (record.user, record.session, record.tags) == ("u1", "s1", {"env": "test"})


async def test_the_models_are_listed_and_one_is_found(anthropic_client: Any) -> None:
    names = [model.id async for model in each(await settled(anthropic_client.models.list()))]
    assert {"gpt", "claude", "smart", "auto"} <= set(names)
    one = await settled(anthropic_client.models.retrieve("claude"))
    assert (one.id, one.type) == ("claude", "model")
    with pytest.raises(anthropic.NotFoundError):
        await settled(anthropic_client.models.retrieve("nobody"))
