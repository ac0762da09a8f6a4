"""I15: the documents' variables, with their defaults, under the settings that replaced them."""

from __future__ import annotations

from functools import reduce
from pathlib import Path

import pytest

from meliora.settings.load import load, read

DOCUMENTED = {
    "ENABLE_LEARNING": ("learning.enabled", True, "false", False),
    "LEARNING_RATE": ("learning.rate", 0.1, "0.3", 0.3),
    "EXPLORATION_RATE": ("learning.exploration", 0.1, "0.2", 0.2),
    "RESPONSE_TIME_THRESHOLD_MS": ("thresholds.response_time_ms", 100, "250", 250),
    "MEMORY_WARNING_THRESHOLD_MB": ("thresholds.memory_warning_mb", 7168, "512", 512),
    "ERROR_RATE_THRESHOLD": ("thresholds.error_rate", 0.05, "0.02", 0.02),
    "ENABLE_AUTO_IMPROVEMENTS": ("improvements.automatic", False, "true", True),
    "IMPROVEMENT_CONFIDENCE_THRESHOLD": ("improvements.confidence_threshold", 0.7, "0.9", 0.9),
    "MONITORING_DURATION_SECONDS": ("improvements.monitoring_seconds", 300, "60", 60),
    "ENABLE_AUTO_ROLLBACK": ("improvements.auto_rollback", True, "false", False),
    "ROLLBACK_ERROR_THRESHOLD": ("improvements.rollback_error_threshold", 0.1, "0.25", 0.25),
}


def value(path: str, config: Path, environ: dict[str, str]) -> object:
    return reduce(getattr, path.split("."), load(config, environ))


@pytest.mark.parametrize("name", DOCUMENTED)
def test_i15_each_documented_variable_has_its_default_and_counts_below_file_and_prefix(
    name: str, tmp_path: Path
) -> None:
    path, default, text, wanted = DOCUMENTED[name]
    section, setting = path.split(".")
    config = tmp_path / "meliora.toml"
    config.write_text("")
    assert value(path, config, {}) == default
    assert value(path, config, {name: text}) == wanted
    config.write_text(f"[{section}]\n{setting} = {str(default).lower()}\n")
    assert value(path, config, {name: text}) == default
    assert value(path, config, {name: text, f"MELIORA_{section.upper()}__{setting.upper()}": text}) == wanted


@pytest.mark.parametrize("name", DOCUMENTED)
def test_i15_a_value_that_makes_no_sense_is_named_by_its_variable(name: str) -> None:
    loaded = read("/dev/null", {name: "perhaps-not"})
    assert [problem.where for problem in loaded.errors] == [name]
