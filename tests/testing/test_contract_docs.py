"""The worked example of docs/changes.md keeps the contract that the page is about."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

import pytest

from meliora.testing.contract import ContractBroken, check_kind
from meliora.testing.contract_checks import CHECKS

PAGE = (Path(__file__).parents[2] / "docs" / "changes.md").read_text()


def test_the_worked_example_keeps_the_contract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    known: dict[str, Any] = {"__name__": "example"}
    blocks = re.findall(r"(?ms)^```python\n(.*?)^```", PAGE)
    assert len(blocks) == 2 and "check_kind(bench)" in blocks[1]
    for number, block in enumerate(blocks):
        exec(compile(block, f"docs/changes.md, block {number + 1}", "exec"), known)

    class Careless(known["Passages"]):
        def undo(self, change: Any, work: Any) -> Any:
            return change.baseline

    known["Passages"] = Careless
    with pytest.raises(ContractBroken) as broken:
        check_kind(known["bench"])
    assert "undo_restores_exactly" in broken.value.failures


def test_the_number_of_checks_is_what_is_told() -> None:
    assert len(CHECKS) == 19
