"""A trial in the request path: whose calls are served how, what stands in the record, and when nobody counts."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from meliora.gateway.state import ChoiceState, Overlay, PolicyRef, RuleState, TrialState
from meliora.telemetry.records import CallFinished
from meliora.testing import FrozenClock
from meliora.testing.gateway import RunningGateway, key, ref_of
from meliora.testing.policies import laddered, planted
from tests.gateway.asking import QUICK, chat, get, post, until
from tests.gateway.asking import settings as plain
from tests.gateway.learned import KNOWN, PATH, POLICY, answered, asked_models, auto, failing, settings, upstream
from tests.gateway.raw_upstream import RawUpstream

QUIET = {"exploration": {"enabled": False}, "dial": {"willingness_to_pay": 0.001}}
BETTER = planted({**KNOWN, "small": (0.9, 0.0001)}, number=4)
"""Takes `small` where `POLICY` takes `tiny`."""


def trial(overlay: Overlay | None = None, **more: Any) -> TrialState:
    given: dict[str, Any] = {"phase": "trial", "salt": "s", "stage": 2, "share": 0.5, **more}
    return TrialState("chg_1", "default", overlay=overlay or Overlay(policy=ref_of(BETTER)), **given)


def arm_of(record: CallFinished) -> tuple[Any, ...]:
    return record.trial, record.trial_phase, record.trial_stage, record.arm


@pytest.mark.parametrize("phase", ["trial", "watch"])
def test_each_user_is_served_by_their_arm_and_stays_there(tmp_path: Path, phase: Any) -> None:
    with_overlay, other = ("candidate", "baseline") if phase == "trial" else ("baseline", "candidate")
    with (
        upstream({}) as fake,
        RunningGateway(
            settings(tmp_path, fake, QUIET),
            policies={"default": POLICY},
            trials=[trial(phase=phase)],
            trial_policies={"default": BETTER},
        ) as gateway,
    ):
        served = {
            user: {post(gateway, PATH, auto(), **{"x-meliora-user": user}).headers["x-meliora-model"] for _ in range(2)}
            for user in map(str, range(20))
        }
        records = gateway.finished(40)
    assert {frozenset(models) for models in served.values()} == {frozenset({"tiny"}), frozenset({"small"})}
    for record in records:
        name = with_overlay if record.model == "small" else other
        assert arm_of(record) == ("chg_1", phase, 2, name)
        assert record.trial_unit is not None and record.trial_unit[0] == "u"
        assert len(record.trial_unit) == 17
        assert record.reason == ("policy:4" if record.model == "small" else "policy:3")
    assert len({record.trial_unit for record in records}) == 20


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_an_arm_whose_policy_has_measured_cascades_asks_by_them_and_the_other_does_not(
    tmp_path: Path, share: float
) -> None:
    sure = planted({"tiny": (0.9, 0.0001), "small": (0.4, 0.0001), "big": (0.9, 0.01)}, number=3)
    cascading = laddered(replace(sure, number=4), {("tiny", "small", "big"): (0.99, 0.1)})
    routing = {**QUIET, "dial": {"willingness_to_pay": 0.05}, "cascade": {"enabled": True}}
    steps = {"tiny": answered("4"), "small": answered("4")}
    with (
        upstream(steps) as fake,
        RunningGateway(
            settings(tmp_path, fake, routing),
            policies={"default": sure},
            trials=[trial(Overlay(policy=ref_of(cascading)), share=share)],
            trial_policies={"default": cascading},
        ) as gateway,
    ):
        post(gateway, PATH, auto())
        [record] = gateway.finished(1)
    assert sorted(asked_models(fake)) == (["small", "tiny"] if share else ["tiny"])
    assert record.reason == ("policy:4;cascade:agreed" if share else "policy:3")
    assert arm_of(record) == ("chg_1", "trial", 2, "candidate" if share else "baseline")
    assert record.cost_micros == (20 + 40 if share else 20), "each model that was asked is charged"


def test_a_call_that_says_nothing_of_itself_is_in_its_keys_arm(tmp_path: Path) -> None:
    with upstream({}) as fake, RunningGateway(settings(tmp_path, fake, QUIET), trials=[trial(Overlay())]) as gateway:
        for _ in range(3):
            post(gateway, PATH, auto())
        records = gateway.finished(3)
    assert {record.trial_unit[0] for record in records if record.trial_unit} == {"k"}
    assert len({(record.arm, record.trial_unit) for record in records}) == 1


def test_other_tenants_and_other_surfaces_are_left_alone(tmp_path: Path) -> None:
    other = "mel_" + "o" * 30
    keys = (key(), key("other", other, tenant="elsewhere"))
    elsewhere = trial(Overlay(), surface="knowledge", share=1.0)
    with upstream({}) as fake, RunningGateway(settings(tmp_path, fake, QUIET), keys, trials=[elsewhere]) as gateway:
        post(gateway, PATH, auto())
        post(gateway, PATH, auto(), secret=other)
        records = gateway.finished(2)
    assert {arm_of(record) for record in records} == {(None, None, None, None)}


def test_rules_are_added_and_left_out_in_the_overlays_arm_only(tmp_path: Path) -> None:
    rules = [RuleState("old", "default", "harbour", preferred_model="big")]
    overlay = Overlay(rules=(RuleState("new", "default", "garden", preferred_model="small"),), without_rules=("old",))
    for share, harbour, garden in ((0.0, "rule:old", "default"), (1.0, "default", "rule:new")):
        with (
            upstream({}) as fake,
            RunningGateway(
                settings(tmp_path / str(share), fake, QUIET), rules=rules, trials=[trial(overlay, share=share)]
            ) as gateway,
        ):
            first = post(gateway, PATH, auto("the harbour")).headers["x-meliora-reason"]
            second = post(gateway, PATH, auto("the garden")).headers["x-meliora-reason"]
        assert (first.split(";")[0].removesuffix(":balanced"), second.split(";")[0].removesuffix(":balanced")) == (
            harbour,
            garden,
        )


def test_no_policy_is_an_arm_too(tmp_path: Path) -> None:
    with (
        upstream({}) as fake,
        RunningGateway(
            settings(tmp_path, fake, QUIET),
            policies={"default": POLICY},
            trials=[trial(Overlay(no_policy=True), share=1.0)],
        ) as gateway,
    ):
        answer = post(gateway, PATH, auto())
        [record] = gateway.finished(1)
    assert answer.headers["x-meliora-reason"].startswith("default:")
    assert (record.arm, record.routing) == ("candidate", None)


@pytest.mark.parametrize("missing", ["overlay", "serving", "rule"])
def test_until_both_arms_are_what_the_state_says_the_plain_one_serves_and_nobody_counts(
    tmp_path: Path, missing: str
) -> None:
    bad = Overlay(rules=(RuleState("bad", "default", "(", preferred_model="small"),))
    overlay = Overlay(policy=PolicyRef(9, "00" * 32)) if missing == "overlay" else None
    with (
        upstream({}) as fake,
        RunningGateway(
            settings(tmp_path, fake, QUIET),
            policies={} if missing == "serving" else {"default": POLICY},
            trials=[trial(bad if missing == "rule" else overlay, share=1.0)],
            trial_policies={"default": BETTER},
        ) as gateway,
    ):
        if missing == "serving":
            before = gateway.gateway.snapshot
            named = msgspec.structs.replace(before.state, policies={"default": PolicyRef(3, "00" * 32)})
            gateway.gateway.lifespan._take_state(named)  # type: ignore[attr-defined]
        answer = post(gateway, PATH, auto())
        [record] = gateway.finished(1)
    assert answer.headers["x-meliora-reason"] in ("policy:3", "default:balanced;up:deep")
    assert arm_of(record) == (None, None, None, None)
    assert record.trial_unit is None


def test_delivered_choices_serve_everybody_and_those_of_an_overlay_its_arm(tmp_path: Path) -> None:
    kept = ChoiceState("kept", "default", "tiny", "small")
    overlay = Overlay(choices=(ChoiceState("new", "default", "tiny", "big"),), without_choices=("kept",))
    for share, model in ((0.0, "small"), (1.0, "big")):
        with (
            upstream({}) as fake,
            RunningGateway(
                settings(tmp_path / model, fake, QUIET), choices=[kept], trials=[trial(overlay, share=share)]
            ) as gateway,
        ):
            answer = post(gateway, PATH, auto(model="tiny"))
            [record] = gateway.finished(1)
        assert asked_models(fake) == [model]
        assert answer.headers["x-meliora-model"] == record.model == model
        assert record.reason == f"asked;choice:{'kept' if share == 0 else 'new'}"


def test_a_choice_for_one_task_holds_also_for_a_call_that_names_its_model(tmp_path: Path) -> None:
    choices = [ChoiceState("c", "default", "tiny", "big", task="code")]
    with upstream({}) as fake, RunningGateway(settings(tmp_path, fake, QUIET), choices=choices) as gateway:
        post(gateway, PATH, auto("Hello there", model="tiny"))
        post(gateway, PATH, auto("Write a Python function that sorts a list.", model="tiny"))
        records = gateway.finished(2)
    tasks = {record.task: record.model for record in records}
    assert tasks.pop("code") == "big"
    assert set(tasks.values()) == {"tiny"}


def test_preferred_endpoints_are_called_in_their_order_and_the_others_when_these_fail(tmp_path: Path) -> None:
    choice = ChoiceState("c", "default", "m", endpoints=("p2/m", "p1/m"))
    down = RawUpstream(lambda _head, _body: failing())
    with (
        down,
        upstream({}) as second,
        upstream({}) as third,
        RunningGateway(plain(tmp_path / "a", third, second, down), choices=[choice]) as gateway,
    ):
        answers = [post(gateway, PATH, chat()) for _ in range(4)]
        records = gateway.finished(4)
    assert {answer.status for answer in answers} == {200}
    assert (len(second.requests), len(third.requests)) == (4, 0)
    assert [attempt.endpoint for attempt in records[0].attempts] == ["p2/m", "p1/m"]
    alone = msgspec.structs.replace(choice, endpoints=("p1/m",))
    with (
        RawUpstream(lambda _head, _body: failing()) as down,
        upstream({}) as left_out,
        RunningGateway(plain(tmp_path / "b", left_out, down), choices=[alone]) as gateway,
    ):
        answer = post(gateway, PATH, chat())
    assert (answer.status, answer.headers["x-meliora-reason"]) == (200, "asked;choice:c")
    assert len(left_out.requests) == 1


def test_a_gateway_that_only_observes_replaces_nothing(tmp_path: Path) -> None:
    watching = QUICK.model_copy(update={"mode": "observe"})
    with (
        upstream({}) as fake,
        RunningGateway(
            settings(tmp_path, fake, QUIET, gateway=watching), choices=[ChoiceState("c", "default", "tiny", "big")]
        ) as gateway,
    ):
        post(gateway, PATH, auto(model="tiny"))
    assert asked_models(fake) == ["tiny"]


def test_no_arm_is_answered_with_the_others_answer(tmp_path: Path) -> None:
    cached = QUICK.model_copy(update={"cache": QUICK.cache.model_copy(update={"enabled": True})})
    with (
        upstream({}) as fake,
        RunningGateway(settings(tmp_path, fake, QUIET, gateway=cached), trials=[trial(Overlay())]) as gateway,
    ):
        for user in map(str, range(20)):
            post(gateway, PATH, auto(model="tiny"), **{"x-meliora-user": user})
        records = gateway.finished(20)
    assert len(asked_models(fake)) == 2
    assert {(record.arm, record.cached) for record in records} == {
        (arm, cached) for arm in ("candidate", "baseline") for cached in (True, False)
    }


def test_an_answer_given_again_under_its_idempotency_key_counts_for_no_arm(tmp_path: Path) -> None:
    with upstream({}) as fake, RunningGateway(settings(tmp_path, fake, QUIET), trials=[trial(Overlay())]) as gateway:
        for _ in range(2):
            post(gateway, PATH, auto(), **{"idempotency-key": "once"})
        first, second = gateway.finished(2)
    assert len(fake.requests) == 1
    assert (first.trial, second.trial) == ("chg_1", None)


def test_a_call_that_fails_counts_in_its_arm(tmp_path: Path) -> None:
    with upstream({}) as fake, RunningGateway(settings(tmp_path, fake, QUIET), trials=[trial(Overlay())]) as gateway:
        post(gateway, PATH, auto(model="nowhere"))
        [record] = gateway.finished(1)
    assert (record.outcome, record.trial) == ("error", "chg_1")


@pytest.mark.parametrize(("phase", "model"), [("trial", "tiny"), ("watch", "small")])
@pytest.mark.parametrize("why", ["state", "file", "lease"])
def test_all_traffic_goes_to_the_baseline_and_nobody_counts(tmp_path: Path, phase: Any, model: str, why: str) -> None:
    clock = FrozenClock()
    with (
        upstream({}) as fake,
        RunningGateway(
            settings(tmp_path, fake, QUIET),
            clock=clock,
            policies={"default": POLICY},
            trials=[trial(phase=phase, share=0.5)],
            trial_policies={"default": BETTER},
            halted=why == "state",
        ) as gateway,
    ):
        safety = lambda: gateway.gateway.snapshot.safety  # noqa: E731
        if why == "file":
            (gateway.state_dir / "kill").touch()
            clock.advance(1)
            until(lambda: safety().halted)
        if why == "lease":
            clock.advance(61)
            until(lambda: safety().lapsed)
        models = {
            post(gateway, PATH, auto(), **{"x-meliora-user": user}).headers["x-meliora-model"]
            for user in map(str, range(12))
        }
        ready = get(gateway, "/ready").json
        if why == "file":
            (gateway.state_dir / "kill").unlink()
            clock.advance(1)
            until(lambda: not safety().halted)
            post(gateway, PATH, auto())
        *records, last = gateway.finished(13 if why == "file" else 12)
    assert models == {model}
    assert {record.arm for record in records} == {None}
    assert ready["baselines"] == ("lapsed" if why == "lease" else "halted")
    if why == "file":
        assert last.arm is not None


def test_nothing_is_explored_while_halted(tmp_path: Path) -> None:
    eager = {"exploration": {"floor": 0.3, "cap": 0.9}, "dial": {"willingness_to_pay": 0.001}}
    with upstream({}) as fake:
        made = settings(tmp_path, fake, eager, learning={"exploration": 1})
        with RunningGateway(made, policies={"default": POLICY}, halted=True) as gateway:
            for _ in range(20):
                assert post(gateway, PATH, auto()).headers["x-meliora-reason"] == "policy:3"


def test_a_record_without_the_fields_of_trials_still_reads() -> None:
    old = {
        "t": "finished",
        "id": "call_1",
        "tenant": "default",
        "key_id": "k",
        "gateway": "g",
        "started_us": 1,
        "ended_us": 2,
        "dialect": "chat",
        "model_asked": "m",
        "outcome": "ok",
        "status": 200,
    }
    record = msgspec.json.decode(json.dumps(old).encode(), type=CallFinished)
    assert arm_of(record) == (None, None, None, None)
