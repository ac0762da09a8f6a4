"""In the gateway itself: a conversation that keeps failing goes a tier up, and nothing else does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from meliora.settings.models import Settings
from meliora.testing import FakeProvider, FaultPlan, FaultRule, faults
from meliora.testing.clock import FrozenClock
from meliora.testing.gateway import RunningGateway
from tests.gateway.asking import Answer, post

FACT = "What is the capital of France?"


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture(params=[500, 429])
def status(request: pytest.FixtureRequest) -> int:
    return request.param


@pytest.fixture
def gateway(tmp_path: Path, clock: FrozenClock, status: int) -> Iterator[RunningGateway]:
    """A gateway whose only fast model fails."""
    plan = FaultPlan(rules=[FaultRule(faults.Status(status), model="weak")])
    with FakeProvider(plan) as provider:
        endpoint = [{"provider": "p"}]
        made = Settings.model_validate(
            {
                "server": {"state_dir": tmp_path / "state"},
                "gateway": {"retry": {"attempts": 1}, "breaker": {"min_calls": 100}},
                "providers": {"p": {"base_url": provider.base_url_openai}},
                "models": {
                    "weak": {"tier": "fast", "endpoints": endpoint},
                    "strong": {"tier": "deep", "endpoints": endpoint},
                },
            }
        )
        with RunningGateway(made, clock=clock) as running:
            yield running


def ask(gateway: RunningGateway, model: str = "auto", text: str = FACT, **headers: str) -> Answer:
    body = {"model": model, "messages": [{"role": "user", "content": text}]}
    return post(gateway, "/v1/chat/completions", body, **headers)


@pytest.mark.parametrize("status", [500], indirect=True)
@pytest.mark.parametrize("headers", [{"x_meliora_session": "s"}, {}])
def test_after_three_failures_the_conversation_or_the_prompt_goes_up_and_is_forgotten_in_time(
    gateway: RunningGateway, clock: FrozenClock, headers: dict[str, str]
) -> None:
    for _ in range(3):
        assert ask(gateway, **headers).status >= 500
    answer = ask(gateway, **headers)
    assert (answer.status, answer.headers["x-meliora-model"]) == (200, "strong")
    assert answer.headers["x-meliora-reason"].startswith("escalated:")
    assert ask(gateway, "weak", **headers).status >= 500, "a model asked for by name stands"
    assert ask(gateway, "auto:fast", **headers).status >= 500, "so does a tier"
    other = ask(gateway, text="What is the capital of Peru?", x_meliora_session="other")
    assert other.status >= 500, "another conversation is not touched"
    clock.advance(601)
    assert ask(gateway, **headers).status >= 500


@pytest.mark.parametrize("status", [429], indirect=True)
def test_a_rate_limit_raises_nothing(gateway: RunningGateway) -> None:
    for _ in range(5):
        answer = ask(gateway, x_meliora_session="s")
        assert (answer.status, answer.headers["x-meliora-model"]) == (429, "weak")
