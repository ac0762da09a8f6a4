"""A loop on a real store with a scripted kind, judge and governance: everything but the traffic."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from meliora.loop.acts import Acts
from meliora.loop.change import Change, Origin
from meliora.loop.engine import Engine
from meliora.loop.house import Happened, House, Rules, TrialVerdict, WatchVerdict
from meliora.loop.states import State
from meliora.store import Store
from meliora.store.engine import connect
from meliora.store.loop.audit import Audit
from meliora.store.loop.changes import Changes
from meliora.store.migrate import upgrade
from meliora.testing import FrozenClock
from meliora.testing.loop import MemoryTrials, OpenGovernance, ScriptedJudge, ScriptedKind

UNDECIDED = TrialVerdict(
    outcome="undecided", sentence="too early", candidate_units=60, baseline_units=400, stage_units=60
)
BETTER = TrialVerdict(outcome="better", sentence="it wins", candidate_units=90, baseline_units=400, stage_units=90)
WORSE = TrialVerdict(outcome="worse", sentence="it harms", candidate_units=30, baseline_units=100, stage_units=30)
PASS = WatchVerdict(outcome="pass", sentence="as before", calls=100)
FAIL = WatchVerdict(outcome="fail", sentence="errors are up", calls=100)


@dataclass
class Bench:
    """One deployment: a store, a clock and one worker's engine."""

    changes: Changes
    clock: FrozenClock
    audit: Audit
    kind: ScriptedKind = field(default_factory=ScriptedKind)
    judge: ScriptedJudge = field(default_factory=lambda: ScriptedJudge([UNDECIDED, BETTER], [PASS]))
    governance: OpenGovernance = field(default_factory=OpenGovernance)
    trials: MemoryTrials = field(default_factory=MemoryTrials)
    told: list[Happened] = field(default_factory=list)
    diagnoses: list[tuple[str, dict[str, Any]] | None] = field(default_factory=lambda: [("fnd_1", {"sentence": "why"})])

    def __post_init__(self) -> None:
        self.engine = self.worker("worker-1")
        self.acts = Acts(self.changes, self.trials)

    def worker(self, owner: str, **rules: Any) -> Engine:
        house = House(
            shelf=self.changes,
            kinds={self.kind.name: self.kind},
            governance=self.governance,
            judge=self.judge,
            trials=self.trials,
            finding=lambda tenant, finding: {"id": finding},
            diagnose=lambda change: self.diagnoses.pop(0) if len(self.diagnoses) > 1 else self.diagnoses[0],
            tell=self.told.append,
            owner=owner,
            rules=Rules(look_seconds=10, wait_seconds=60, **rules),
        )
        return Engine(house)

    def begin(self, target: str = "thing", kind: str = "scripted") -> Change:
        self.kind.serves.setdefault(target, "v1")
        return self.changes.add(
            "default",
            kind=kind,
            target=target,
            surface="scripted",
            environment="production",
            origin=Origin("gate", "error_rate"),
        )

    def run(self, change: Change, seconds: float = 10.0, most: int = 200) -> Change:
        """Let time pass and edges be taken until the change has ended or waits for a person."""
        for _ in range(most):
            self.engine.step()
            found = self.get(change)
            if found.due_us is None:
                return found
            self.clock.advance(seconds)
        return self.get(change)

    def until(self, change: Change, state: State, most: int = 100) -> Change:
        """Run until the change comes to a state."""
        for _ in range(most):
            found = self.get(change)
            if found.state is state:
                return found
            self.engine.step(1)
            if self.get(change).state is not state:
                self.clock.advance(5)
        raise AssertionError(f"it never came to {state}, and is {self.get(change)}")

    def get(self, change: Change) -> Change:
        return self.changes.get("default", change.id)

    def path(self, change: Change) -> list[str]:
        states = [str(edge.target) for edge in self.changes.edges("default", change.id)]
        return [state for n, state in enumerate(states) if n == 0 or state != states[n - 1]]


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the schema, to be copied: quicker than a migration a test."""
    path = tmp_path_factory.mktemp("template") / "meliora.db"
    engine = connect(f"sqlite:///{path}")
    upgrade(engine)
    engine.dispose()
    return path


@pytest.fixture
def bench(template: Path, tmp_path: Path) -> Iterator[Bench]:
    clock = FrozenClock()
    path = tmp_path / "meliora.db"
    path.write_bytes(template.read_bytes())
    with Store(connect(f"sqlite:///{path}"), clock_us=clock.now_us) as store:
        audit = Audit(store.engine, store.secret, clock.now_us)
        yield Bench(Changes(store.engine, clock.now_us, random.Random(3).randbytes, audit), clock, audit)
