"""A deployment whose loop lives through whole cycles: real store, gates, policies, judge, audit and API; a scripted plane and told arms."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from meliora.loop.arms import Stretch
from meliora.loop.change import Change
from meliora.loop.cycle import Cycle
from meliora.loop.engine import Engine
from meliora.loop.front import Loop
from meliora.loop.gates.board import GateReading
from meliora.loop.gates.standing import Standing
from meliora.loop.judge import ArmJudge
from meliora.loop.metrics import Metric
from meliora.runtime.loop import loop_of
from meliora.server import build_app
from meliora.settings import Settings
from meliora.settings.loop import Loop as LoopSettings
from meliora.testing.loop import ScriptedKind
from tests.loop.test_judge import ToldArms, arm, stretch
from tests.server.house import House, control_house

WINS = stretch(arm(2000, 0.8), arm(2000, 0.65, seed=2))
"""What the arms show of a candidate that is better and harms nothing."""
HARMS = stretch(arm(1500, errors=0.3), arm(1500, errors=0.02, seed=2))
EVEN = stretch(arm(300), arm(300, seed=2))


class Arms(ToldArms):
    """Arms of trials and of watches, as a test tells them."""

    def __init__(self) -> None:
        super().__init__([WINS])
        self.watched = WINS

    def stretches(
        self, tenant: str, change: str, phase: str, metrics: Sequence[Metric], now_us: int
    ) -> Sequence[Stretch]:
        return self.told if phase == "trial" else [self.watched]


@dataclass
class Life:
    """What a test works with."""

    house: House
    loop: Loop
    folder: Path
    kind: ScriptedKind = field(default_factory=lambda: ScriptedKind(name="routing_policy"))
    arms: Arms = field(default_factory=Arms)

    def __post_init__(self) -> None:
        self.admin: TestClient = self.house.client(self.house.key())
        self.kind.serves["routing_policy"] = "v1"
        kinds = {"routing_policy": self.kind}
        judge = ArmJudge(self.arms, self.house.clock.now_us, self.house.store.changes.earlier_trials)
        inside = replace(self.loop.engine._house, kinds=kinds, judge=judge)
        pulse = replace(self.loop.pulse, kinds=kinds)
        self.loop = replace(self.loop, engine=Engine(inside), pulse=pulse, desk=replace(self.loop.desk, pulse=pulse))
        self.house.context = replace(self.house.context, loop=self.loop)
        self.house.app = build_app(self.house.context)
        self.admin = self.house.client(self.house.key())

    def fail(self, gate: str = "errors", value: float = 0.2) -> None:
        """Let a gate fail, as ticks would."""
        row = next(row for row in self.loop.board.status("default") if row.name == gate)
        now = self.house.clock.now_us()
        after = Standing(state="fail", evaluated_us=now, failing=True, since_us=now)
        seen = GateReading(gate=gate, at_us=now, state="fail", value=value, n=500)
        assert self.house.store.gates.record("default", row.definition, row.standing, after, seen)

    def tick(self) -> Cycle | None:
        """Let the loop look once; give the cycle that it opened."""
        opened = self.loop.pulse.tick()
        return opened[0] if opened else None

    def breach(self, gate: str = "errors", value: float = 0.2) -> Cycle:
        """Let a gate fail, and the loop look."""
        self.fail(gate, value)
        cycle = self.tick()
        assert cycle is not None, "a breach opens a cycle"
        return cycle

    def run(self, seconds: float = 60.0, most: int = 400) -> Change:
        """Let time pass, and a worker do its tasks, until the last change ended or waits for a person."""
        for _ in range(most):
            self.loop.engine.step()
            self.loop.pulse.follow()
            change = self.last()
            if change.due_us is None or "waits for an approval" in (change.reason or ""):
                break
            self.house.clock.advance(seconds)
        self.loop.archive.step()
        self.loop.alerts.look()
        return self.last()

    def last(self) -> Change:
        """Give the newest change."""
        return self.house.store.changes.list("default", limit=1).items[0]

    def path(self, change: Change) -> list[str]:
        """Give the states that a change came through."""
        states = [str(edge.target) for edge in self.house.store.changes.edges("default", change.id)]
        return [state for n, state in enumerate(states) if n == 0 or state != states[n - 1]]

    def artifact(self, cycle: str, name: str) -> Any:
        """Read a JSON artifact of a cycle."""
        return json.loads((self.folder / "artifacts" / cycle / name).read_text())

    def get(self, path: str) -> Any:
        """Ask the API."""
        answer = self.admin.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()


@contextmanager
def living(folder: Path, environment: str = "production", **loop: Any) -> Iterator[Life]:
    """Give a deployment in an environment."""
    settings = Settings(loop=LoopSettings(environment=environment, **loop))  # type: ignore[arg-type]
    with control_house(folder, settings) as house:
        house.key()
        yield Life(house, loop_of(house.context.settings, house.store, house.clock, "worker"), folder)
