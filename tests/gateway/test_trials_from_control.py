"""From the store to the request path and back: a trial, its ramp and its end, the kill switch, the lease, and what the arms have shown."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from meliora.gateway import sync
from meliora.gateway.state import ChoiceState, Overlay, PolicyRef, TrialState
from meliora.loop.metrics import METRICS
from meliora.routing.learned.snapshot import encode
from meliora.runtime.gateway_parts import Parts
from meliora.settings.models import Server, Settings
from meliora.testing import FrozenClock
from meliora.testing.policies import planted
from meliora.testing.stack import RunningMeliora
from tests.gateway.asking import chat, get, post

BEFORE = {"simulated-small": (0.9, 0.0002), "simulated-medium": (0.8, 0.002), "simulated-large": (0.95, 0.02)}
AFTER = BEFORE | {"simulated-small": (0.1, 0.0002)}
PATH = "/v1/chat/completions"


@pytest.fixture
def meliora(tmp_path: Path) -> Iterator[RunningMeliora]:
    settings = Settings.model_validate(
        {
            "server": Server(state_dir=tmp_path / "state"),
            "routing": {"exploration": {"enabled": False}, "dial": {"willingness_to_pay": 0.01}},
        }
    )
    with RunningMeliora(settings, clock=FrozenClock()) as running:
        yield running


def parts_of(meliora: RunningMeliora) -> Parts:
    parts = meliora.gateway.gateway.lifespan
    assert isinstance(parts, Parts)
    return parts


def add(meliora: RunningMeliora, known: Any) -> PolicyRef:
    """Keep a policy and give how an overlay names it."""
    shelf = meliora.store.routing_snapshots
    made = shelf.add("default", lambda number: encode(planted(known, number=number)), kind="fit", made_by="test")
    return PolicyRef(made.number, hashlib.sha256(shelf.blob("default", made.number)).hexdigest())


def wait_for_state(meliora: RunningMeliora, condition: Any) -> None:
    meliora.clock.advance(1)  # type: ignore[attr-defined]
    meliora.wait(lambda: condition(meliora.gateway.gateway.snapshot), 10)


def ask(meliora: RunningMeliora, user: str) -> str:
    answer = post(meliora.gateway, PATH, chat(model="auto"), **{"x-meliora-user": user})
    assert answer.status == 200
    return answer.headers["x-meliora-reason"]


def test_a_trial_is_fetched_served_measured_and_ended(meliora: RunningMeliora) -> None:
    baseline, candidate = add(meliora, BEFORE), add(meliora, AFTER)
    meliora.store.routing_snapshots.promote("default", baseline.number)
    trial = TrialState("chg_1", "default", "trial", "s", 0, 0.5, Overlay(policy=candidate))
    meliora.store.trials.begin("default", trial)
    wait_for_state(meliora, lambda now: "default" in now.trials and now.trials["default"].whole)

    users = [str(number) for number in range(12)]
    reasons = {user: ask(meliora, user) for user in users}
    assert set(reasons.values()) == {f"policy:{baseline.number}", f"policy:{candidate.number}"}
    for user, reason in reasons.items():
        said = post(meliora.gateway, "/route", {"prompt": "What is 2+2?", "user_id": user}).json
        arm = "candidate" if reason == f"policy:{candidate.number}" else "baseline"
        assert (said["trial"], said["arm"], said["reason"]) == ("chg_1", arm, reason)

    meliora.settle()
    now = meliora.clock.now_us() + 600_000_000
    shown = meliora.store.arms.read("default", "chg_1", "trial", [METRICS["error_rate"]], now)
    assert [(one.stage, one.arm) for one in shown] == [(0, "baseline"), (0, "candidate")]
    assert sum(one.units for one in shown) == sum(one.calls for one in shown) == 12

    meliora.store.trials.ramp("default", "chg_1", 1, 1.0)
    wait_for_state(meliora, lambda now: now.state.trials[0].stage == 1)
    assert {ask(meliora, user) for user in users} == {f"policy:{candidate.number}"}

    meliora.store.trials.end("default", "chg_1")
    wait_for_state(meliora, lambda now: not now.trials)
    assert {ask(meliora, user) for user in users} == {f"policy:{baseline.number}"}
    assert parts_of(meliora).trialled.serving == {}


def test_a_policy_of_a_trial_that_cannot_be_had_is_told_and_counts_for_nobody(meliora: RunningMeliora) -> None:
    missing = TrialState("chg_1", "default", "trial", "s", 0, 1.0, Overlay(policy=PolicyRef(99, "00" * 32)))
    meliora.store.trials.begin("default", missing)
    wait_for_state(meliora, lambda now: "default" in now.trials)
    meliora.wait(lambda: bool(parts_of(meliora).trialled.troubles), 10)
    ask(meliora, "ann")
    [record] = meliora.gateway.finished(1)
    assert record.arm is None
    parts_of(meliora).sync.beat_now()
    meliora.wait(lambda: "99" in post_health(meliora).get("reason", ""), 10)


def post_health(meliora: RunningMeliora) -> dict[str, Any]:
    """Give how the gateways are, as anybody may ask."""
    return get(meliora.gateway, "/health").json["parts"]["gateway"]


@pytest.fixture
def no_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no sign of life come but the first, and those that do not wait."""
    monkeypatch.setattr(sync, "BEAT_SECONDS", 3600)


