"""Governance as the settings say it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from meliora.loop.caps import Counts
from meliora.loop.change import Change, Origin
from meliora.loop.policy.request import Actor
from meliora.loop.states import State
from meliora.runtime.governance import governance, replays
from meliora.settings.loop import Loop
from meliora.settings.models import Server, Settings
from meliora.store import Store
from meliora.testing.clock import FrozenClock
from meliora.testing.store import temporary_store

CHANGE = Change(
    id="chg_1",
    tenant="default",
    kind="routing",
    target="routing",
    surface="gateway",
    environment="production",
    origin=Origin(kind="gate", name="error_rate"),
    state=State.TRYING,
)
WON = {"proved": True, "trial_won": True, "rehearsed": True}


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def store(clock: FrozenClock):
    with temporary_store(clock) as opened:
        yield opened


def made(store: Store, clock: FrozenClock, tmp_path: Path, counts: Counts | None = None, **loop: object):
    settings = Settings(server=Server(state_dir=tmp_path), loop=Loop(**{"environment": "production", **loop}))
    return governance(settings, store, clock.now_us, lambda change: counts or Counts(now_us=clock.now_us()))


def test_the_environment_decides(store, clock, tmp_path) -> None:
    assert made(store, clock, tmp_path).governed.ask("deliver", CHANGE, WON).allowed
    for loop in ({"environment": "staging"}, {"approval": {"auto_promote": False}}, {"protected": ["routing"]}):
        assert made(store, clock, tmp_path, **loop).governed.ask("deliver", CHANGE, WON).needs_approval, loop
    assert not made(store, clock, tmp_path, environment="dev").governed.ask("deliver", CHANGE, WON).allowed


def test_the_caps_are_those_of_the_settings(store, clock, tmp_path) -> None:
    used = Counts(now_us=clock.now_us(), changes=3, cycles=2, spent_micros=1_500_000)
    for action, loop in (
        ("deliver", {"max_changes_per_day": 3}),
        ("trigger", {"max_cycles_per_day": 2}),
        ("prove", {"budget_usd": 1.5}),
    ):
        assert made(store, clock, tmp_path, used).governed.ask(action, CHANGE, WON).allowed
        capped = made(store, clock, tmp_path, used, **loop).governed.ask(action, CHANGE, WON)
        assert not capped.allowed and capped.until_seconds is not None


def test_the_policies_that_decided_are_kept_for_the_replay(store, clock, tmp_path) -> None:
    made(store, clock, tmp_path, environment="staging").governed.ask("deliver", CHANGE, WON)
    (done,) = replays(store).replay(store.audit.of("default", "chg_1"))
    assert done.result == "same" and done.recorded["policies"] == ["staging-waits-for-a-person"]


def test_people_stop_and_kill(store, clock, tmp_path) -> None:
    office = made(store, clock, tmp_path)
    ann = Actor(kind="person", key="key_ann", scopes=("admin",))
    assert office.controls.kill(ann, office.facts, "harm") == 1 and office.switch.look()
    assert office.controls.resume(ann, office.facts, "over") == 2 and not office.governed.halted()
