"""H2O LLM Studio: a configuration within its bounds, and a run that is well only where its folder says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from meliora.errors import InvalidRequest
from meliora.integrations.h2o_llm_studio import H2oLlmStudio, tuning
from meliora.knowledge.augment.examples import Example
from meliora.knowledge.augment.make import Made
from meliora.knowledge.augment.manifest import Manifest, Origin, describe

BACKBONE = "h2oai/h2o-danube2-1.8b-base"
STUDIO = H2oLlmStudio(tuning({"llm_backbone": BACKBONE}))


def manifest(rows: int = 1) -> Manifest:
    examples = tuple(Example(query=f"q{at}", document="d", made_of="q", method="typo") for at in range(rows))
    return describe(Made(examples=examples, refused={}, calls=0, diversity=None), Origin(type="queries"), 0)


def test_the_configuration_names_the_data_set_and_its_columns(tmp_path: Path) -> None:
    path = STUDIO.prepare(manifest(), tmp_path / "augmented_dataset.csv", tmp_path)
    text = path.read_text(encoding="utf-8")
    assert f'llm_backbone: "{BACKBONE}"' in text and 'problem_type: "text_causal_language_modeling"' in text
    assert f'train_dataframe: "{tmp_path / "augmented_dataset.csv"}"' in text and "trust_remote_code: false" in text
    assert path.read_bytes() == STUDIO.prepare(manifest(), tmp_path / "augmented_dataset.csv", tmp_path).read_bytes()


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"llm_backbone": "../../etc"},
        {"llm_backbone": "a\nb: c"},
        {"llm_backbone": "a", "epochs": 11},
        {"llm_backbone": "a", "lora_dropout": 0.9},
        {"llm_backbone": "a", "backbone_dtype": "int2"},
        {"llm_backbone": "a", "epoch": 1},
    ],
)
def test_what_it_would_not_take_is_refused(said: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        tuning(said)


def test_a_data_set_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest):
        STUDIO.prepare(manifest(0), tmp_path / "a.csv", tmp_path)
    with pytest.raises(InvalidRequest):
        STUDIO.prepare(manifest(), tmp_path / "a.exe", tmp_path)


@pytest.mark.parametrize("status", ["queued", "running", "finished", "failed", "stopped"])
def test_the_state_is_that_of_the_flag(tmp_path: Path, status: str) -> None:
    (tmp_path / "flags.json").write_text(json.dumps({"status": status, "info": "OOM\nerror"}))
    found = STUDIO.progress(tmp_path)
    assert (found.state, found.said) == (status, "OOM error")


@pytest.mark.parametrize("body", ["", "{", "[]", '{"status": "fine"}', '{"status": null}', "{}", "[" * 99_999])
def test_what_is_not_told_is_unknown(tmp_path: Path, body: str) -> None:
    assert STUDIO.progress(tmp_path / "absent").state == "unknown"
    (tmp_path / "flags.json").write_text(body)
    assert STUDIO.progress(tmp_path).state == "unknown"


def test_one_failed_gpu_fails_the_run(tmp_path: Path) -> None:
    (tmp_path / "flags.json").write_text('{"status": "finished"}')
    (tmp_path / "flags1.json").write_text('{"status": "failed"}')
    assert STUDIO.progress(tmp_path).state == "failed"


def test_the_last_figures_of_the_log_are_told(tmp_path: Path) -> None:
    (tmp_path / "logs.log").write_bytes(
        b"x - INFO: Validation Perplexity: 9.1\n\xff\nx - INFO: Validation Perplexity: 7.25\n"
    )
    assert STUDIO.progress(tmp_path).metrics == {"Perplexity": 7.25}
