"""One house a module, and each client in both kinds: a test that asks for `openai_client` runs sync and async."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import openai
import pytest
import pytest_asyncio

from meliora.testing.gateway import SECRET
from tests.clients.house import House, opened_house, settled


def pytest_report_header() -> str:
    """Say which client is tested, so that a run with an older one can prove it."""
    return f"client: openai {openai.__version__}"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with opened_house(tmp_path_factory.mktemp("house")) as opened:
        yield opened


@pytest_asyncio.fixture(params=["sync", "async"], scope="module", loop_scope="module")
async def openai_client(request: pytest.FixtureRequest, house: House) -> AsyncIterator[Any]:
    kind = openai.OpenAI if request.param == "sync" else openai.AsyncOpenAI
    client = kind(base_url=house.gateway.base_url, api_key=SECRET)
    yield client
    await settled(client.close())


@pytest_asyncio.fixture(params=["sync", "async"], scope="module", loop_scope="module")
async def anthropic_client(request: pytest.FixtureRequest, house: House) -> AsyncIterator[Any]:
    import anthropic

    kind = anthropic.Anthropic if request.param == "sync" else anthropic.AsyncAnthropic
    client = kind(base_url=house.gateway.url, api_key=SECRET)
    yield client
    await settled(client.close())
