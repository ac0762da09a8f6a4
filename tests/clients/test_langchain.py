"""LangChain's chat models against the gateway: asked, streamed, with a tool and with a structured answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, SecretStr

from meliora.testing.gateway import SECRET
from tests.clients.house import House

pytestmark = pytest.mark.asyncio(loop_scope="module")  # LangChain keeps its connections for the whole process


class City(BaseModel):
    """A city."""

    name: str
    population: int


@tool
def get_weather(city: str) -> str:
    """Give the weather of a city."""
    return f"17 degrees in {city}"


def _openai(house: House, model: str) -> ChatOpenAI:
    return ChatOpenAI(model=model, base_url=house.gateway.base_url, api_key=SecretStr(SECRET), max_retries=0)


def _responses(house: House, model: str) -> ChatOpenAI:
    base_url = house.gateway.base_url
    return ChatOpenAI(model=model, base_url=base_url, api_key=SecretStr(SECRET), max_retries=0, use_responses_api=True)


def _anthropic(house: House, model: str) -> ChatAnthropic:
    url = house.gateway.url
    return ChatAnthropic(
        model_name=model, base_url=url, api_key=SecretStr(SECRET), max_retries=0, timeout=30, stop=None
    )


Maker = Callable[[House, str], Any]
EACH = pytest.mark.parametrize(
    ("make", "model"),
    [
        (_openai, "gpt"),
        (_openai, "claude"),
        (_responses, "gpt"),
        (_responses, "claude"),
        (_anthropic, "claude"),
        (_anthropic, "gpt"),
    ],
)


@pytest.fixture(autouse=True)
def _no_tracing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGSMITH_TRACING", "false")


@EACH
async def test_a_chat_model_answers_whole_and_streamed(house: House, make: Maker, model: str) -> None:
    chat = make(house, model)
    whole = chat.invoke("What is 2+2?")
    assert "2 + 2 = 4" in whole.text
    assert whole.usage_metadata["output_tokens"] > 0
    pieces = list(chat.stream("What is 2+2?"))
    assert "".join(piece.text for piece in pieces) == whole.text
    assert "".join([piece.text async for piece in chat.astream("What is 2+2?")]) == whole.text


@EACH
async def test_a_chat_model_goes_a_round_with_a_tool(house: House, make: Maker, model: str) -> None:
    chat = make(house, model).bind_tools([get_weather])
    question = HumanMessage("Use get_weather for Paris")
    first = chat.invoke([question])
    assert isinstance(first, AIMessage)
    [call] = first.tool_calls
    result = get_weather.invoke(call)
    assert isinstance(result, ToolMessage)
    second = await chat.ainvoke([question, first, result])
    assert "17 degrees in Paris" in second.text


@EACH
async def test_a_chat_model_gives_a_structured_answer(house: House, make: Maker, model: str) -> None:
    answer = make(house, model).with_structured_output(City, method="json_schema").invoke("Tell me of Rome")
    assert isinstance(answer, City)


@EACH
async def test_a_chat_model_gives_a_structured_answer_by_a_tool(house: House, make: Maker, model: str) -> None:
    answer = make(house, model).with_structured_output(City, method="function_calling").invoke("Tell me of Rome")
    assert isinstance(answer, City)
