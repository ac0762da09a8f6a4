"""The learned policy in the request path: what it chooses, what stands in header and record, and that nothing of it is needed."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from meliora.gateway.state import LeaseGrant
from meliora.testing import FrozenClock
from meliora.testing.gateway import RunningGateway, key
from tests.gateway.asking import QUICK, post
from tests.gateway.learned import PATH, POLICY, answered, asked_models, auto, failing, settings, upstream

QUIET = {"exploration": {"enabled": False}, "dial": {"willingness_to_pay": 0.001}}
ONE_DAY = 86_400_000_000


def test_auto_goes_where_the_policy_says_and_header_and_record_say_so(tmp_path: Path) -> None:
    with upstream({}) as fake, RunningGateway(settings(tmp_path, fake, QUIET), policies={"default": POLICY}) as gateway:
        answer = post(gateway, PATH, auto())
        dear = post(gateway, PATH, auto(), **{"x-meliora-willingness-to-pay": "10"})
        named = post(gateway, PATH, auto(model="small"))
        [first, second, third] = gateway.finished(3)
    assert (answer.headers["x-meliora-model"], answer.headers["x-meliora-reason"]) == ("tiny", "policy:3")
    assert asked_models(fake) == ["tiny", "big", "small"]
    assert dear.status == named.status == 200
    assert (first.model, first.reason, first.confidence) == ("tiny", "policy:3", 1.0)
    trace = first.routing
    assert trace is not None
    assert (trace.snapshot, trace.trunk, trace.chosen, trace.dial) == (3, "planted", "tiny", "pay:0.001")
    assert np.frombuffer(trace.phi, "<f2")[0] == 1.0
    assert {one.model: (one.intended, one.served) for one in trace.candidates} == {
        "tiny": (1.0, 1.0),
        "small": (0.0, 0.0),
        "big": (0.0, 0.0),
    }
    assert second.routing is not None
    assert second.routing.dial == "pay:10"
    assert third.routing is None


def test_a_tenant_without_a_policy_has_the_classifier(tmp_path: Path) -> None:
    keys = (key(), key("other", "mel_" + "o" * 30, tenant="elsewhere"))
    with (
        upstream({}) as fake,
        RunningGateway(settings(tmp_path, fake, QUIET), keys, policies={"default": POLICY}) as gateway,
    ):
        answer = post(gateway, PATH, auto(), secret="mel_" + "o" * 30)
    assert answer.headers["x-meliora-reason"] == "default:balanced;up:deep"


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"x-meliora-quality-floor": "1.2"}, "above 0, at most 1"),
        ({"x-meliora-willingness-to-pay": "much"}, "is no number"),
        ({"x-meliora-quality-floor": "0.98", "x-meliora-willingness-to-pay": "0.001"}, "contradict each other"),
    ],
)
def test_a_dial_that_cannot_be_is_refused_and_recorded(tmp_path: Path, headers: dict[str, str], said: str) -> None:
    with upstream({}) as fake, RunningGateway(settings(tmp_path, fake, QUIET), policies={"default": POLICY}) as gateway:
        answer = post(gateway, PATH, auto(), **headers)
        [record] = gateway.finished(1)
    assert answer.status == 400
    assert said in answer.json["error"]["message"]
    assert (record.outcome, record.status) == ("error", 400)
    assert fake.requests == []


def test_a_key_has_a_dial_of_its_own_and_its_calls_are_not_explored_if_it_says_so(tmp_path: Path) -> None:
    eager = {"exploration": {"floor": 0.3, "cap": 0.9}, "dial": {"willingness_to_pay": 0.001}}
    mine = key(willingness_to_pay=10.0, explore=False)
    with upstream({}) as fake:
        made = settings(tmp_path, fake, eager, learning={"exploration": 1})
        with RunningGateway(made, (mine,), policies={"default": POLICY}) as gateway:
            for _ in range(8):
                assert post(gateway, PATH, auto()).headers["x-meliora-reason"] == "policy:3"
    assert asked_models(fake) == ["big"] * 8


def test_what_is_explored_says_so_with_the_probability_that_it_had(tmp_path: Path) -> None:
    eager = {"exploration": {"floor": 0.3, "cap": 0.9}, "dial": {"willingness_to_pay": 0.001}}
    with upstream({}) as fake:
        made = settings(tmp_path, fake, eager, learning={"exploration": 1})
        with RunningGateway(made, policies={"default": POLICY}) as gateway:
            for _ in range(30):
                post(gateway, PATH, auto())
            records = gateway.finished(30)
    explored = [record for record in records if record.routing is not None and record.routing.explored]
    assert 0 < len(explored) <= 30
    assert all(record.reason == "policy:3;explored" for record in explored)
    assert all(
        0.29 < one.served < 1 for record in explored for one in record.routing.candidates if one.model == record.model
    )


def test_when_the_chosen_model_fails_the_next_best_takes_over_with_its_probability(tmp_path: Path) -> None:
    with (
        upstream({"tiny": failing()}) as fake,
        RunningGateway(settings(tmp_path, fake, QUIET), policies={"default": POLICY}) as gateway,
    ):
        answer = post(gateway, PATH, auto())
        [record] = gateway.finished(1)
    assert answer.status == 200
    assert (record.model, record.reason) == ("small", "fallback:tiny")
    assert record.routing is not None
    assert {one.model: one.served for one in record.routing.candidates} == {"tiny": 0.0, "small": 1.0, "big": 0.0}


@pytest.mark.parametrize("whole_gateway", [True, False])
def test_what_is_observed_is_recorded_and_changes_no_call(tmp_path: Path, whole_gateway: bool) -> None:
    routing = QUIET if whole_gateway else {**QUIET, "learned": "observe"}
    gateway_settings = QUICK.model_copy(update={"mode": "observe"}) if whole_gateway else QUICK
    with upstream({}) as fake:
        made = settings(tmp_path, fake, routing, gateway=gateway_settings)
        with RunningGateway(made, policies={"default": POLICY}) as gateway:
            post(gateway, PATH, auto("Prove the theorem step by step, analyze and compare the trade-offs"))
            [record] = gateway.finished(1)
    assert (record.model, record.reason, record.observed_model) == ("big", "classifier:deep", "tiny")
    assert record.routing is not None
    assert (record.routing.decided_by, record.routing.chosen) == ("observe", "tiny")


def test_a_key_that_spends_its_day_too_fast_pays_less_for_quality(tmp_path: Path) -> None:
    clock = FrozenClock(1_795_219_200_000_000 // ONE_DAY * ONE_DAY + ONE_DAY // 2)  # noon
    mine = key(budget_day_micros=1_000_000, willingness_to_pay=0.008)
    with upstream({"big": answered("42")}) as fake:
        made = settings(tmp_path, fake, QUIET)
        with RunningGateway(made, (mine,), clock=clock, policies={"default": POLICY}) as gateway:
            ledger = gateway.gateway.house.admission.ledger
            assert post(gateway, PATH, auto()).headers["x-meliora-model"] == "big"
            wishes = ledger.wishes(clock.now_us())
            ledger.grant([LeaseGrant(one.key_id, one.period, 500_000, spent_micros=950_000) for one in wishes])
            slowed = post(gateway, PATH, auto())
            asked = post(gateway, PATH, auto(), **{"x-meliora-willingness-to-pay": "0.008"})
            records = gateway.finished(3)
    assert slowed.headers["x-meliora-model"] == "tiny"
    assert asked.headers["x-meliora-model"] == "big", "what a request asks for by itself it gets"
    assert records[1].routing is not None
    assert records[1].routing.dial == "pay:0.008;pace:0.10"


def test_a_gateway_without_a_policy_never_brings_numpy_in() -> None:
    code = "import sys, meliora.runtime.gateway; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
