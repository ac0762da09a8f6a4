"""OpenAI's client and its Responses, served by a provider that has them, by one with chat alone, and by one with messages."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from tests.clients.house import DATA_URL, PIXEL, House, all_of, each, entered, secret_of, settled

pytestmark = pytest.mark.asyncio(loop_scope="module")
MODELS = pytest.mark.parametrize("model", ["gpt", "old", "claude"])
TRANSLATED = pytest.mark.parametrize("model", ["old", "claude"])


class City(BaseModel):
    """What is asked for as a structured answer."""

    name: str
    population: int


def _tool(name: str, field: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": {field: {"type": "string"}}, "required": [field]}
    return {"type": "function", "name": name, "description": name, "parameters": schema, "strict": False}


TOOLS = [_tool("get_weather", "city"), _tool("get_time", "location")]


@MODELS
async def test_a_response_is_given_and_its_usage_is_what_was_recorded(
    openai_client: Any, house: House, model: str
) -> None:
    raw = await settled(
        openai_client.responses.with_raw_response.create(model=model, input="What is 2+2?", instructions="Be brief.")
    )
    response = raw.parse()
    assert response.output_text == "[simulated] 2 + 2 = 4."
    assert response.status == "completed"
    assert response.id.startswith("resp_")
    record = house.record(raw.headers["x-meliora-call"])
    assert record.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens) == (record.usage.input, record.usage.output)
    assert record.response_id == response.id


@MODELS
async def test_a_streamed_response_says_the_same_with_the_same_usage(openai_client: Any, model: str) -> None:
    asked = {"model": model, "input": "Count to 12"}
    whole = await settled(openai_client.responses.create(**asked))
    events = await all_of(openai_client.responses.create(**asked, stream=True))
    assert events[0].type == "response.created"
    assert events[-1].type == "response.completed"
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == whole.output_text
    assert [e.sequence_number for e in events] == list(range(len(events)))
    usage = events[-1].response.usage
    assert (usage.input_tokens, usage.output_tokens) == (whole.usage.input_tokens, whole.usage.output_tokens)


@MODELS
async def test_the_streaming_helper_gives_the_final_response(openai_client: Any, model: str) -> None:
    async with entered(openai_client.responses.stream(model=model, input="Count to 5")) as stream:
        deltas = [event.delta async for event in each(stream) if event.type == "response.output_text.delta"]
        final = await settled(stream.get_final_response())
    assert final.output_text == "".join(deltas)
    assert final.output_text.startswith("[simulated]")


@MODELS
async def test_tools_are_called_and_their_results_are_read(openai_client: Any, model: str) -> None:
    turns: list[Any] = [{"role": "user", "content": "Use get_weather and get_time for Paris"}]
    first = await settled(openai_client.responses.create(model=model, input=turns, tools=TOOLS))
    calls = [item for item in first.output if item.type == "function_call"]
    assert [call.name for call in calls] == ["get_weather", "get_time"]
    assert json.loads(calls[0].arguments) == {"city": "Paris"}
    turns += first.output
    turns += [{"type": "function_call_output", "call_id": call.call_id, "output": "17 degrees"} for call in calls]
    second = await settled(openai_client.responses.create(model=model, input=turns, tools=TOOLS))
    assert "17 degrees" in second.output_text


@MODELS
async def test_streamed_tool_calls_are_put_together_by_the_helper(openai_client: Any, model: str) -> None:
    asked = {"model": model, "input": "Use get_weather and get_time for Paris", "tools": TOOLS}
    async with entered(openai_client.responses.stream(**asked)) as stream:
        done = [e async for e in each(stream) if e.type == "response.function_call_arguments.done"]
        final = await settled(stream.get_final_response())
    assert [json.loads(event.arguments) for event in done] == [{"city": "Paris"}, {"location": "Paris"}]
    assert [item.name for item in final.output if item.type == "function_call"] == ["get_weather", "get_time"]


@MODELS
async def test_one_tool_alone_is_called_where_two_at_once_are_forbidden(openai_client: Any, model: str) -> None:
    asked = {"model": model, "input": "Use get_weather and get_time for Paris", "tools": TOOLS}
    answer = await settled(openai_client.responses.create(**asked, parallel_tool_calls=False))
    assert [item.type for item in answer.output].count("function_call") == 1


@MODELS
async def test_a_structured_response_is_parsed(openai_client: Any, model: str) -> None:
    answer = await settled(openai_client.responses.parse(model=model, input="Tell me of Rome", text_format=City))
    assert isinstance(answer.output_parsed, City)
    async with entered(
        openai_client.responses.stream(model=model, input="Tell me of Rome", text_format=City)
    ) as stream:
        final = await settled(stream.get_final_response())
    assert final.output_parsed == answer.output_parsed


@MODELS
async def test_an_image_reaches_the_provider(openai_client: Any, house: House, model: str) -> None:
    parts = [{"type": "input_text", "text": "What is this?"}, {"type": "input_image", "image_url": DATA_URL}]
    answer = await settled(openai_client.responses.create(model=model, input=[{"role": "user", "content": parts}]))
    assert "I see 1 image" in answer.output_text
    assert PIXEL in house.provider(model).requests[-1].body.decode()


@TRANSLATED
@pytest.mark.parametrize(
    ("field", "value"), [("previous_response_id", "resp_1"), ("background", True), ("conversation", "conv_1")]
)
async def test_what_the_provider_cannot_keep_is_refused_by_name_before_it_is_asked(
    openai_client: Any, house: House, model: str, field: str, value: Any
) -> None:
    before = house.provider(model).count
    with pytest.raises(openai.BadRequestError) as refused:
        await settled(openai_client.responses.create(model=model, input="And then?", **{field: value}))
    assert refused.value.param == field
    assert refused.value.code == "untranslatable_field"
    assert house.provider(model).count == before


@TRANSLATED
async def test_a_key_that_allows_loss_gets_an_answer_and_is_told_of_the_loss(
    openai_client: Any, house: House, model: str
) -> None:
    lossy = openai_client.with_options(api_key=secret_of("lossy"))
    raw = await settled(
        lossy.responses.with_raw_response.create(model=model, input="And then?", truncation="auto", max_tool_calls=3)
    )
    assert set(raw.headers["x-meliora-loss"].split(",")) == {"truncation", "max_tool_calls"}
    assert set(house.record(raw.headers["x-meliora-call"]).loss) == {"truncation", "max_tool_calls"}
    assert raw.parse().output_text


async def test_signed_thinking_comes_as_reasoning_and_goes_back_unchanged(openai_client: Any, house: House) -> None:
    asked = {
        "model": "claude",
        "tools": TOOLS,
        "reasoning": {"effort": "low"},
        "include": ["reasoning.encrypted_content"],
    }
    turns: list[Any] = [{"role": "user", "content": "Use get_weather for Paris"}]
    first = await settled(openai_client.responses.create(**asked, input=turns))
    assert [item.type for item in first.output] == ["reasoning", "function_call"]
    call = first.output[-1]
    turns += [*first.output, {"type": "function_call_output", "call_id": call.call_id, "output": "17 degrees"}]
    second = await settled(openai_client.responses.create(**asked, input=turns))
    assert "17 degrees" in second.output_text
    sent = house.anthropic.requests[-1].json()["messages"][1]["content"]
    assert [block["type"] for block in sent] == ["thinking", "tool_use"]
    assert sent[0]["signature"]
