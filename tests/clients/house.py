"""A gateway before two fake providers, one of each kind, and how a test speaks to it alike through sync and async clients."""

from __future__ import annotations

import inspect
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from meliora.gateway.state import KeyState
from meliora.settings.models import (
    Breaker,
    EndpointRef,
    Gateway,
    Model,
    Price,
    Provider,
    Retry,
    Server,
    Settings,
    Timeouts,
)
from meliora.telemetry.records import CallFinished
from meliora.testing import FakeProvider, FaultPlan, FaultRule, faults
from meliora.testing.gateway import RunningGateway, key

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
"""A PNG of one pixel, base64."""
DATA_URL = f"data:image/png;base64,{PIXEL}"
ENDLESS = FaultRule(faults.ManyChunks(200_000), model="endless")

LIMITED: dict[str, dict[str, Any]] = {
    "lossy": {"allow_loss": True},
    "poor": {"budget_day_micros": 1},
    "hurried": {"requests_per_minute": 1},
    "narrow": {"models": ("gpt",)},
    "reader": {"scopes": ("read",)},
}
"""Keys besides the default one; `secret_of` gives what opens them."""


def secret_of(name: str) -> str:
    """Give the secret of one of the limited keys."""
    return f"mel_test-secret-of-{name}"


@dataclass
class House:
    """`gpt` speaks chat, responses and embeddings, `old` chat alone, `claude` messages."""

    gateway: RunningGateway
    openai: FakeProvider
    anthropic: FakeProvider

    def provider(self, model: str) -> FakeProvider:
        """Give the provider behind a model."""
        return self.anthropic if model.startswith("claude") else self.openai

    def record(self, call_id: str, seconds: float = 20.0) -> CallFinished:
        """Give the record of a call, waiting for its end. Raises `LookupError` where none comes."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for record in self.gateway.finished():
                if record.id == call_id:
                    return record
            time.sleep(0.01)
        raise LookupError(call_id)

    def of_key(self, name: str) -> list[CallFinished]:
        """Give the ended calls of a key."""
        return [record for record in self.gateway.finished() if record.key_id == f"key_{name}"]

    @contextmanager
    def spoiled(self, model: str, *script: faults.Fault | None) -> Iterator[FakeProvider]:
        """Let the next calls to a model's provider fail as scripted; one fault alone spoils all that come."""
        provider = self.provider(model)
        before = provider.plan
        rules = [FaultRule(script[0])] if len(script) == 1 and script[0] is not None else []
        provider.plan = FaultPlan(() if rules else script, rules)
        try:
            yield provider
        finally:
            provider.plan = before


@contextmanager
def opened_house(folder: Path) -> Iterator[House]:
    """Open a house with its state in a folder."""
    with FakeProvider(FaultPlan(rules=[ENDLESS])) as openai, FakeProvider(FaultPlan(rules=[ENDLESS])) as anthropic:
        keys: list[KeyState] = [key(), *(key(name, secret_of(name), **limits) for name, limits in LIMITED.items())]
        with RunningGateway(_settings(folder, openai, anthropic), keys) as gateway:
            yield House(gateway, openai, anthropic)


def _settings(folder: Path, openai: FakeProvider, anthropic: FakeProvider) -> Settings:
    """One attempt a call and no breaker: what the upstream does is what the client meets."""
    impatient = Timeouts(connect=2, first_byte=0.5, stall=5, total=30)
    providers = {
        "openai": Provider(base_url=openai.base_url_openai),
        "chat": Provider(base_url=openai.base_url_openai, responses=False),
        "anthropic": Provider(kind="anthropic", base_url=anthropic.base_url_anthropic_v1),
        "impatient": Provider(base_url=openai.base_url_openai, timeouts=impatient),
        "claude-impatient": Provider(kind="anthropic", base_url=anthropic.base_url_anthropic_v1, timeouts=impatient),
    }
    price = Price(input=1, output=2)

    def at(provider: str, model: str = "simulated-large") -> Model:
        return Model(endpoints=[EndpointRef(provider=provider, model=model)], price=price)

    models = {
        "gpt": at("openai"),
        "old": at("chat"),
        "claude": at("anthropic"),
        "embed": at("openai", "simulated-embedding").model_copy(update={"capabilities": ["embeddings"]}),
        "endless": at("openai", "endless"),
        "claude-endless": at("anthropic", "endless"),
        "slow": at("impatient"),
        "claude-slow": at("claude-impatient"),
    }
    return Settings(
        server=Server(state_dir=folder / "state"),
        gateway=Gateway(
            budget_without_store="deny",
            retry=Retry(attempts=1),
            breaker=Breaker(min_calls=100_000),
            timeouts=Timeouts(connect=2, first_byte=20, stall=20, total=60),
        ),
        providers=providers,
        models=models,
        aliases={"smart": "gpt"},
    )


async def settled(value: Any) -> Any:
    """Give what a client returned, awaited where it is an async one."""
    return await value if inspect.isawaitable(value) else value


async def each(stream: Any) -> AsyncIterator[Any]:
    """Walk a stream of either kind of client."""
    if hasattr(stream, "__aiter__"):
        async for event in stream:
            yield event
    else:
        for event in stream:
            yield event


async def all_of(stream: Any) -> list[Any]:
    """Read a stream to its end."""
    return [event async for event in each(await settled(stream))]


@asynccontextmanager
async def entered(manager: Any) -> AsyncIterator[Any]:
    """Enter the context manager of either kind of client."""
    if hasattr(manager, "__aenter__"):
        async with manager as inside:
            yield inside
    else:
        with manager as inside:
            yield inside
