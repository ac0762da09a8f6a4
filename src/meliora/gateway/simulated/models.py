"""The simulated models, with what is declared about them: price, latency, quality. Measures nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from meliora.settings.models import Model, Provider, Tier

PROVIDER = "simulated"
"""Name of the provider in the catalog."""

Task = Literal["chat", "code", "reasoning", "research", "creative", "system", "simple"]
TASKS: tuple[Task, ...] = ("chat", "code", "reasoning", "research", "creative", "system", "simple")


@dataclass(frozen=True)
class SimulatedModel:
    """A model that does not exist, and what it is declared to be."""

    name: str
    tier: Tier | None
    input_usd: float
    """US dollars a million prompt tokens; those read from the cache cost a tenth."""
    output_usd: float
    first_token_ms: float
    """Milliseconds from the request to the first token."""
    token_ms: float
    """Milliseconds for each token after it."""
    quality: Mapping[Task, float] = field(default_factory=lambda: MappingProxyType({}))
    """Probability of a right answer by type of task."""
    context_window: int = 128_000
    max_output: int = 16_384
    dimensions: int | None = None
    """Length of its vectors; None for a model that writes text."""


def _quality(**probabilities: float) -> Mapping[Task, float]:
    return MappingProxyType({task: probabilities[task] for task in TASKS})


SIMULATED: tuple[SimulatedModel, ...] = (
    SimulatedModel(
        name="simulated-small",
        tier="fast",
        input_usd=0.10,
        output_usd=0.40,
        first_token_ms=2,
        token_ms=0.02,
        quality=_quality(chat=0.82, code=0.45, reasoning=0.40, research=0.50, creative=0.70, system=0.60, simple=0.96),
    ),
    SimulatedModel(
        name="simulated-medium",
        tier="balanced",
        input_usd=0.80,
        output_usd=3.20,
        first_token_ms=4,
        token_ms=0.04,
        quality=_quality(chat=0.90, code=0.70, reasoning=0.66, research=0.72, creative=0.82, system=0.76, simple=0.98),
    ),
    SimulatedModel(
        name="simulated-large",
        tier="deep",
        input_usd=4.00,
        output_usd=16.00,
        first_token_ms=8,
        token_ms=0.08,
        quality=_quality(chat=0.96, code=0.86, reasoning=0.93, research=0.92, creative=0.93, system=0.88, simple=0.99),
        context_window=400_000,
    ),
    SimulatedModel(
        name="simulated-code",
        tier="code",
        input_usd=1.20,
        output_usd=4.80,
        first_token_ms=5,
        token_ms=0.04,
        quality=_quality(chat=0.75, code=0.95, reasoning=0.72, research=0.55, creative=0.50, system=0.90, simple=0.96),
        context_window=200_000,
    ),
    SimulatedModel(
        name="simulated-embedding",
        tier=None,
        input_usd=0.02,
        output_usd=0.0,
        first_token_ms=1,
        token_ms=0,
        context_window=8_192,
        max_output=1,
        dimensions=256,
    ),
)


def find_model(name: str, models: tuple[SimulatedModel, ...] = SIMULATED) -> SimulatedModel | None:
    """Give the model of that name, None where there is none."""
    return next((model for model in models if model.name == name), None)


def simulated_models() -> dict[str, Model]:
    """Give the models as settings, by name, each with its one endpoint at the provider `simulated`."""
    return {model.name: _settings(model) for model in SIMULATED}


def simulated_provider() -> Provider:
    """Give the provider as settings. It has no address: `SimulatedUpstream` answers in this process."""
    return Provider.model_validate({"kind": "simulated", "models": [model.name for model in SIMULATED]})


def _settings(model: SimulatedModel) -> Model:
    writes = ["tools", "vision", "json_schema", "reasoning"]
    return Model.model_validate(
        {
            "endpoints": [{"provider": PROVIDER, "model": model.name}],
            "tier": model.tier,
            "context_window": model.context_window,
            "max_output": model.max_output,
            "capabilities": ["embeddings"] if model.dimensions else writes,
            "price": {
                "input": model.input_usd,
                "output": model.output_usd,
                "cached_input": model.input_usd / 10,
            },
        }
    )
