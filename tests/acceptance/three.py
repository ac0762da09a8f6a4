"""Settings with two models of the fast tier and one of the deep tier, at one provider."""

from __future__ import annotations

from pathlib import Path

from meliora.settings.models import Server, Settings
from tests.gateway.asking import QUICK
from tests.gateway.raw_upstream import RawUpstream


def three_models(tmp_path: Path, provider: RawUpstream) -> Settings:
    """Give them; `one` is the cheapest."""
    endpoint = [{"provider": "p"}]
    return Settings.model_validate(
        {
            "server": Server(state_dir=tmp_path / "state"),
            "gateway": QUICK,
            "providers": {"p": {"base_url": provider.base_url_openai}},
            "models": {
                "one": {"tier": "fast", "endpoints": endpoint, "price": {"input": 1.0, "output": 1.0}},
                "two": {"tier": "fast", "endpoints": endpoint, "price": {"input": 2.0, "output": 2.0}},
                "judge": {"tier": "deep", "endpoints": endpoint, "price": {"input": 9.0, "output": 9.0}},
            },
        }
    )
