"""The documents' YAML becomes settings; a misspelt safety switch is refused, and no secret crosses."""

from __future__ import annotations

from pathlib import Path

import pytest

from meliora.cli import main
from meliora.errors import InvalidRequest
from meliora.settings.load import read
from meliora.settings.loop import Loop
from meliora.settings.self_improvement import convert

FULL = """
image: {tag: "1"}
selfImprovement:
  enabled: true
  policy: full
  abTesting: true
  abSplitRatio: 0.2
  autoPromote: true
  rollbackOnDegrade: true
  manualApprovalRequired: false
  killSwitch: false
  mockSignals: false
  mockMetrics: false
  cycleInterval: 15m
  maxCyclesPerDay: 6
  alertOnDegrade: true
  slackWebhook: ${SLACK_WEBHOOK}
  kubecost:
    enabled: true
    budgetAlert: 80
  backup: daily
"""


def crossed(tmp_path: Path, text: str) -> tuple[Loop, list[str], str]:
    (tmp_path / "values.yaml").write_text(text)
    toml, notes = convert(tmp_path / "values.yaml")
    (tmp_path / "meliora.toml").write_text(toml)
    loaded = read(tmp_path / "meliora.toml", {"SLACK_WEBHOOK": "x"})
    assert loaded.settings is not None, loaded.problems
    return loaded.settings.loop, notes, toml


def test_every_documented_key_crosses_or_is_said_not_to(tmp_path: Path) -> None:
    loop, notes, _ = crossed(tmp_path, FULL)
    assert loop.environment == "production" and loop.approval.auto_promote and not loop.approval.required
    assert (loop.interval, loop.max_cycles_per_day, loop.trial.ab_split_ratio) == (900, 6, 0.2)
    assert loop.watch.rollback_on_degrade and loop.alerts.on_degrade
    assert loop.alerts.slack_webhook == "env:SLACK_WEBHOOK" and loop.budget_alert == 0.8
    assert any("backup" in note for note in notes) and any("kubecost.enabled" in note for note in notes)


@pytest.mark.parametrize(
    ("text", "environment", "enabled", "promotes"),
    [
        ("enabled: false\n  policy: dev\n  mockSignals: true", "dev", False, True),
        ("enabled: true\n  policy: staging\n  abTesting: true\n  autoPromote: false", "staging", True, False),
        ("enabled: true\n  policy: full\n  autoPromote: true\n  rollbackOnDegrade: true", "production", True, True),
    ],
)
def test_the_three_documented_profiles_cross(
    tmp_path: Path, text: str, environment: str, enabled: bool, promotes: bool
) -> None:
    loop, _, _ = crossed(tmp_path, f"selfImprovement:\n  {text}\n")
    assert (loop.environment, loop.enabled, loop.approval.auto_promote) == (environment, enabled, promotes)


def test_a_switch_that_is_thrown_crosses_thrown(tmp_path: Path) -> None:
    loop, _, _ = crossed(tmp_path, "selfImprovement: {killSwitch: true, manualApprovalRequired: true}")
    assert loop.kill_switch and loop.approval.required


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{manualAprovalRequired: true}", "Did you mean manualApprovalRequired"),
        ("{kubecost: {budgetAlrt: 80}}", "Did you mean budgetAlert"),
        ("{zzz: 1}", "There are: abSplitRatio"),
        ("{killSwitch: 'yes please'}", "killSwitch is not true or false"),
        ("{maxCyclesPerDay: 0}", "no whole number"),
        ("{abSplitRatio: .nan}", "no number"),
        ("{abSplitRatio: 0.9}", "does not hold together"),
        ("{policy: yolo}", "Write one of"),
        ("{policy: full, environment: dev}", "contradicts"),
        ("{policy: full, mockSignals: true}", "does not hold together"),
        ("{mockSignals: true}", "does not hold together"),
        ("{mockSignals: true, mockMetrics: false, policy: dev}", "contradicts"),
        ("{kubecost: 3}", "is not a mapping"),
        ("{1: 2}", "is not a key"),
        ("3", "has no `selfImprovement`"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "values.yaml").write_text(f"selfImprovement: {text}\n")
    with pytest.raises(InvalidRequest) as caught:
        convert(tmp_path / "values.yaml")
    assert sentence in str(caught.value)


@pytest.mark.parametrize("text", ["[1]", "a: [", "x: 1", "\x00", ""])
def test_another_file_is_refused_in_a_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "values.yaml").write_text(text)
    with pytest.raises(InvalidRequest):
        convert(tmp_path / "values.yaml")


def test_a_webhook_that_is_written_out_never_crosses(tmp_path: Path) -> None:
    secret = "https://hooks.slack.example/services/T00/B00/AbCdEf"
    loop, notes, toml = crossed(tmp_path, f"selfImprovement: {{slackWebhook: '{secret}'}}")
    assert secret not in toml + "".join(notes) and loop.alerts.slack_webhook == ""
    assert any("slackWebhook" in note for note in notes)


def test_the_command_writes_a_file_and_says_what_did_not_cross(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "values.yaml").write_text(FULL)
    target = tmp_path / "meliora.toml"
    assert main(["config", "import", "self-improvement", str(tmp_path / "values.yaml"), "-o", str(target)]) == 0
    assert 'environment = "production"' in target.read_text()
    assert "note: selfImprovement.backup" in capsys.readouterr().err
