"""The demo's story at a reduced size: every chapter as the record has it. The seed of a run may be told by `MELIORA_DEMO_SEED`."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from examples.demo.drive import TENANT, Deployment
from examples.demo.plot import plotted
from examples.demo.report import Period, periods, table
from examples.demo.story import START_US, Played, Story, settings_in
from meliora.loop.audit.edges import retold
from meliora.loop.change import Change
from meliora.loop.states import State
from meliora.runtime.governance import replays

SEED = int(os.environ.get("MELIORA_DEMO_SEED", "7"))
CALLS_AN_HOUR = 240

Told = tuple[Played, Deployment]


@pytest.mark.timeout(900)
def test_the_story_goes_as_it_is_told_and_the_record_has_every_chapter(tmp_path: Path) -> None:
    """One test, so that it is played once however many processes share the tests."""
    played, here = asyncio.run(Story(settings_in(tmp_path / "state"), SEED, CALLS_AN_HOUR).play())
    with here.store:
        for chapter in CHAPTERS:
            chapter((played, here))


def change(told: Told, chapter: str) -> Change:
    played, here = told
    return here.store.changes.get(TENANT, played.changes[chapter])


def states(told: Told, chapter: str) -> list[State]:
    """Give the states that a change went through."""
    found: list[State] = []
    for edge in told[1].store.changes.edges(TENANT, told[0].changes[chapter]):
        if not found or found[-1] is not edge.target:
            found.append(edge.target)
    return found


def evidence(told: Told, chapter: str, name: str) -> list[dict[str, Any]]:
    edges = told[1].store.changes.edges(TENANT, told[0].changes[chapter])
    return [edge.evidence[name] for edge in edges if name in edge.evidence]


def period(told: Told, name: str) -> Period:
    return next(one for one in periods(told[0]) if one.name == name)


def a_gate_failed_and_the_finding_names_the_model_that_degraded(told: Told) -> None:
    found = change(told, "degraded")
    assert (found.origin.kind, found.origin.name) == ("gate", "satisfaction")
    finding = msgspec.to_builtins(told[1].store.findings.get(TENANT, found.finding or ""))
    assert finding["slices"][0]["attributes"] == {"model": "birch"}
    assert finding["moment"] is not None
    began = (finding["moment"]["since_us"] - START_US) / 3.6e9
    assert abs(began - told[0].marks["birch degrades"]) <= 0.5


def a_replacement_was_proved_tried_delivered_watched_and_kept(told: Told) -> None:
    assert states(told, "degraded")[-6:] == ["proving", "proved", "trying", "delivering", "watching", "kept"]
    assert evidence(told, "degraded", "proof")[-1]["verdict"] == "passed"
    assert evidence(told, "degraded", "trial")[-1]["outcome"] == "better"
    payload = change(told, "degraded").payload
    assert payload["choice"]["model"] == "birch"
    assert payload["choice"]["serve"] in ("alder", "fir")


def quality_and_cost_recovered(told: Told) -> None:
    healthy, fallen, kept = (
        period(told, name) for name in ("healthy", "birch degraded, not yet found", "replaced, and kept")
    )
    assert fallen.high < healthy.low
    assert kept.low > fallen.high
    assert kept.high > healthy.liked, "within what chance explains, it is as good as it was"
    assert kept.usd < 0.8 * fallen.usd


def what_looked_good_on_record_and_hurt_on_trial_was_stopped(told: Told) -> None:
    assert states(told, "bargain")[-4:] == ["proved", "trying", "stopping", "rejected"]
    assert evidence(told, "bargain", "proof")[-1]["verdict"] == "passed"
    assert evidence(told, "bargain", "trial")[-1]["outcome"] == "worse"
    assert "reward is worse" in (change(told, "bargain").reason or "")
    assert change(told, "bargain").origin.kind == "person"


def what_hurt_after_its_promotion_was_rolled_back(told: Told) -> None:
    assert states(told, "turned")[-5:] == ["trying", "delivering", "watching", "rolling_back", "rolled_back"]
    assert evidence(told, "turned", "trial")[-1]["outcome"] == "better"
    assert evidence(told, "turned", "check")[-1]["outcome"] == "fail"
    hurt, after = period(told, "fir promoted, and degraded"), period(told, "after the rollback")
    assert after.low > hurt.high


def what_served_before_serves_again(told: Told) -> None:
    kept = change(told, "degraded")
    choices = [one.state for one in told[1].store.model_choices.list(TENANT) if one.state.model == "birch"]
    assert [one.id for one in choices] == [kept.candidate]


def the_audit_is_whole_and_every_decision_is_come_to_again(told: Told) -> None:
    store = told[1].store
    assert store.audit.verify().whole
    for one in told[0].changes.values():
        entries = store.audit.of(TENANT, one)
        again = retold(store.changes.edges(TENANT, one), entries)
        results = [found.result for found in replays(store).replay((*entries, *again.entries))]
        assert len(results) > 3
        assert set(results) == {"same"}
        assert not again.altered


def the_record_is_browsed_by_the_commands_that_the_demo_names(told: Told) -> None:
    config = told[1].settings.server.state_dir / "meliora.toml"
    for command in (["loop", "history"], ["changes", "show", told[0].changes["turned"]], ["audit", "verify"]):
        words = [str(Path(sys.executable).with_name("meliora")), "--config", str(config), *command]
        shown = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True)
        assert told[0].changes["turned"] in shown.stdout or "whole" in shown.stdout


def the_table_and_the_picture_tell_of_every_change(told: Told) -> None:
    played, here = told
    text, picture = table(played, here.store, TENANT), plotted(played)
    assert all(one in text for one in played.changes.values())
    assert all(mark in picture for mark in ("birch degrades", "kept", "stopped", "rolled back"))
    assert "nan" not in text + picture


CHAPTERS = (
    a_gate_failed_and_the_finding_names_the_model_that_degraded,
    a_replacement_was_proved_tried_delivered_watched_and_kept,
    quality_and_cost_recovered,
    what_looked_good_on_record_and_hurt_on_trial_was_stopped,
    what_hurt_after_its_promotion_was_rolled_back,
    what_served_before_serves_again,
    the_audit_is_whole_and_every_decision_is_come_to_again,
    the_record_is_browsed_by_the_commands_that_the_demo_names,
    the_table_and_the_picture_tell_of_every_change,
)
