"""A gateway with a learned policy in front of one upstream that answers, or fails, by the model's name."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from meliora.settings.models import Model, Price, Provider, Server, Settings
from meliora.testing.policies import planted
from tests.gateway.asking import QUICK
from tests.gateway.raw_upstream import GOOD, RawUpstream, Step, whole

KNOWN = {"tiny": (0.75, 0.0001), "small": (0.72, 0.00012), "big": (0.9, 0.001)}
PRICES = {"tiny": (1.0, 2.0), "small": (2.0, 4.0), "big": (10.0, 20.0)}
TIERS = {"tiny": "fast", "small": "fast", "big": "deep"}
POLICY = planted(KNOWN, number=3)
PATH = "/v1/chat/completions"

Told = Callable[[], list[Step]]


def answered(text: str, *, tokens: tuple[int, int] = (10, 5), after: float = 0.0) -> list[Step]:
    """Give a whole answer, after some seconds of silence."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)}
    steps = whole({**GOOD, "choices": [choice], "usage": usage})
    return [after, *steps] if after else steps


def failing(status: str = "500 X") -> list[Step]:
    """Give a refusal."""
    return whole({"error": {"message": "no", "type": "api_error"}}, status)


def upstream(steps: Mapping[str, list[Step]]) -> RawUpstream:
    """Answer for each model as is said; the others say `hi`."""
    return RawUpstream(lambda _head, body: steps.get(json.loads(body)["model"], answered("hi")))


def asked_models(fake: RawUpstream) -> list[str]:
    """Name the models that were asked, in order."""
    return [json.loads(body)["model"] for _, body in fake.requests]


def settings(
    tmp_path: Path,
    fake: RawUpstream,
    routing: Mapping[str, Any],
    prices: Mapping[str, tuple[float, float]] = PRICES,
    **more: Any,
) -> Settings:
    """Three models of one provider, with prices, or those that are named."""
    models = {
        name: Model(tier=TIERS.get(name, "balanced"), price=Price(input=a, output=b), context_window=100_000)  # type: ignore[arg-type]
        for name, (a, b) in prices.items()
    }
    provider = Provider(base_url=fake.base_url_openai, models=list(models))
    given: dict[str, Any] = {"gateway": QUICK, **more}
    return Settings.model_validate(
        {
            "server": Server(state_dir=tmp_path / "state"),
            "providers": {"p": provider},
            "models": models,
            "routing": routing,
            **given,
        }
    )


def auto(text: str = "What is 2+2?", **more: Any) -> dict[str, Any]:
    """A chat body that leaves the choice to Meliora."""
    return {"model": "auto", "messages": [{"role": "user", "content": text}], **more}
