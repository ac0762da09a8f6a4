"""`meliora route --explain`: what the learned policy foresees, and who decides where there is none."""

from pathlib import Path

import pytest

from meliora.cli import main
from meliora.cli.shared import store
from meliora.gateway.state import ChoiceState, Overlay, TrialState
from meliora.routing.learned.snapshot import encode
from meliora.testing.policies import planted
from tests.cli.test_cli import run, value

KNOWN = {"simulated-small": (0.7, 0.0002), "simulated-medium": (0.8, None), "simulated-large": (0.95, 0.02)}


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    assert main(["db", "upgrade"]) == 0
    with store() as opened:
        kept = opened.routing_snapshots
        made = kept.add("default", lambda number: encode(planted(KNOWN, number=number)), kind="fit", made_by="test")
        kept.promote("default", made.number)


@pytest.mark.usefixtures("served")
def test_the_candidates_are_shown_with_what_decided(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "route", "hello", "--explain", "--willingness-to-pay", "0.001")
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == "simulated-small  policy:1"
    assert "Routing snapshot 1, dial pay:0.001" in lines
    shown = {line.split()[0]: line for line in lines}
    assert shown["simulated-small"].split()[1] == "*"
    assert "0.700" in shown["simulated-small"]
    assert "$0.000200" in shown["simulated-small"]
    assert "unknown" in shown["simulated-medium"], "its price"
    assert shown["simulated-code"].split().count("unknown") == 3, "the policy does not know it"
    told = value(capsys, "route", "hello", "--explain", "--quality-floor", "1.0")
    assert told["routing"]["dial"] == "floor:1"
    assert {one["model"] for one in told["foreseen"]} >= set(KNOWN)


@pytest.mark.usefixtures("served")
def test_a_dial_out_of_range_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "route", "hello", "--quality-floor", "98")
    assert code == 2
    assert "at most 1" in err


@pytest.mark.usefixtures("served")
def test_without_a_policy_it_says_who_decides(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "route", "hello", "--explain", "--tenant", "elsewhere")
    assert "No learned policy was asked" in out


@pytest.mark.usefixtures("served")
def test_a_users_arm_of_a_trial_decides_and_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    trial = TrialState("chg_1", "default", "trial", "s", 3, 1.0, Overlay(no_policy=True))
    with store() as opened:
        opened.trials.begin("default", trial)
        opened.model_choices.put("default", ChoiceState("c", "default", "simulated-small", "simulated-large"), "chg_0")
    _, out, _ = run(capsys, "route", "hello", "--user", "ann")
    assert "policy:" not in out
    assert "  candidate of the trial of chg_1, stage 3" in out.splitlines()
    _, out, _ = run(capsys, "route", "hello")
    assert "policy:1" in out
    assert "chg_1" not in out
    _, out, _ = run(capsys, "route", "hello", "--model", "simulated-small")
    assert out.splitlines()[0] == "simulated-large  asked;choice:c"
