"""Many calls at once, and clients that leave before the end."""

from __future__ import annotations

import asyncio
from typing import Any

import anthropic
import openai
import pytest

from meliora.testing.gateway import SECRET
from tests.clients.house import House, each, entered, settled

pytestmark = pytest.mark.asyncio(loop_scope="module")
CROWD = 50


@pytest.mark.parametrize("model", ["gpt", "claude"])
async def test_fifty_calls_at_once_are_each_answered_and_recorded_once(house: House, model: str) -> None:
    """Half of them are streams, a third comes from the other SDK."""
    before = {record.id for record in house.gateway.finished()}
    async with (
        openai.AsyncOpenAI(base_url=house.gateway.base_url, api_key=SECRET, max_retries=0) as chat,
        anthropic.AsyncAnthropic(base_url=house.gateway.url, api_key=SECRET, max_retries=0) as messages,
    ):

        async def ask(number: int) -> str:
            turn: list[Any] = [{"role": "user", "content": f"What is {number}+1?"}]
            if number % 3 == 0:
                async with messages.messages.stream(model=model, max_tokens=100, messages=turn) as stream:
                    return await stream.get_final_text()
            if number % 2 == 0:
                parts = await chat.chat.completions.create(model=model, messages=turn, stream=True)
                return "".join([part.choices[0].delta.content or "" async for part in parts])
            whole = await chat.chat.completions.create(model=model, messages=turn)
            return whole.choices[0].message.content or ""

        texts = await asyncio.gather(*(ask(number) for number in range(CROWD)))
    assert all(f"{number} + 1 =" in text for number, text in enumerate(texts))
    records = [record for record in house.gateway.finished(len(before) + CROWD) if record.id not in before]
    assert len(records) == len({record.id for record in records}) == CROWD
    assert {record.outcome for record in records} == {"ok"}


@pytest.mark.parametrize("model", ["endless", "claude-endless"])
async def test_a_chat_stream_that_the_client_closes_is_let_go_upstream_and_recorded_as_cancelled(
    openai_client: Any, house: House, model: str
) -> None:
    provider = house.provider(model)
    stream = await settled(
        openai_client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Go on"}], stream=True)
    )
    async for chunk in each(stream):
        if chunk.choices[0].delta.content:
            break
    call = stream.response.headers["x-meliora-call"]
    await settled(stream.close())
    _assert_let_go(house, provider, call)


@pytest.mark.parametrize("model", ["endless", "claude-endless"])
async def test_a_message_stream_that_the_client_closes_is_let_go_upstream_and_recorded_as_cancelled(
    anthropic_client: Any, house: House, model: str
) -> None:
    turn = [{"role": "user", "content": "Go on"}]
    manager = anthropic_client.messages.stream(model=model, max_tokens=100_000, messages=turn)
    async with entered(manager) as stream:
        async for event in each(stream):
            if event.type == "text":
                break
        call = stream.response.headers["x-meliora-call"]
    _assert_let_go(house, house.provider(model), call)


def _assert_let_go(house: House, provider: Any, call: str) -> None:
    record = house.record(call)
    assert (record.outcome, record.error_code) == ("cancelled", "client_left")
    assert record.usage is not None and record.usage.output
    assert provider.wait_idle()
    assert provider.requests[-1].aborted