def test_the_kill_switch_is_taken_acknowledged_and_shown_at_once(no_beats: None, meliora: RunningMeliora) -> None:
    trial = TrialState("chg_1", "default", "trial", "s", 0, 1.0, Overlay())
    meliora.store.trials.begin("default", trial)
    wait_for_state(meliora, lambda now: "default" in now.trials)
    epoch = meliora.store.control.kill("cli", "why")
    # The clock stands still: no look for a new state is due, only the glance at the switch.
    meliora.wait(lambda: meliora.gateway.gateway.snapshot.safety.halted, 10)
    seen = lambda: meliora.store.gateways.list(meliora.clock.now_us())[0]  # noqa: E731
    meliora.wait(lambda: seen().kill_epoch == epoch, 10)
    ask(meliora, "ann")
    [record] = meliora.gateway.finished(1)
    assert record.arm is None
    assert "halted" in post_health(meliora)["reason"]
    meliora.store.control.resume("cli", "why")
    meliora.wait(lambda: not meliora.gateway.gateway.snapshot.safety.halted, 10)
    meliora.wait(lambda: seen().kill_epoch == epoch + 1, 10)
    ask(meliora, "ann")
    assert meliora.gateway.finished(2)[1].arm == "candidate"


def test_a_gateway_whose_control_process_is_dead_serves_the_baselines_until_it_hears_again(
    meliora: RunningMeliora,
) -> None:
    trial = TrialState("chg_1", "default", "trial", "s", 0, 1.0, Overlay())
    meliora.store.trials.begin("default", trial)
    wait_for_state(meliora, lambda now: "default" in now.trials)
    meliora.stop_control()
    ask(meliora, "ann")
    meliora.clock.advance(61)  # type: ignore[attr-defined]
    meliora.wait(lambda: meliora.gateway.gateway.snapshot.safety.lapsed, 10)
    ask(meliora, "ann")
    ready = get(meliora.gateway, "/ready").json
    meliora.start_control()
    meliora.wait(lambda: not meliora.gateway.gateway.snapshot.safety.lapsed, 10)
    ask(meliora, "ann")
    arms = [record.arm for record in meliora.gateway.finished(3)]
    assert arms == ["candidate", None, "candidate"]
    assert ready == {"status": "ready", "baselines": "lapsed"}


def test_a_delivered_choice_serves_and_is_explained_until_it_is_taken_back(meliora: RunningMeliora) -> None:
    choice = ChoiceState("c", "default", "simulated-small", "simulated-large")
    meliora.store.model_choices.put("default", choice, "chg_1")
    wait_for_state(meliora, lambda now: bool(now.state.choices))
    answer = post(meliora.gateway, PATH, chat(model="simulated-small"))
    said = post(meliora.gateway, "/route", {"prompt": "Hi", "model": "simulated-small"}).json
    assert answer.headers["x-meliora-model"] == said["model"] == "simulated-large"
    assert answer.headers["x-meliora-reason"] == said["reason"] == "asked;choice:c"
    assert (said["trial"], said["arm"]) == (None, None)
    meliora.store.model_choices.retire("default", "c")
    wait_for_state(meliora, lambda now: not now.state.choices)
    assert post(meliora.gateway, PATH, chat(model="simulated-small")).headers["x-meliora-model"] == "simulated-small"
