"""Who holds which surface, with two workers on one store: what mends waits for no trial, and nothing else is let in beside one."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from meliora.errors import Conflict
from meliora.loop.acts import Acts
from meliora.loop.change import Change, Origin
from meliora.loop.engine import Engine
from meliora.loop.house import House, Rules, TrialVerdict, WatchVerdict
from meliora.loop.states import State
from meliora.store import Store
from meliora.store.loop.changes import Changes
from meliora.testing.loop import MemoryTrials, OpenGovernance, ScriptedJudge, ScriptedKind

UNDECIDED = TrialVerdict(outcome="undecided", sentence="too early", candidate_units=60, baseline_units=60)
BETTER = TrialVerdict(outcome="better", sentence="it wins", candidate_units=90, baseline_units=90, stage_units=90)
PASS = WatchVerdict(outcome="pass", sentence="as before", calls=100)
THIN = WatchVerdict(outcome="pass", sentence="as before", calls=1)
STEP_SECONDS = 30


@dataclass
class Loops:
    """Two workers, a kind that is tried on searches and one that mends their index; each has a plane of its own."""

    changes: Changes
    wait: Callable[[float], None]
    tried: ScriptedKind = field(default_factory=lambda: ScriptedKind("reranker", "search"))
    mends: ScriptedKind = field(default_factory=lambda: ScriptedKind("reindex", "index", tried=False, watched=False))
    judge: ScriptedJudge = field(default_factory=lambda: ScriptedJudge([UNDECIDED], [THIN]))
    governance: OpenGovernance = field(default_factory=OpenGovernance)
    trials: MemoryTrials = field(default_factory=MemoryTrials)

    def __post_init__(self) -> None:
        self.workers = [self._worker("w1"), self._worker("w2")]
        self.acts = Acts(self.changes, self.trials)

    def begin(self, kind: ScriptedKind, collection: str = "c") -> Change:
        target = f"{kind.surface}:{collection}"
        kind.serves.setdefault(target, "v1")
        return self.changes.add(
            "default",
            kind=kind.name,
            target=target,
            surface=kind.surface,
            environment="production",
            origin=Origin("gate", "search_success"),
        )

    def run(self, steps: int = 12) -> None:
        for _ in range(steps):
            for worker in self.workers:
                worker.step(3)
            self.wait(STEP_SECONDS)

    def until(self, change: Change, state: State) -> Change:
        for _ in range(40):
            found = self.get(change)
            if found.state is state:
                return found
            self.run(1)
        raise AssertionError(f"it never came to {state}, and is {self.get(change)}")

    def get(self, change: Change) -> Change:
        return self.changes.get("default", change.id)

    def roll_back(self, change: Change) -> Change:
        return self.acts.roll_back("default", change.id, actor="key_1", why="no")

    def _worker(self, owner: str) -> Engine:
        return Engine(
            House(
                shelf=self.changes,
                kinds={self.tried.name: self.tried, self.mends.name: self.mends},
                governance=self.governance,
                judge=self.judge,
                trials=self.trials,
                finding=lambda tenant, finding: {"id": finding},
                diagnose=lambda change: ("fnd_1", {"sentence": "why"}),
                tell=lambda happened: None,
                owner=owner,
                rules=Rules(look_seconds=10, wait_seconds=10),
            )
        )


@pytest.fixture
def loops(store: Store, clock: Any) -> Loops:
    # Time is moved by hand, on PostgreSQL too.
    changes = Changes(store.engine, clock, random.Random(3).randbytes, store.audit, database_clock=False)

    def wait(seconds: float) -> None:
        clock.now += round(seconds * 1e6)

    return Loops(changes, wait)


def test_what_mends_the_index_is_delivered_while_searches_are_tried(loops: Loops) -> None:
    trial = loops.begin(loops.tried)
    before = loops.until(trial, State.TRYING)
    mending = loops.begin(loops.mends)
    assert loops.until(mending, State.KEPT).reason is None
    after = loops.get(trial)
    assert (after.state, after.progress["stage"]) == (State.TRYING, before.progress["stage"])
    assert list(loops.trials.live) == [trial.id]
    assert loops.changes.holder("default", "search") == trial.id
    loops.judge.trials, loops.judge.watches = [BETTER], [PASS]
    assert loops.until(trial, State.KEPT).candidate == loops.tried.serves["search:c"]


def test_what_mends_the_index_is_delivered_while_searches_are_watched_and_may_still_be_rolled_back(
    loops: Loops,
) -> None:
    loops.judge.trials = [BETTER]
    watched = loops.begin(loops.tried)
    loops.until(watched, State.WATCHING)
    loops.until(loops.begin(loops.mends), State.KEPT)
    assert loops.get(watched).state is State.WATCHING
    loops.roll_back(watched)
    assert loops.until(watched, State.ROLLED_BACK).baseline == loops.tried.serves["search:c"]
    assert loops.mends.serves["index:c"] == "v1+", "what was mended stays so"


def test_a_paused_trial_and_a_rollback_that_failed_hold_up_no_repair_of_the_index(loops: Loops) -> None:
    trial = loops.begin(loops.tried)
    loops.until(trial, State.TRYING)
    loops.acts.pause("default", trial.id, actor="key_1", why="let me look")
    loops.until(loops.begin(loops.mends, "one"), State.KEPT)
    loops.acts.reject("default", trial.id, actor="key_1", why="no")
    loops.until(trial, State.REJECTED)
    loops.judge.trials, loops.tried.undo_does_nothing = [BETTER], True
    stuck = loops.begin(loops.tried, "two")
    loops.until(stuck, State.WATCHING)
    loops.roll_back(stuck)
    loops.until(stuck, State.ROLLBACK_FAILED)
    loops.until(loops.begin(loops.mends, "two"), State.KEPT)


def test_of_two_repairs_at_once_each_waits_for_the_other_to_be_whole(loops: Loops) -> None:
    loops.mends.waits = {"deliver": 6}
    first, second = loops.begin(loops.mends, "one"), loops.begin(loops.mends, "two")
    loops.run(6)
    found = {loops.get(one).state for one in (first, second)}
    assert found == {State.DELIVERING, State.PROVED}
    loops.until(first, State.KEPT)
    loops.until(second, State.KEPT)


def test_a_repair_still_waits_for_a_person_and_for_the_kill_switch(loops: Loops) -> None:
    trial = loops.begin(loops.tried)
    loops.until(trial, State.TRYING)
    loops.governance.people = {"deliver"}
    mending = loops.begin(loops.mends)
    loops.run()
    waiting = loops.get(mending)
    assert waiting.state is State.PROVED and "waits for an approval" in (waiting.reason or "")
    loops.governance.approvals[mending.id, "deliver"] = "approved"
    loops.governance.is_halted = True
    loops.run()
    assert loops.get(mending).state is State.PROVED
    loops.governance.is_halted = False
    loops.until(mending, State.KEPT)


def test_a_repair_that_came_after_does_not_keep_a_snapshot_from_being_rolled_back_nor_it_the_repair(
    loops: Loops,
) -> None:
    loops.judge.trials, loops.judge.watches = [BETTER], [PASS]
    first_mended = loops.begin(loops.mends)
    loops.until(first_mended, State.KEPT)
    first = loops.begin(loops.tried)
    loops.until(first, State.KEPT)
    last_mended = loops.begin(loops.mends)
    loops.until(last_mended, State.KEPT)
    with pytest.raises(Conflict, match=f"{last_mended.id} was delivered to index:c after"):
        loops.roll_back(first_mended)
    loops.roll_back(first)
    loops.until(first, State.ROLLED_BACK)
    loops.roll_back(last_mended)
    loops.until(last_mended, State.ROLLED_BACK)
    assert (loops.tried.serves["search:c"], loops.mends.serves["index:c"]) == ("v1", "v1+")
