"""The command `llm` and its Python API, pointed at the gateway by its own configuration file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from meliora.testing.gateway import SECRET
from tests.clients.house import House
from tests.clients.older import run_older

MODELS = """\
- model_id: {model}
  model_name: {model}
  api_base: {base_url}
  api_key_name: meliora
  supports_tools: true
  supports_schema: true
"""


@pytest.fixture
def llm_folder(tmp_path: Path, house: House) -> Path:
    entries = [MODELS.format(model=name, base_url=house.gateway.base_url) for name in ("gpt", "claude")]
    (tmp_path / "extra-openai-models.yaml").write_text("".join(entries))
    (tmp_path / "keys.json").write_text(json.dumps({"meliora": SECRET}))
    return tmp_path


def test_the_command_answers_from_the_gateway(llm_folder: Path, house: House) -> None:
    before = house.openai.count
    run = run_older("-m", "llm", "-m", "gpt", "What is 2+2?", LLM_USER_PATH=str(llm_folder))
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "[simulated] 2 + 2 = 4."
    assert house.openai.count == before + 1
    assert house.openai.requests[-1].json()["stream"] is True


def test_the_api_answers_streams_calls_tools_and_keeps_to_schemas(llm_folder: Path) -> None:
    """Both the model that speaks chat and the one that speaks messages."""
    script = str(Path(__file__).with_name("llm_script.py"))
    run = run_older(script, "gpt", "claude", LLM_USER_PATH=str(llm_folder))
    assert run.returncode == 0, run.stderr
    for told in json.loads(run.stdout):
        assert told["whole"] == told["async"] == "[simulated] 2 + 2 = 4."
        assert told["pieces"] > 1
        assert told["streamed"].startswith("[simulated]")
        assert min(told["usage"]) > 0
        assert "17 degrees in Paris" in told["tool"]
        assert isinstance(told["schema"]["name"], str)
