"""A shadow all the way: from the store to the gateway, through the spool and the scorers to a verdict, and out of the key's sight."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from meliora.gateway.state import SHADOW_KEY, Overlay, RuleState, TrialState
from meliora.loop.change import Change, Origin
from meliora.loop.judge import ArmJudge, again
from meliora.loop.kind import Guardrail, TrialPlan
from meliora.loop.states import State
from meliora.runtime.trials import ArmsOf
from meliora.settings.models import Server, Settings
from meliora.store.calls.sums import day_of
from meliora.testing import FrozenClock
from meliora.testing.stack import RunningMeliora
from tests.gateway.asking import chat, get, post

PATH = "/v1/chat/completions"
OVERLAY = Overlay(rules=(RuleState("new", "default", "shadow", preferred_model="simulated-large", applies_to="all"),))


@pytest.fixture
def meliora(tmp_path: Path) -> Iterator[RunningMeliora]:
    settings = Settings.model_validate(
        {
            "server": Server(state_dir=tmp_path / "state"),
            "routing": {"scorers": [{"name": "long", "kind": "regex", "pattern": "(?s)."}]},
            "loop": {"trial": {"shadowing": {"share": 1.0, "budget_usd": 5.0, "most": 64}}},
        }
    )
    with RunningMeliora(settings, clock=FrozenClock()) as running:
        yield running


def change(id: str = "chg_1") -> Change:
    return Change(
        id=id,
        tenant="default",
        kind="scripted",
        target="thing",
        surface="gateway",
        environment="production",
        origin=Origin("gate", "error_rate"),
        state=State.TRYING,
    )


def begin(meliora: RunningMeliora) -> None:
    meliora.store.trials.begin("default", TrialState("chg_1", "default", "shadow", "s", 0, 1.0, OVERLAY))
    meliora.clock.advance(1)  # type: ignore[attr-defined]
    meliora.wait(lambda: "default" in meliora.gateway.gateway.snapshot.trials, 10)


def ask(meliora: RunningMeliora, text: str, user: str) -> Any:
    answer = post(meliora.gateway, PATH, chat(text, model="simulated-small"), **{"x-meliora-user": user})
    assert answer.status == 200
    return answer


def test_what_the_candidate_would_have_said_is_paired_scored_and_judged(meliora: RunningMeliora) -> None:
    begin(meliora)
    for number in range(120):
        ask(meliora, f"{'shadow' if number % 2 else 'plain'} {number}", f"u{number}")
        meliora.gateway.shadows(number + 1)
    meliora.settle()
    for task in meliora.worker.tasks:
        if task.name in ("scorers", "shadows"):
            task.step.__self__.wait()  # type: ignore[attr-defined]
    store, later = meliora.store, meliora.clock.now_us() + 600_000_000
    kept = store.shadows.list("default", "chg_1", 500)
    assert (len(kept), sum(one.same for one in kept)) == (120, 60)
    assert {(one.shown_model, one.model) for one in kept} == {
        ("simulated-small", "simulated-large"),
        ("simulated-small", None),
    }
    assert {(one.shown_reward, one.reward) for one in kept if not one.same} == {(1.0, 1.0)}

    judge = ArmJudge(
        ArmsOf(store.arms, store.trials, store.shadow_arms, store.search_arms),
        lambda: later,
        lambda change: (False, True),
    )
    rails = (Guardrail(metric="error_rate", margin=0.2, relative=False), Guardrail(metric="latency_p95", margin=50.0))
    plan = TrialPlan(overlay={}, primary="cost_per_call", guardrails=rails, minimum_units=100, shadow=True)
    found = judge.shadow(change(), plan)
    assert (found.outcome, found.candidate_units) == ("worse", 120), "simulated-large is the dearer by far"
    assert found.sentence.startswith("in the shadow, cost_per_call is worse")
    evidence = msgspec.json.decode(msgspec.json.encode(found.evidence))
    assert again(evidence)[0] == found.outcome, "it can be taken again from the record"
    quality = msgspec.structs.replace(plan, primary="reward", margin=0.02)
    assert judge.shadow(change(), msgspec.structs.replace(quality, live=False)).evidence["discovery"] == {
        "earlier": [False, True],
        "alpha": 0.1,
    }
    assert judge.shadow(change("chg_2"), plan).outcome == "no_data"


def test_nothing_that_people_are_shown_counts_a_shadow(meliora: RunningMeliora) -> None:
    begin(meliora)
    answer = ask(meliora, "shadow 1", "ann")
    [shadow] = meliora.gateway.shadows(1)
    meliora.settle()
    listed = get(meliora.gateway, "/api/v1/calls").json
    assert [one["id"] for one in listed["items"]] == [answer.headers["x-meliora-call"]]
    assert get(meliora.gateway, f"/api/v1/calls/{shadow.id}").status == 404
    key_id = listed["items"][0]["key_id"]
    assert key_id != SHADOW_KEY
    assert shadow.call is not None and shadow.call.cost_micros
    assert meliora.store.shadows.spent_micros(day_of(meliora.clock.now_us())) == shadow.call.cost_micros


def test_the_money_of_the_day_is_leased_from_the_store(meliora: RunningMeliora) -> None:
    begin(meliora)
    ask(meliora, "shadow 1", "ann")
    meliora.gateway.shadows(1)
    ledger = meliora.gateway.gateway.house.admission.ledger
    period = f"day:{day_of(meliora.clock.now_us())}"
    meliora.wait(lambda: (ledger.held(SHADOW_KEY, period) or 0) > 0, 10)


def test_its_end_ends_the_shadows(meliora: RunningMeliora) -> None:
    begin(meliora)
    ask(meliora, "shadow 1", "ann")
    meliora.gateway.shadows(1)
    meliora.store.trials.end("default", "chg_1")
    meliora.clock.advance(1)  # type: ignore[attr-defined]
    meliora.wait(lambda: "default" not in meliora.gateway.gateway.snapshot.trials, 10)
    ask(meliora, "shadow 2", "ann")
    assert len(meliora.gateway.shadows()) == 1
