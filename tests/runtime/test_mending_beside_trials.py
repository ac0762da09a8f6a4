"""An index is mended while searches are on trial: real store, index, arms and kinds, on a moved clock."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from benchmarks.search.loop import plant
from benchmarks.search.made import synthetic
from benchmarks.search.shifts import Query
from benchmarks.search.town import NAME, TENANT, Town, founded, opened
from meliora.knowledge.config import Fusion, SearchConfig
from meliora.knowledge.serving import Arm, Who
from meliora.loop.change import Change, Origin
from meliora.loop.states import State

PEOPLE = [Who(tenant=TENANT, key="key_1", user=f"u{at}") for at in range(200)]


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    yield from made(tmp_path, judged=40)


@pytest.fixture
def unjudged(tmp_path: Path) -> Iterator[Town]:
    yield from made(tmp_path, judged=1)


def made(folder: Path, *, judged: int) -> Iterator[Town]:
    """Give a deployment of which so many queries are judged."""
    whole = synthetic(6)
    founded(whole, folder, sorted(whole.queries)[:judged])
    queries = [Query(one, whole.queries[one], whole.grades[one]) for one in sorted(whole.queries)]
    with opened(folder, queries, random.Random(6), a_day=0, people=1) as town:
        yield town


def on_trial(town: Town) -> Change:
    """Let other weights be tried on live searches, as a nightly look at them brought it up."""
    origin = Origin("schedule", "searches")
    kinds = ("fusion_weights", "reindex")
    cycle = town.store.cycles.open(TENANT, environment="production", origin=origin, subject="searches", kinds=kinds)
    assert cycle is not None
    kept = town.store.knowledge_snapshots.add(TENANT, NAME, SearchConfig(fusion=Fusion(words=1.1)), "test")
    change = town.store.changes.add(
        TENANT,
        kind="fusion_weights",
        target=f"search:{NAME}",
        surface="search",
        environment="production",
        origin=origin,
        state=State.PROVED,
        payload={"collection": NAME, "snapshot": kept.number, "instead_of": 0},
        baseline="search-0",
        candidate=f"search-{kept.number}",
        cycle=cycle.id,
    )
    town.work()
    assert stands(town, change) is State.TRYING
    return change


def lose(town: Town) -> int:
    """Let the index lose documents; give how many of them."""
    plant(town, "index", list(town.queries), random.Random(6), 6)
    return town.plane.indexes.audit(TENANT, NAME).faults


def stands(town: Town, change: Change) -> State:
    return town.store.changes.get(TENANT, change.id).state


def arms(town: Town) -> Sequence[Arm | None]:
    town.clock.advance(1)
    view = town.plane.indexes.view(TENANT, NAME)
    return [town.plane.searches.serving.of(one, NAME, view).arm for one in PEOPLE]


def worked(town: Town, hours: float, minutes: float = 5.0) -> None:
    """Let the worker work on."""
    for _ in range(round(hours * 60 / minutes)):
        town.clock.advance(minutes * 60)
        town.work()


def test_an_index_is_mended_while_a_trial_runs_whose_arms_stay_who_they_are(town: Town) -> None:
    assert lose(town) > 0
    trial = on_trial(town)
    before, live = arms(town), town.store.trials.live(TENANT)
    assert {one.name for one in before if one is not None} == {"candidate", "baseline"}
    cycle = town.loop.pulse.trigger(TENANT, Origin("gate", "vector_store"), force=True, kinds=("reindex",))
    assert cycle is not None
    worked(town, 1)
    (found,) = town.store.changes.of_cycle(TENANT, cycle.id)
    assert (found.state, found.target) == (State.KEPT, f"index:{NAME}"), found.reason
    assert town.plane.indexes.audit(TENANT, NAME).faults == 0
    assert stands(town, trial) is State.TRYING
    assert (arms(town), town.store.trials.live(TENANT)) == (before, live)
    assert town.store.findings.get(TENANT, str(found.finding)).collection == NAME, "searches were looked into"


def test_of_two_new_indexes_of_one_collection_the_second_finds_another_in_service_and_is_rejected(town: Town) -> None:
    lose(town)
    asked = [
        town.loop.pulse.trigger(TENANT, Origin("gate", "vector_store"), force=True, kinds=("reindex",)),
        town.store.cycles.open(
            TENANT, environment="production", origin=Origin("gate", "r"), subject="r", kinds=("reindex",)
        ),
    ]
    town.loop.pulse.follow()
    worked(town, 3)
    cycles = [one.id for one in asked if one is not None]
    changes = [one for cycle in cycles for one in town.store.changes.of_cycle(TENANT, cycle)]
    assert sorted(one.state for one in changes) == [State.KEPT, State.REJECTED]
    (second,) = [one for one in changes if one.state is State.REJECTED]
    assert "serves by now" in (second.reason or "")
    assert town.plane.indexes.audit(TENANT, NAME).faults == 0


def test_each_night_the_index_is_looked_at_also_while_what_an_earlier_night_brought_up_is_on_trial(
    unjudged: Town,
) -> None:
    """With hardly a judgment and no feedback no gate tells of it."""
    town = unjudged
    trial = on_trial(town)
    assert lose(town) > 0
    worked(town, 26, minutes=20)
    assert town.plane.indexes.audit(TENANT, NAME).faults == 0
    assert stands(town, trial) is State.TRYING
    mended = [one for one in town.changes() if one.kind == "reindex"]
    assert [(one.state, one.origin) for one in mended] == [(State.KEPT, Origin("schedule", "index"))]
