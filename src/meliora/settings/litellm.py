"""A LiteLLM proxy `config.yaml`, translated to `meliora.toml`.

Carries over names, addresses, references and fallbacks. Never carries a key that is written out; what cannot cross is a note.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any

from meliora.errors import InvalidRequest, MissingExtra
from meliora.settings.secret import carries_secret, looks_secret, mask_login, strip_login

_OPENAI = {
    "openai": "https://api.openai.com/v1",
    "text-completion-openai": "https://api.openai.com/v1",
    "groq": "https://api.groq.com/openai/v1",
    "mistral": "https://api.mistral.ai/v1",
    "deepseek": "https://api.deepseek.com/v1",
    "xai": "https://api.x.ai/v1",
    "openrouter": "https://openrouter.ai/api/v1",
    "together_ai": "https://api.together.xyz/v1",
    "fireworks_ai": "https://api.fireworks.ai/inference/v1",
    "perplexity": "https://api.perplexity.ai",
    "cerebras": "https://api.cerebras.ai/v1",
    "gemini": "https://generativelanguage.googleapis.com/v1beta/openai",
    "nvidia_nim": "https://integrate.api.nvidia.com/v1",
    "ollama": "http://127.0.0.1:11434/v1",
    "ollama_chat": "http://127.0.0.1:11434/v1",
    "hosted_vllm": "",
    "vllm": "",
    "lm_studio": "",
    "azure": "",
    "azure_ai": "",
}
"""Providers that speak OpenAI's dialect, and where; empty: only `api_base` says where."""

_WITH_RESPONSES = ("openai", "azure")
"""Providers whose `/responses` can be counted on; the others' calls are translated to chat completions."""
_VERSIONED = ("ollama", "ollama_chat", "anthropic")
"""Providers whose `api_base` ends before the version in LiteLLM's files."""

_CARRIED = {
    "model",
    "api_base",
    "base_url",
    "api_key",
    "api_version",
    "rpm",
    "tpm",
    "weight",
    "timeout",
    "stream_timeout",
    "extra_headers",
    "input_cost_per_token",
    "output_cost_per_token",
    "cache_read_input_token_cost",
    "custom_llm_provider",
    "region_name",
}
_NOT_CARRIED = {
    "litellm_settings.callbacks": "use [otlp] to export calls",
    "litellm_settings.success_callback": "use [otlp] to export calls",
    "litellm_settings.failure_callback": "use [otlp] to export calls",
    "litellm_settings.drop_params": "let a key drop them: `meliora keys create --allow-loss`",
    "general_settings.master_key": "the first admin key is made at the first start",
    "general_settings.database_url": "name a new database in store.url",
    "general_settings.database_connection_pool_limit": "see store.pool_size",
}
_IDLE = {"litellm_settings.set_verbose", "litellm_settings.json_logs"}


def convert(path: str | Path) -> tuple[str, list[str]]:
    """Translate a file; give the TOML and notes on what did not cross.

    Raises `MissingExtra` without PyYAML, and `InvalidRequest` for a file that cannot be read or is no such configuration.
    """
    try:
        import yaml
    except ImportError:
        raise MissingExtra(
            "Reading YAML needs PyYAML, which is not installed.", hint='Install it: pip install "meliora[litellm]"'
        ) from None
    try:
        tree = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be read: {error.strerror}.", hint="Check the path.") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
        # the parser's own message quotes the file, and with it what may be a key
        raise InvalidRequest(f"{path} is not YAML.", hint="Name a LiteLLM proxy config.yaml.") from None
    if not isinstance(tree, dict) or not isinstance(tree.get("model_list"), list):
        raise InvalidRequest(f"{path} has no `model_list`.", hint="Name a LiteLLM proxy config.yaml.")
    reading = _Reading()
    for number, entry in enumerate(tree["model_list"]):
        reading.model(number, entry)
    reading.router(tree)
    return reading.text(Path(path).name), reading.notes


