"""The pulse: what opens a cycle, what does not, and how a cycle goes from one kind to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import sqlalchemy as sa

from meliora.errors import Conflict, InvalidRequest
from meliora.loop.change import Change, Origin
from meliora.loop.cycle import Cycle
from meliora.loop.policy.decide import Decision
from meliora.loop.pulse import Pulse
from meliora.loop.states import State
from meliora.store.loop.cycles import Cycles
from tests.loop.conftest import FAIL, WORSE, Bench


@dataclass
class Broken:
    """A gate that fails."""

    gate: str

    def plain(self) -> dict[str, Any]:
        return {"gate": self.gate, "value": 0.2}


@dataclass
class React:
    name: str
    kinds: tuple[str, ...]


@dataclass
class Told:
    """Signals by script."""

    ticks: list[list[Broken]] = field(default_factory=list)
    reactions: dict[str, React] = field(default_factory=dict)
    due: list[React] = field(default_factory=list)
    now_failing: list[Broken] = field(default_factory=list)

    def tick(self, tenant: str) -> Sequence[Broken]:
        return self.ticks.pop(0) if self.ticks else []

    def reaction(self, tenant: str, gate: str) -> React | None:
        return self.reactions.get(gate)

    def scheduled(self, tenant: str) -> Sequence[React]:
        due, self.due = self.due, []
        return due

    def failing(self, tenant: str) -> Sequence[Broken]:
        return self.now_failing


@dataclass
class Heart:
    """A pulse over the bench's changes."""

    bench: Bench
    engine: sa.Engine
    signals: Told = field(default_factory=Told)
    decision: Decision = field(default_factory=lambda: Decision(allowed=True))
    closed: list[tuple[Cycle, Sequence[Change]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.cycles = Cycles(self.engine, self.bench.clock.now_us)
        self.pulse = self.beat()

    def beat(self) -> Pulse:
        return Pulse(
            self.signals,
            self.cycles,
            self.bench.changes,
            {"scripted": self.bench.kind, "other": self.bench.kind},
            lambda tenant, subject: self.decision,
            lambda: ("default",),
            "production",
            lambda cycle, changes: self.closed.append((cycle, changes)),
        )

    def run(self, rounds: int = 60) -> None:
        for _ in range(rounds):
            self.pulse.tick()
            self.bench.engine.step()
            self.bench.clock.advance(10)

    def of(self, cycle: Cycle) -> Sequence[Change]:
        return self.bench.changes.of_cycle("default", cycle.id)


@pytest.fixture
def heart(bench: Bench) -> Heart:
    made = Heart(bench, bench.changes._engine)
    made.signals.reactions["error_rate"] = React("errors", ("scripted", "scripted"))
    return made


def test_a_tick_that_finds_nothing_opens_no_cycle(heart: Heart) -> None:
    assert heart.pulse.tick() == ()
    assert heart.cycles.list("default").items == ()


def test_a_breach_opens_one_cycle_that_ends_improved(heart: Heart) -> None:
    heart.bench.kind.serves["scripted"] = "v1"
    heart.signals.ticks = [[Broken("error_rate")], [Broken("error_rate")]]
    [cycle] = heart.pulse.tick()
    assert cycle.id == "si_2025_01_01_001"
    heart.run()
    ended = heart.cycles.get("default", cycle.id)
    assert (ended.outcome, ended.breach) == ("improved", {"gate": "error_rate", "value": 0.2})
    assert len(heart.cycles.list("default").items) == 1
    assert [(one.id, len(changes)) for one, changes in heart.closed] == [(cycle.id, 1)]


def test_a_gate_that_still_fails_opens_nothing_new_while_its_cycle_is_open(heart: Heart) -> None:
    heart.signals.ticks = [[Broken("error_rate")], [Broken("error_rate")]]
    assert len(heart.pulse.tick()) == 1
    assert heart.pulse.tick() == ()


def test_the_next_kind_is_tried_when_one_is_rejected(heart: Heart) -> None:
    heart.bench.judge.trials = [WORSE]
    heart.signals.ticks = [[Broken("error_rate")]]
    [cycle] = heart.pulse.tick()
    heart.run()
    assert [change.state for change in heart.of(cycle)] == [State.REJECTED, State.REJECTED]
    assert heart.cycles.get("default", cycle.id).outcome == "unchanged"


def test_a_rollback_ends_the_cycle(heart: Heart) -> None:
    heart.bench.judge.watches = [FAIL]
    heart.signals.ticks = [[Broken("error_rate")]]
    [cycle] = heart.pulse.tick()
    heart.run()
    assert heart.cycles.get("default", cycle.id).outcome == "rolled_back"


def test_two_workers_never_make_the_same_change_twice(heart: Heart) -> None:
    heart.signals.ticks = [[Broken("error_rate")]]
    [cycle] = heart.pulse.tick()
    with pytest.raises(Conflict):
        heart.bench.changes.add(
            "default",
            kind="scripted",
            target="scripted",
            surface="scripted",
            environment="production",
            origin=Origin("gate", "error_rate"),
            cycle=cycle.id,
            nth=0,
        )
    assert len(heart.of(cycle)) == 1


def test_caps_and_the_kill_switch_open_nothing(heart: Heart) -> None:
    heart.decision = Decision(allowed=False, reason="6 cycles were opened today")
    heart.signals.ticks = [[Broken("error_rate")]]
    assert heart.pulse.tick() == ()
    with pytest.raises(Conflict, match="6 cycles were opened today"):
        heart.pulse.trigger("default", Origin("person", "key_1"), force=True)


def test_a_schedule_opens_a_cycle(heart: Heart) -> None:
    heart.signals.due = [React("weekly", ("scripted",))]
    [cycle] = heart.pulse.tick()
    assert cycle.origin == Origin("schedule", "weekly")


def test_a_person_triggers_on_what_fails_and_only_by_force_otherwise(heart: Heart) -> None:
    person = Origin("person", "key_1")
    assert heart.pulse.trigger("default", person, force=False) is None
    heart.signals.now_failing = [Broken("error_rate")]
    cycle = heart.pulse.trigger("default", person, force=False)
    assert cycle is not None and cycle.subject == "error_rate"
    with pytest.raises(Conflict, match="open already"):
        heart.pulse.trigger("default", person, force=False)
    heart.signals.now_failing = []
    forced = heart.pulse.trigger("default", person, force=True, kinds=("other",))
    assert forced is not None and forced.kinds == ("other",)


def test_a_kind_that_is_not_known_is_refused(heart: Heart) -> None:
    with pytest.raises(InvalidRequest, match="no kind of change 'magic'"):
        heart.pulse.trigger("default", Origin("person", "key_1"), force=True, kinds=("magic",))


def test_cycles_are_numbered_by_the_day(heart: Heart) -> None:
    heart.signals.reactions["latency"] = React("latency", ("scripted",))
    heart.signals.ticks = [[Broken("error_rate"), Broken("latency")]]
    assert [cycle.id[-3:] for cycle in heart.pulse.tick()] == ["001", "002"]
    heart.bench.clock.advance(86_400)
    heart.signals.due = [React("weekly", ("scripted",))]
    assert [cycle.id for cycle in heart.pulse.tick()] == ["si_2025_01_02_001"]
