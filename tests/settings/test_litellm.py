"""LiteLLM proxy configurations, translated."""

from __future__ import annotations

import builtins
from pathlib import Path

import pytest

from meliora.errors import InvalidRequest, MissingExtra
from meliora.settings import Settings
from meliora.settings.litellm import convert
from meliora.settings.load import load

SECRET = "sk-ant-AbCdEfGhIjKlMnOpQrStUv"
CONFIG = f"""
model_list:
  - model_name: gpt-4o
    litellm_params: {{model: openai/gpt-4o, api_key: os.environ/OPENAI_API_KEY, rpm: 60, input_cost_per_token: 0.0000025}}
  - model_name: gpt-4o
    litellm_params:
      model: azure/gpt4o-eu
      api_base: "https://x.openai.azure.com/"
      api_key: os.environ/AZURE_KEY
      api_version: "2024-10-21"
      rpm: 30
  - model_name: claude
    litellm_params: {{model: anthropic/claude-sonnet-4-5, api_key: "{SECRET}", extra_headers: {{authorization: "{SECRET}"}}}}
  - model_name: local
    litellm_params: {{model: hosted_vllm/llama, api_base: "http://u:{SECRET}@10.0.0.5:8000/v1"}}
  - model_name: bedrock
    litellm_params: {{model: bedrock/x}}
  - model_name: "*"
    litellm_params: {{model: "openrouter/*"}}
  - model_name: auto
    litellm_params: {{model: openai/gpt-4o, api_key: os.environ/OPENAI_API_KEY}}
  - broken
router_settings:
  num_retries: 2
  routing_strategy: latency-based-routing
  model_group_alias: {{smart: gpt-4o, lost: nothing}}
litellm_settings:
  fallbacks: [{{gpt-4o: [claude, gone]}}]
  drop_params: true
general_settings: {{master_key: sk-1234-AbCdEfGhIjKlMnOpQrStUv}}
"""


@pytest.fixture
def converted(tmp_path: Path) -> tuple[Settings, str, list[str]]:
    source, target = tmp_path / "config.yaml", tmp_path / "meliora.toml"
    source.write_text(CONFIG)
    text, notes = convert(source)
    target.write_text(text)
    return load(target, {}), text, notes


def test_models_providers_and_prices_cross(converted: tuple[Settings, str, list[str]]) -> None:
    settings, _, _ = converted
    first, second = settings.models["gpt-4o"].endpoints
    assert (first.provider, first.weight, second.provider, second.model) == ("openai", 60, "azure", "gpt4o-eu")
    price = settings.models["gpt-4o"].price
    assert price is not None and price.input == 2.5
    assert settings.providers["openai"].api_key == "env:OPENAI_API_KEY"
    assert settings.providers["azure"].base_url == "https://x.openai.azure.com/openai/v1"
    assert settings.providers["azure"].auth_header == "api-key"
    assert settings.providers["anthropic"].kind == "anthropic"
    assert settings.providers["openrouter"].passthrough


def test_fallbacks_aliases_and_retries_cross(converted: tuple[Settings, str, list[str]]) -> None:
    settings, _, _ = converted
    assert settings.models["gpt-4o"].fallbacks == ["claude"]
    assert settings.aliases == {"smart": "gpt-4o"}
    assert settings.gateway.retry.attempts == 3


def test_what_cannot_cross_is_noted(converted: tuple[Settings, str, list[str]]) -> None:
    notes = "\n".join(converted[2])
    for word in (
        "bedrock",
        "api_version",
        "'gone'",
        "'lost'",
        "routing_strategy",
        "drop_params",
        "model_list[7]",
        "'auto'",
    ):
        assert word in notes


def test_a_key_that_is_written_out_is_never_carried_over(converted: tuple[Settings, str, list[str]]) -> None:
    _, text, notes = converted
    assert "AbCdEfGhIjKlMnOpQrStUv" not in text + "".join(notes)
    assert converted[0].providers["anthropic"].api_key == "env:ANTHROPIC_API_KEY"


@pytest.mark.parametrize("text", ["a: [", "just text", "[]", "model_list: 3", "\x00"])
def test_another_file_is_refused_in_a_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(InvalidRequest):
        convert(tmp_path / "c.yaml")


def test_without_pyyaml_the_command_that_installs_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: object, **kwargs: object) -> object:
        if name == "yaml":
            raise ImportError(name)
        return real(name, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match="pip install"):
        convert(tmp_path / "c.yaml")


def test_what_litellm_leaves_to_its_own_code_is_written_out(tmp_path: Path) -> None:
    """Where a version belongs into an address, who has no `/responses`, and a price that YAML takes for a text."""
    source, target = tmp_path / "config.yaml", tmp_path / "meliora.toml"
    source.write_text("""
model_list:
  - model_name: local
    litellm_params: {model: ollama/llama3, api_base: "http://127.0.0.1:11434", max_tokens: 100}
  - model_name: claude
    litellm_params: {model: anthropic/claude, api_base: "https://api.anthropic.com/", api_key: os.environ/A}
  - model_name: gpt
    litellm_params: {model: openai/gpt-4o, input_cost_per_token: 3e-06, output_cost_per_token: cheap}
""")
    text, notes = convert(source)
    target.write_text(text)
    settings = load(target, {})
    bases = {name: (one.base_url, one.responses) for name, one in settings.providers.items()}
    assert bases["ollama"] == ("http://127.0.0.1:11434/v1", False)
    assert bases["anthropic"][0] == "https://api.anthropic.com/v1"
    assert bases["openai"] == ("https://api.openai.com/v1", True)
    price = settings.models["gpt"].price
    assert price is not None and (price.input, price.output) == (3.0, None)
    assert "model 'local': litellm_params.max_tokens does not cross." in notes
