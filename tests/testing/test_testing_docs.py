"""The blocks of docs/testing.md run, and name every fault with its defaults."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from meliora.gateway.simulated.models import SIMULATED
from meliora.testing import faults

DOCS = (Path(__file__).parents[2] / "docs" / "testing.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_a_block_runs(number: int, tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", BLOCKS[number]], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0, run.stderr


def test_every_fault_is_in_the_table() -> None:
    names = [fault.__name__ for fault in faults.Fault.__args__]
    assert [name for name in names if f"`{name}(" not in DOCS] == []


def test_the_declared_figures_are_those_of_the_models() -> None:
    for model in SIMULATED:
        row = next(line for line in DOCS.splitlines() if line.startswith(f"| `{model.name}`"))
        if model.quality:
            assert f"{model.input_usd:.2f} / {model.output_usd:.2f}" in row
            assert f"{model.first_token_ms:g} ms, {model.token_ms:g} ms" in row
            declared = [f"{model.quality[task]:.0%}" for task in ("chat", "code", "reasoning")]
            assert ", ".join(declared) in row
