"""The loop's settings: safe by default, and wrong ones are named with what was probably meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from meliora.errors import InvalidRequest
from meliora.loop.gates.declared import gates_of, triggers_of
from meliora.loop.gates.gate import Slice
from meliora.loop.triggers import Rollback
from meliora.settings.load import read
from meliora.settings.loop import Loop


def loaded(tmp_path: Path, text: str, environ: dict[str, str] | None = None):
    file = tmp_path / "meliora.toml"
    file.write_text(text)
    return read(file, environ or {})


def test_out_of_the_box_a_person_delivers() -> None:
    loop = Loop()
    assert (loop.enabled, loop.environment, loop.kill_switch, loop.mock_signals) == (True, "staging", False, False)
    assert (loop.interval, loop.max_cycles_per_day, loop.max_changes_per_day, loop.cooldown_seconds) == (
        900,
        6,
        10,
        3600,
    )
    assert (loop.trial.ab_split_ratio, loop.watch.checks, loop.watch.every_seconds) == (0.2, 12, 600)
    assert loop.retrain == "0 2 * * 0"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('[[loop.gates]]\nname="g"\nmetric="eror_rate"\ndirection="max"\nthreshold=0.1', "error_rate"),
        ('[[loop.gates]]\nname="g"\nmetric="error_rate"\nthreshold=0.1', "direction is missing"),
        ('[[loop.gates]]\nname="g"\nmetric="error_rate"\ndirection="up"\nthreshold=0.1', "must be 'min' or 'max'"),
        ('[[loop.gates]]\nname="g"\nmetric="x"\ndirection="max"\nthreshold=1\nsource="function"', "takes a query"),
        ('[[loop.gates]]\nname="g"\nmetric="x"\ndirection="max"\nthreshold=1\nsource="simulated"', "only dev may"),
        (
            '[[loop.gates]]\nname="g"\nmetric="x"\ndirection="max"\nthreshold=1\nsource="prometheus"\nquery="up"',
            "not set up",
        ),
        ('[[loop.triggers]]\nname="t"\ngate="errors"\nkinds=[]', "kinds"),
        ('[[loop.triggers]]\nname="t"\ngate="errors"', "kinds is missing"),
        ("[loop]\nmock_signals=true", "only dev may"),
        ('[loop]\nenvironment="prod"', "environment"),
        ('[loop]\nretrain="every sunday"', "five fields"),
        ('[loop]\nretrain="0 25 * * 0"', "five fields"),
        ("[loop]\ncyle_interval=3", "is not a setting"),
        ("[loop.trial]\nstages=[0.2,0.1]", "ascending"),
        ('[loop.prometheus]\nurl="prometheus:9090"', "not an http or https address"),
        ('[loop.prometheus]\nurl="http://u:p@prometheus:9090"', "without a login"),
        ('[loop.alerts]\nslack_webhook="https://hooks.example/T/B/x"', "literal value"),
        (
            '[[loop.gates]]\nname="g"\nmetric="error_rate"\ndirection="max"\nthreshold=0.1\n' * 2,
            "two gates 'g'",
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, sentence: str) -> None:
    problems = "\n".join(str(problem) for problem in loaded(tmp_path, text).errors)
    assert sentence in problems


@pytest.mark.parametrize("text", ["", "*/15 * * * *", "0 2 * * 0", "0,30 8-18 1 1-6/2 1-5"])
def test_schedules_are_written_as_cron_has_them(text: str) -> None:
    assert Loop(retrain=text).retrain == text


def test_a_gate_of_the_settings_takes_the_place_of_a_shipped_one(tmp_path: Path) -> None:
    text = """
[loop]
environment = "production"
[[loop.gates]]
name = "errors"
metric = "error_rate"
direction = "max"
threshold = 0.02
model = "small"
[[loop.gates]]
name = "drop"
metric = "ndcg_at_10"
direction = "min"
threshold = -0.05
relative = true
[[loop.triggers]]
name = "mine"
gate = "drop"
kinds = ["reranker"]
rollback_at = 0.01
rollback_relative = true
"""
    settings = loaded(tmp_path, text).settings
    assert settings is not None
    gates = {gate.name: gate for gate in gates_of(settings.loop)}
    assert (gates["errors"].threshold, gates["errors"].where) == (0.02, Slice(model="small"))
    assert (gates["drop"].change, gates["drop"].threshold, gates["drop"].metric) == (-0.05, None, "ndcg@10")
    assert triggers_of(settings.loop)[0].rollback == Rollback(worse_by=0.01)
    assert {gate.name for gate in gates_of(Loop(shipped_gates=False))} == set()


def test_simulated_signals_replace_recorded_ones_in_dev() -> None:
    gates = gates_of(Loop(environment="dev", mock_signals=True))
    assert {gate.kind for gate in gates} == {"simulated"}
    with pytest.raises(InvalidRequest):
        gates_of(Loop.model_construct(**{**dict(Loop()), "gates": list(_simulated())}))


def _simulated():
    from meliora.settings.loop import LoopGate

    yield LoopGate(name="g", metric="error_rate", direction="max", threshold=0.1, source="simulated")


def test_variables_reach_the_loop(tmp_path: Path) -> None:
    environ = {"MELIORA_LOOP__ENVIRONMENT": "production", "MELIORA_LOOP__TRIAL__AB_SPLIT_RATIO": "0.1"}
    settings = loaded(tmp_path, "", environ).settings
    assert settings is not None and settings.loop.environment == "production"
    assert settings.loop.trial.ab_split_ratio == 0.1
