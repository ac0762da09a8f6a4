"""The benchmark of kills sees what is broken: each thing that must hold is broken by hand, and found."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from benchmarks.loop.killing import Board, Place, prepare
from benchmarks.loop.lawful import violations
from benchmarks.loop.lives import Life
from benchmarks.loop.plane import FIRST, Plane
from meliora.errors import Conflict
from meliora.loop.change import Change, Origin
from meliora.loop.engine import Engine
from meliora.loop.states import State
from meliora.store.engine import connect, writing
from meliora.store.store import Store
from meliora.store.tables import audit_head, change_edges, change_holds, changes, routing_snapshots, trials
from meliora.testing import FrozenClock


@dataclass
class Lived:
    """A store in which changes of both kinds ended, and one is tried."""

    store: Store
    plane: Plane
    kept: Change
    undone: Change
    tried: Change

    def break_it(self, statement: Any) -> list[str]:
        with writing(self.store.engine) as connection:
            connection.execute(statement)
        return self.faults()

    def faults(self) -> list[str]:
        return violations(self.store, self.plane, ended=False)


def _run(store: Store, plane: Plane, clock: FrozenClock) -> Lived:
    life = Life(store, plane, "worker", random.Random(2))
    engine = Engine(life.house)

    def ended(state: State) -> Change:
        """Begin changes until one comes to a state, and let all others end."""
        for _ in range(60):
            change = store.changes.add(
                "a",
                kind="outside",
                target="outside",
                surface="outside",
                environment="production",
                origin=Origin("gate", "g"),
            )
            for _ in range(200):
                engine.step()
                clock.advance(0.1)
                change = store.changes.get("a", change.id)
                if change.state is state:
                    return change
                if change.due_us is None:
                    break
            life.people(begin=False)
        raise AssertionError(f"none came to {state}")

    kept, undone = ended(State.KEPT), ended(State.ROLLED_BACK)
    return Lived(store, plane, kept, undone, ended(State.TRYING))


@pytest.fixture
def lived(tmp_path: Path) -> Iterator[Lived]:
    place = Place(f"sqlite:///{tmp_path}/meliora.db", tmp_path)
    prepare(place, Board(1))
    clock = FrozenClock()
    with Store(connect(place.url), clock_us=clock.now_us, state_dir=tmp_path) as store:
        yield _run(store, Plane(tmp_path / "plane"), clock)


def test_what_lived_lawfully_has_no_faults_until_it_is_to_have_ended(lived: Lived) -> None:
    assert lived.faults() == []
    assert any("never ended" in fault for fault in violations(lived.store, lived.plane, ended=True))


def test_everything_that_is_broken_is_found(lived: Lived) -> None:
    def found(words: str, statement: Any) -> None:
        faults = lived.break_it(statement)
        assert any(words in fault for fault in faults), (words, faults)

    own, tried = changes.c.id == lived.kept.id, lived.tried.id
    found("its edges lead to kept", sa.update(changes).where(own).values(state="watching"))
    found(
        "audit entries of",
        sa.delete(change_edges).where(change_edges.c.change == lived.undone.id, change_edges.c.seq == 2),
    )
    found("edge 3 stands where 2", sa.update(changes).where(own).values(state="kept"))
    found("does not", sa.delete(change_holds).where(change_holds.c.change == tried))
    found("is live, and it is rejected", sa.update(changes).where(changes.c.id == tried).values(state="rejected"))
    lived.break_it(sa.update(changes).where(changes.c.id == tried).values(state="trying"))
    found("tried without an arm", sa.update(trials).where(trials.c.change == tried).values(live=False))
    found("no snapshot serves", sa.update(routing_snapshots).values(state="retired"))
    found("the chain is not whole", sa.update(audit_head).values(hash="0" * 64))


def test_effects_that_do_not_fit_the_edges_are_found(lived: Lived) -> None:
    loose = Plane(lived.plane._folder, fenced=False)
    kept = lived.kept
    loose.exchange(
        kept.target, "deliver", kept.id, 99, f"{kept.id}/delivering", kept.baseline or "", kept.candidate or ""
    )
    assert any("2 effects under" in fault for fault in lived.faults())
    loose.exchange(
        kept.target, "undo", kept.id, 100, f"{kept.id}/rolling_back", kept.candidate or "", kept.baseline or ""
    )
    faults = lived.faults()
    assert any("undo without its edge" in fault for fault in faults)
    assert any("its effects are ['deliver', 'deliver', 'undo']" in fault for fault in faults)


def test_a_plane_has_each_effect_once_and_hears_no_old_attempt(tmp_path: Path) -> None:
    plane = Plane(tmp_path)
    for _ in range(2):
        assert plane.exchange("t", "deliver", "c1", 3, "c1/delivering", FIRST, "v1") == "v1"
    assert plane.exchange("t", "undo", "c1", 5, "c1/rolling_back", "v1", FIRST) == FIRST
    with pytest.raises(Conflict, match="after attempt 5"):
        plane.exchange("t", "deliver", "c1", 3, "c1/delivering", FIRST, "v1")
    with pytest.raises(Conflict, match="neither"):
        plane.exchange("t", "deliver", "c2", 1, "c2/delivering", "v1", "v2")
    assert [line.what for line in plane.history("t") if line.effect] == ["deliver", "undo"]
    with (tmp_path / "t.jsonl").open("ab") as file:
        file.write(b'{"what":"deliver"')  # whoever wrote it was killed
    assert plane.serving("t") == FIRST
    assert plane.exchange("t", "deliver", "c3", 1, "c3/delivering", FIRST, "v3") == "v3"
    assert plane.serving("t") == "v3"