@dataclass(slots=True)
class _Reading:
    """What was understood so far."""

    providers: dict[str, dict[str, Any]] = field(default_factory=dict)
    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    retry: dict[str, Any] = field(default_factory=dict)
    timeouts: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def model(self, number: int, entry: Any) -> None:
        """Take one entry of `model_list`."""
        params = entry.get("litellm_params") if isinstance(entry, dict) else None
        name = entry.get("model_name") if isinstance(entry, dict) else None
        if not isinstance(params, dict) or not isinstance(name, str) or not isinstance(params.get("model"), str):
            self.notes.append(f"model_list[{number}] has no model_name or no litellm_params.model and is left out.")
            return
        where = f"model {name!r}"
        family, slash, upstream = params["model"].partition("/")
        if not slash:
            family, upstream = str(params.get("custom_llm_provider") or _family(params["model"])), params["model"]
        provider = self._provider(where, family, params)
        if provider is None:
            return
        for extra in sorted(set(params) - _CARRIED):
            self.notes.append(f"{where}: litellm_params.{extra} does not cross.")
        for limit in ("rpm", "tpm"):
            if params.get(limit) is not None and params.get("weight") is None:
                self.notes.append(f"{where}: {limit} = {params[limit]} becomes a weight; limits are set per key here.")
        if "*" in name or "*" in upstream:
            self.providers[provider]["passthrough"] = True
            self.notes.append(f"{where}: the wildcard becomes `passthrough`; clients ask for {provider}/MODEL.")
            return
        endpoint: dict[str, Any] = {"provider": provider, "model": upstream}
        weight = params.get("weight", params.get("rpm", params.get("tpm")))
        if isinstance(weight, int | float):
            endpoint["weight"] = weight
        self._add(where, name, endpoint, params, entry.get("model_info"))

    def _add(self, where: str, name: str, endpoint: dict[str, Any], params: Mapping[str, Any], info: Any) -> None:
        if name == "auto" or name.startswith("auto:"):
            self.notes.append(f"{where}: `auto` leaves the choice to Meliora, so the model is left out; rename it.")
            return
        model = self.models.setdefault(name, {"endpoints": []})
        model["endpoints"].append(endpoint)
        both = {**(info if isinstance(info, dict) else {}), **params}
        price = {
            ours: round(cost * 1e6, 9)
            for ours, theirs in (
                ("input", "input_cost_per_token"),
                ("output", "output_cost_per_token"),
                ("cached_input", "cache_read_input_token_cost"),
            )
            if (cost := _number(both.get(theirs))) is not None
        }
        if price:
            model["price"] = price
        window = both.get("max_input_tokens")
        if isinstance(window, int) and window > 0:
            model["context_window"] = window

    def _provider(self, where: str, family: str, params: Mapping[str, Any]) -> str | None:
        """Find or make the provider section of an entry; None where there is no such thing here."""
        kind = "anthropic" if family == "anthropic" else "openai"
        base = params.get("api_base") or params.get("base_url") or _OPENAI.get(family, "")
        if family == "anthropic":
            base = base or "https://api.anthropic.com/v1"
        if family not in _OPENAI and family != "anthropic" and not base:
            self.notes.append(
                f"{where}: provider {family!r} has no OpenAI or Anthropic dialect; put its gateway there."
            )
            return None
        section: dict[str, Any] = {"kind": kind, "base_url": self._text(where, "api_base", base)}
        if family in _VERSIONED and section["base_url"] and not section["base_url"].rstrip("/").endswith("/v1"):
            section["base_url"] = section["base_url"].rstrip("/") + "/v1"
        if kind == "openai" and family not in _WITH_RESPONSES:
            section["responses"] = False
        key = self._key(where, family, params.get("api_key"))
        if key:
            section["api_key"] = key
        if family == "azure":
            self._azure(where, section, params)
        if not section["base_url"]:
            self.notes.append(f"{where}: litellm_params.api_base is missing; write base_url into its provider.")
        headers = params.get("extra_headers")
        if isinstance(headers, dict):
            section["headers"] = {str(k): self._header(where, str(k), v) for k, v in headers.items()}
        if isinstance(params.get("region_name"), str):
            section["region"] = params["region_name"]
        if isinstance(params.get("timeout"), int | float):
            section["timeouts"] = {"first_byte": params["timeout"]}
        return self._section(family, section)

    def _section(self, family: str, section: dict[str, Any]) -> str:
        stem = re.sub(r"[^a-z0-9]+", "-", family.lower()).strip("-") or "provider"
        number = 1
        while True:
            name = stem if number == 1 else f"{stem}-{number}"
            before = self.providers.setdefault(name, section)
            if {**before, "passthrough": None} == {**section, "passthrough": None}:
                return name
            number += 1

    def _azure(self, where: str, section: dict[str, Any], params: Mapping[str, Any]) -> None:
        section["auth_header"] = "api-key"
        base = section["base_url"].rstrip("/")
        if base and not base.endswith("/v1"):
            section["base_url"] = f"{base}/openai/v1"
        if params.get("api_version"):
            self.notes.append(f"{where}: api_version does not cross; Azure's /openai/v1 needs none.")

    def _key(self, where: str, family: str, value: Any) -> str:
        """Give a reference. A key that is written out stays where it is."""
        if value is None:
            return (
                "" if family.startswith(("ollama", "vllm", "hosted_vllm", "lm_studio")) else f"env:{_variable(family)}"
            )
        if isinstance(value, str) and value.startswith("os.environ/"):
            return f"env:{value.removeprefix('os.environ/')}"
        name = _variable(family)
        self.notes.append(f"{where}: its api_key is written out and is not carried over; put it into {name}.")
        return f"env:{name}"

    def _header(self, where: str, name: str, value: Any) -> str:
        text = str(value)
        if text.startswith("os.environ/"):
            return f"env:{text.removeprefix('os.environ/')}"
        if carries_secret(name) or looks_secret(text):
            self.notes.append(f"{where}: the header {name} looks like a secret and is not carried over.")
            return f"env:{_variable(name)}"
        return text

    def _text(self, where: str, name: str, value: Any) -> str:
        text = str(value or "")
        if text.startswith("os.environ/"):
            self.notes.append(f"{where}: {name} comes from {text.removeprefix('os.environ/')}; write it as base_url.")
            return ""
        if mask_login(text) != text:
            self.notes.append(f"{where}: the login in {name} is not carried over.")
        return strip_login(text)

    def router(self, tree: Mapping[str, Any]) -> None:
        """Take fallbacks, aliases, retries and timeouts from the other sections, and note the rest."""
        sections = {name: tree.get(name) for name in ("router_settings", "litellm_settings", "general_settings")}
        for section, values in sections.items():
            if not isinstance(values, dict):
                continue
            for name, value in values.items():
                if not self._taken(f"{section}.{name}", name, value):
                    hint = _NOT_CARRIED.get(f"{section}.{name}")
                    self.notes.append(f"{section}.{name} does not cross{f': {hint}' if hint else ''}.")
        known = {"model_list", *sections}
        self.notes.extend(f"{name} does not cross." for name in tree if name not in known)

    def _taken(self, where: str, name: str, value: Any) -> bool:
        if where in _IDLE:
            return True
        if name in ("fallbacks", "context_window_fallbacks") and isinstance(value, list):
            for model, targets in _pairs(value):
                self._fall_back(where, model, targets)
            return True
        if name == "model_group_alias" and isinstance(value, dict):
            for alias, target in value.items():
                self._alias(where, str(alias), target)
            return True
        if name == "num_retries" and isinstance(value, int):
            self.retry["attempts"] = max(1, min(10, value + 1))
            return True
        if name in ("timeout", "request_timeout") and isinstance(value, int | float):
            self.timeouts["first_byte"] = value
            return True
        return name == "routing_strategy" and value in ("simple-shuffle", "least-busy")

    def _fall_back(self, where: str, model: str, targets: Any) -> None:
        if model not in self.models:
            self.notes.append(f"{where}: there is no model {model!r}.")
            return
        kept = self.models[model].setdefault("fallbacks", [])
        for target in targets if isinstance(targets, list) else [targets]:
            if target not in self.models:
                self.notes.append(f"{where}: {model!r} falls back to {target!r}, which is not carried over.")
            elif target not in kept and target != model:
                kept.append(target)

    def _alias(self, where: str, alias: str, target: Any) -> None:
        name = target.get("model") if isinstance(target, dict) else target
        if name not in self.models or alias in self.models or alias.startswith("auto"):
            self.notes.append(f"{where}: the alias {alias!r} is left out; its name or its model cannot be used.")
        else:
            self.aliases[alias] = str(name)

    def text(self, source: str) -> str:
        """Give the TOML."""
        lines = [f"# Translated from {source} by `meliora config import litellm`."]
        lines += [f"# Note: {_one_line(note)}" for note in self.notes]
        tables: dict[tuple[str, ...], Mapping[str, Any]] = {
            ("gateway", "retry"): self.retry,
            ("gateway", "timeouts"): self.timeouts,
        }
        for name, section in self.providers.items():
            tables["providers", name] = section
        for name, section in self.models.items():
            tables["models", name] = section
        tables["aliases",] = self.aliases
        for path, table in tables.items():
            if table:
                lines += ["", f"[{'.'.join(_key(part) for part in path)}]"]
                lines += [f"{_key(name)} = {_value(value)}" for name, value in table.items()]
        return "\n".join([*lines, ""])


def _family(model: str) -> str:
    return "anthropic" if model.startswith("claude") else "openai"


def _number(value: Any) -> float | None:
    """Read a number; YAML takes `3e-06`, without a point, for a text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if 0 <= number < inf else None


def _variable(name: str) -> str:
    known = {"together_ai": "TOGETHERAI_API_KEY", "fireworks_ai": "FIREWORKS_AI_API_KEY"}
    stem = re.sub(r"[^A-Z0-9]+", "_", name.upper())
    return known.get(name, stem if stem.endswith("KEY") else f"{stem}_API_KEY")


def _pairs(value: list[Any]) -> Iterator[tuple[str, Any]]:
    for one in value:
        if isinstance(one, dict):
            yield from ((str(model), targets) for model, targets in one.items())


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name)


def _value(value: Any) -> str:
    """Write a value as TOML; JSON's texts are TOML's."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(str(k))} = {_value(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_value(one) for one in value) + "]"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value).replace("\x7f", "\\u007f")
