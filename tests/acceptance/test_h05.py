"""H5: the chosen model's fallbacks, then any that is there."""

from __future__ import annotations

from pathlib import Path

from meliora.settings.models import Model, Provider, Server, Settings
from meliora.testing import FakeProvider, FaultPlan, FaultRule, faults
from meliora.testing.stack import RunningMeliora
from tests.gateway.asking import QUICK, post


def test_h05_a_call_goes_down_its_models_chain_and_is_answered(tmp_path: Path, switched: None) -> None:
    """The first model fails, its fallback answers, and the call says so."""
    plan = FaultPlan(rules=[FaultRule(faults.Status(500), model="first")])
    with FakeProvider(plan) as provider:
        made = Settings(
            server=Server(state_dir=tmp_path / "state"),
            gateway=QUICK,
            providers={"p": Provider(base_url=provider.base_url_openai)},
            models={
                "first": Model.model_validate({"endpoints": [{"provider": "p"}], "fallbacks": ["second"]}),
                "second": Model.model_validate({"endpoints": [{"provider": "p"}]}),
            },
        )
        with RunningMeliora(made) as meliora:
            body = {"model": "first", "messages": [{"role": "user", "content": "Hi"}]}
            answer = post(meliora.gateway, "/v1/chat/completions", body)
    assert answer.status == 200
    assert answer.headers["x-meliora-model"] == "second"
    assert answer.headers["x-meliora-reason"] == "fallback:first"
