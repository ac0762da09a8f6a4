"""Every decision of a whole lifecycle is taken again from its record, and comes to the same; evidence that was altered shows."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa

from meliora.cli import main
from meliora.cli.shared import settings, store
from meliora.loop.arms import Stretch
from meliora.loop.caps import Counts
from meliora.loop.change import Change, Origin
from meliora.loop.engine import Engine
from meliora.loop.house import House, Rules
from meliora.loop.judge import ArmJudge
from meliora.loop.metrics import Metric
from meliora.loop.states import State
from meliora.runtime.governance import governance
from meliora.store import Store
from meliora.store.tables import change_edges
from meliora.testing import FrozenClock
from meliora.testing.loop import MemoryTrials, ScriptedKind
from tests.loop.test_judge import ToldArms, arm, stretch

Said = Callable[..., tuple[int, list[dict[str, object]], str]]
GOOD = stretch(arm(2000, 0.8), arm(2000, 0.65, seed=2))
BAD = stretch(arm(1500, errors=0.3), arm(1500, errors=0.02, seed=2))


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Said:
    """Type a command in a deployment in production; give its code, its JSON lines and what else it said."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    (tmp_path / "meliora.toml").write_text('[loop]\nenvironment = "production"\ncooldown_seconds = 0.0\n')
    assert main(["db", "upgrade"]) == 0

    def run(*arguments: str) -> tuple[int, list[dict[str, object]], str]:
        capsys.readouterr()
        code = main(list(arguments))
        found = capsys.readouterr()
        lines = [json.loads(line) for line in found.out.splitlines() if line.startswith("{")]
        return code, lines, found.out + found.err

    return run


class ByPhase(ToldArms):
    """Arms of a trial that is won, and of a watch as it is told."""

    def __init__(self, watched: Stretch) -> None:
        super().__init__([watched])

    def stretches(
        self, tenant: str, change: str, phase: str, metrics: Sequence[Metric], now_us: int
    ) -> Sequence[Stretch]:
        return [GOOD] if phase == "trial" else self.told


def lived(opened: Store, watched: Stretch) -> Change:
    """Take a change through its life: real policies, real verdicts on told arms, and a kind that does as it is told."""
    clock = FrozenClock(opened.changes.now_us())
    opened.changes._clock_us = clock.now_us
    counts = Counts(now_us=clock.now_us())
    office = governance(settings(), opened, clock.now_us, lambda change: counts)
    kind = ScriptedKind(serves={"thing": "v1"})
    house = House(
        shelf=opened.changes,
        kinds={"scripted": kind},
        governance=office.governed,
        judge=ArmJudge(ByPhase(watched), clock.now_us),
        trials=MemoryTrials(),
        finding=lambda tenant, finding: {"id": finding},
        diagnose=lambda change: ("fnd_1", {"sentence": "why"}),
        tell=lambda happened: None,
        owner="worker",
        rules=Rules(look_seconds=10),
    )
    engine = Engine(house)
    change = opened.changes.add(
        "default",
        kind="scripted",
        target="thing",
        surface="scripted",
        environment="production",
        origin=Origin("gate", "errors"),
    )
    for _ in range(200):
        engine.step()
        change = opened.changes.get("default", change.id)
        if change.due_us is None:
            return change
        clock.advance(10)
    raise AssertionError(f"it never ended: {change}")


@pytest.mark.parametrize(("watched", "state"), [(GOOD, State.KEPT), (BAD, State.ROLLED_BACK)])
def test_a_whole_life_is_decided_again_and_comes_to_the_same(said: Said, watched: Stretch, state: State) -> None:
    with store() as opened:
        change = lived(opened, watched)
        assert change.state is state
    code, lines, _ = said("audit", "replay", change.id, "--json")
    assert code == 0
    assert {line["result"] for line in lines} == {"same"}
    made = [line["decision"] for line in lines]
    assert {"policy", "trial", "watch"} == set(made)
    assert made.count("policy") >= 3, "it was asked to prove, to try and to deliver"
    assert said("audit", "verify")[0] == 0


def altered(change: Change, target: str, old: str, new: str) -> None:
    """Change the evidence of an edge in the database, as somebody with its password would."""
    with store() as opened, opened.engine.begin() as connection:
        here = sa.and_(change_edges.c.change == change.id, change_edges.c.target == target)
        text = connection.execute(sa.select(change_edges.c.evidence).where(here).limit(1)).scalar_one()
        assert old in text
        connection.execute(sa.update(change_edges).where(here).values(evidence=text.replace(old, new)))


@pytest.mark.parametrize(
    ("target", "old", "new"),
    [("delivering", '"outcome":"better"', '"outcome":"worse"'), ("proved", '"verdict":"passed"', '"verdict":"failed"')],
)
def test_altered_evidence_is_named_by_its_edge(said: Said, target: str, old: str, new: str) -> None:
    with store() as opened:
        change = lived(opened, GOOD)
        (edge,) = [one.seq for one in opened.changes.edges("default", change.id) if one.target == target]
    altered(change, target, old, new)
    code, _, out = said("audit", "replay", change.id)
    assert code == 1 and f"The evidence of edge {edge} is not what the audit has the hash of." in out


def test_an_edge_that_was_taken_out_of_the_record_is_missed(said: Said) -> None:
    with store() as opened:
        change = lived(opened, GOOD)
        (edge,) = [one.seq for one in opened.changes.edges("default", change.id) if one.target == "delivering"]
        with opened.engine.begin() as connection:
            connection.execute(
                sa.delete(change_edges).where(change_edges.c.change == change.id, change_edges.c.seq == edge)
            )
    code, _, out = said("audit", "replay", change.id)
    assert code == 1 and f"edge {edge} " in out


def test_a_change_of_another_tenant_is_not_replayed(said: Said) -> None:
    with store() as opened:
        change = lived(opened, GOOD)
    code, _, out = said("audit", "replay", change.id, "--tenant", "other")
    assert code == 1 and "knows nothing" in out
