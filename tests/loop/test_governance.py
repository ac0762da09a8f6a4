"""What the engine hears when it asks whether an edge may be taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from meliora.errors import InvalidRequest
from meliora.loop.approvals import Approvers
from meliora.loop.audit.replay import Replays
from meliora.loop.caps import Counts
from meliora.loop.change import Change, Origin
from meliora.loop.control import KillFile, Switch
from meliora.loop.governance import Governed, Offices, Settled
from meliora.loop.policy.bundle import own
from meliora.loop.policy.decide import DECISION, Policies
from meliora.loop.policy.request import Actor, Facts, Request, Target
from meliora.loop.policy.simulate import again
from meliora.loop.states import State
from meliora.store import Store
from meliora.testing.clock import FrozenClock
from meliora.testing.store import temporary_store

WON = {"proved": True, "trial_won": True, "rehearsed": True}


@pytest.fixture(scope="module")
def policies() -> Policies:
    return Policies(own())


class World:
    """A store, and governance over it."""

    def __init__(self, store: Store, policies: Policies, clock: FrozenClock, folder: Path) -> None:
        self.store = store
        self.policies = policies
        self.clock = clock
        self.file = KillFile(folder)
        self.used: dict[str, int] = {}

    def governed(self, environment="production", **settled) -> Governed:
        offices = Offices(
            policies=self.policies,
            approvals=self.store.approvals,
            switch=Switch(self.store.control, self.file),
            control=self.store.control,
            audit=self.store.audit,
            counts=lambda change: Counts(now_us=self.clock.now_us(), **self.used),
            now_us=self.clock.now_us,
        )
        return Governed(offices, Settled(environment=environment, **settled))

    def entries(self):
        return self.store.audit.of("default", "chg_1")


@pytest.fixture
def world(tmp_path: Path, policies: Policies):
    clock = FrozenClock()
    with temporary_store(clock) as store:
        yield World(store, policies, clock, tmp_path)


def change(kind: str = "agent", name: str = "key_bot") -> Change:
    return Change(
        id="chg_1",
        tenant="default",
        kind="routing",
        target="routing",
        surface="gateway",
        environment="production",
        origin=Origin(kind=kind, name=name),
        state=State.TRYING,
    )


def test_what_has_won_is_delivered_in_production(world) -> None:
    assert world.governed().ask("deliver", change(), WON).allowed
    assert world.entries() == (), "it goes into the audit with the edge"


def test_a_denial_is_told_once_while_it_stays_the_same(world) -> None:
    governed = world.governed()
    for _ in range(3):
        assert not governed.ask("deliver", change(), {"proved": True}).allowed
    governed.ask("deliver", change(), {"proved": True, "rehearsed": True})
    assert [entry.action for entry in world.entries()] == ["change.denied"] * 2
    assert governed.ask("deliver", change(), WON).allowed
    assert not governed.ask("deliver", change(), {"proved": True}).allowed
    assert len(world.entries()) == 3


def test_in_staging_a_person_is_asked_and_then_it_goes_on(world) -> None:
    governed = world.governed("staging")
    decision = governed.ask("deliver", change(), WON)
    assert decision.needs_approval and governed.approval(change(), "deliver") == "none"
    governed.request(change(), "deliver", decision.reason)
    governed.request(change(), "deliver", decision.reason)
    (asked,) = world.store.approvals.list("default")
    assert governed.approval(change(), "deliver") == "asked" and asked.asked_by == "key_bot"
    approvers = Approvers(world.store.approvals, world.policies, world.store.audit)
    actor = Actor(kind="person", key="key_ann", scopes=("admin",))
    target = Target(id="routing", kind="routing")
    approvers.decide(
        asked.id,
        "approved",
        "fine",
        Request(actor=actor, action="approve", target=target, facts=Facts(environment="staging")),
    )
    assert governed.approval(change(), "deliver") == "approved"
    assert governed.ask("deliver", change(), WON).allowed
    assert not governed.ask("deliver", change(), WON | {"rehearsed": False}).allowed


def test_a_cap_says_when_asking_again_may_help_and_restoring_has_none(world) -> None:
    world.used = {"changes": 10, "last_change_us": world.clock.now_us()}
    decision = world.governed().ask("deliver", change(), WON)
    assert decision.policies == ("caps",) and decision.until_seconds is not None and decision.until_seconds > 0
    assert "10 of 10 changes" in decision.reason
    assert world.governed().ask("roll_back", change(), {}).allowed


def test_killed_by_a_file_nothing_goes_on_but_going_back(world) -> None:
    governed = world.governed()
    world.file.write("stop")
    assert governed.halted()
    assert not governed.ask("deliver", change(), WON).allowed
    assert governed.ask("roll_back", change(), {"degraded": True}).allowed


def test_stopped_it_begins_nothing(world) -> None:
    governed = world.governed()
    world.store.control.stop("key_ann")
    assert not governed.running()
    assert not governed.ask("trigger", change(), {}).allowed and governed.ask("deliver", change(), WON).allowed


def test_a_protected_target_and_a_careful_setting_wait_for_a_person(world) -> None:
    assert world.governed(protected=frozenset({"routing"})).ask("try", change(), WON).needs_approval
    assert world.governed(auto_promote=False).ask("deliver", change(), WON).needs_approval


def test_facts_cannot_be_made_up(world) -> None:
    governed = world.governed("staging")
    faked = WON | {"approved": True, "environment": "production", "within_caps": True, "proposer": "x"}
    assert governed.ask("deliver", change(), faked).needs_approval
    with pytest.raises(InvalidRequest, match="'prooved'"):
        governed.ask("deliver", change(), {"prooved": True})


def test_what_was_decided_can_be_replayed_from_the_audit(world) -> None:
    governed = world.governed("staging")
    governed.ask("deliver", change(), WON)
    governed.ask("try", change(), {})
    world.store.policy_bundles.keep(world.policies.sha256, world.policies.bundle.text)
    replays = Replays()
    replays.register(DECISION, again(world.store.policy_bundles.text))
    assert [one.result for one in replays.replay(world.entries())] == ["same", "same"]
