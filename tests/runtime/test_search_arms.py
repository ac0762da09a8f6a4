"""Which arm of a trial a search is in, and what the kill switch and a store that is away make of that."""

from __future__ import annotations

from typing import Any

import pytest

from meliora.errors import StoreUnavailable
from meliora.gateway.state import Overlay, SearchRef, TrialState
from meliora.knowledge.serving import Who
from meliora.runtime.knowledge.arms import SearchArms
from meliora.store.store import Store
from meliora.testing import FrozenClock

LEASE = 60.0


def begin(store: Store, phase: Any = "trial", share: float = 0.5, snapshot: int = 3) -> None:
    overlay = Overlay(search=SearchRef(collection="docs", snapshot=snapshot))
    state = TrialState("chg_1", "default", phase, "salt", 0, share, overlay, surface="search")
    store.trials.begin("default", state)


def who(user: str = "u", tenant: str = "default") -> Who:
    return Who(tenant=tenant, key="k", user=user)


def test_without_a_trial_a_search_is_in_no_arm(store: Store, clock: FrozenClock) -> None:
    assert SearchArms(store.trials, clock, LEASE)(who(), "docs") is None


def test_people_are_split_and_each_stays_in_their_arm(store: Store, clock: FrozenClock) -> None:
    begin(store)
    arms = SearchArms(store.trials, clock, LEASE)
    found = {f"u{at}": arms(who(f"u{at}"), "docs") for at in range(200)}
    names = [arm.name for arm in found.values() if arm is not None]
    assert 60 < names.count("candidate") < 140 and len(names) == 200
    for user, arm in found.items():
        assert arms(who(user), "docs") == arm
        assert arm is not None and (arm.snapshot == 3) == (arm.name == "candidate")


def test_another_collection_and_another_tenant_are_in_no_arm(store: Store, clock: FrozenClock) -> None:
    begin(store, share=1.0)
    arms = SearchArms(store.trials, clock, LEASE)
    assert arms(who(), "other") is None
    assert arms(who(tenant="other"), "docs") is None
    assert arms(who(), "docs") is not None


@pytest.mark.parametrize(("phase", "snapshot"), [("trial", None), ("watch", 3)])
def test_while_all_is_halted_everybody_has_the_baseline_and_nobody_counts(
    store: Store, clock: FrozenClock, phase: str, snapshot: int | None
) -> None:
    begin(store, phase)
    arms = SearchArms(store.trials, clock, LEASE, halted=lambda: True)
    for at in range(20):
        arm = arms(who(f"u{at}"), "docs")
        assert arm is not None and not arm.counts
        assert (arm.name, arm.snapshot) == ("baseline", snapshot)


def test_a_turn_of_the_kill_switch_is_obeyed_by_the_next_search_once_it_was_told(
    store: Store, clock: FrozenClock
) -> None:
    begin(store, share=1.0)
    arms = SearchArms(store.trials, clock, LEASE)
    trying = arms(who(), "docs")
    assert trying is not None and trying.counts
    arms.obey(True)  # the clock stands still: what was seen is not looked at again by itself
    stopped = arms(who(), "docs")
    assert stopped is not None and (stopped.name, stopped.counts) == ("baseline", False)
    arms.obey(False)
    assert arms(who(), "docs") == trying


def test_a_store_that_is_away_leaves_the_arms_for_a_lease_and_then_the_baseline(
    store: Store, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(store, share=1.0)
    arms = SearchArms(store.trials, clock, LEASE)
    assert arms(who(), "docs") is not None

    def away(tenant: str) -> None:
        raise StoreUnavailable("gone")

    monkeypatch.setattr(store.trials, "live", away)
    clock.advance(30)
    arm = arms(who(), "docs")
    assert arm is not None and arm.counts and arm.name == "candidate"
    clock.advance(31)
    arm = arms(who(), "docs")
    assert arm is not None and not arm.counts and arm.snapshot is None
