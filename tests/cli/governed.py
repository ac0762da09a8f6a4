"""A deployment in a folder of its own, with commands typed in it and changes put where a test wants them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from meliora.cli import main
from meliora.cli.shared import settings, store
from meliora.loop.approvals import ApprovalWish
from meliora.loop.change import Change, Origin
from meliora.loop.gates.board import GateReading
from meliora.loop.gates.standing import Standing
from meliora.loop.shelf import EdgeWish
from meliora.loop.states import State
from meliora.runtime.gates import gate_board

DAY_US = 86_400_000_000


class Typed:
    """Types commands and reads what they print."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        """Give the exit code, standard output and standard error."""
        self._capsys.readouterr()
        code = main(list(arguments))
        said = self._capsys.readouterr()
        assert "Traceback" not in said.err
        return code, said.out, said.err

    def json(self, *arguments: str) -> list[Any]:
        """Give what a command prints for programs: every line of standard output is a value."""
        code, out, err = self(*arguments, "--json")
        assert code == 0, err
        return [json.loads(line) for line in out.splitlines()]


def begun(state: State = State.OBSERVED, then: State | None = None, **fields: Any) -> Change:
    """Put a change into the store, and take it on to another state by a person's word."""
    said: dict[str, Any] = {"kind": "model_choice", "target": "small", "surface": "gateway", "environment": "staging"}
    said |= {"origin": Origin("gate", "errors"), "state": state, **fields}
    with store() as opened:
        change = opened.changes.add(said.pop("tenant", "default"), **said)
        if then is not None:
            wish = EdgeWish(target=then, actor="test", evidence={"sentence": "as it was"}, wait=None)
            change = opened.changes.act(change.tenant, change.id, state, wish)
    return change


def asked(change: Change, by: str = "errors") -> None:
    """Ask for an approval of a change's delivery."""
    with store() as opened:
        until = opened.changes.now_us() + DAY_US
        wish = ApprovalWish(change=change.id, edge="deliver", asked_by=by, asked_why="staging", expires_us=until)
        opened.approvals.request(change.tenant, wish)


def failing(gate: str, value: float) -> None:
    """Let a gate fail, as ticks would."""
    with store() as opened:
        row = next(row for row in gate_board(settings(), opened).status("default") if row.name == gate)
        now = opened.changes.now_us()
        seen = GateReading(gate=gate, at_us=now, state="fail", value=value, low=value / 2, high=value * 2, n=500)
        after = Standing(state="fail", evaluated_us=now, failing=True, since_us=now, changed_us=now)
        assert opened.gates.record("default", row.definition, row.standing, after, seen)


@pytest.fixture(name="typed")
def typed_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    """A deployment in the present folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    assert main(["db", "upgrade"]) == 0
    return Typed(capsys)
