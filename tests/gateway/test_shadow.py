"""A candidate in the shadow: what is shown stays as it was to the byte, whatever becomes of the candidate's answer."""

from __future__ import annotations

import http.client
import json
import time
from pathlib import Path
from typing import Any

import pytest

from meliora.gateway.state import SHADOW_KEY, Overlay, PolicyRef, RuleState, TrialState
from meliora.telemetry.records import Shadow, ShadowBegun
from meliora.testing.gateway import SECRET, RunningGateway, key, ref_of
from tests.gateway.asking import chat, get, post, until
from tests.gateway.learned import PATH, PRICES, answered, asked_models, failing, settings, upstream
from tests.gateway.raw_upstream import RawUpstream

SHADOWING = {"trial": {"shadowing": {"share": 1.0, "timeout": 20}}}
ELSEWHERE = Overlay(rules=(RuleState("new", "default", "2", preferred_model="big", applies_to="all"),))
"""Takes `big` where `tiny` was asked for."""


def shadow(overlay: Overlay = ELSEWHERE, **more: Any) -> TrialState:
    given: dict[str, Any] = {"phase": "shadow", "salt": "s", "stage": 0, "share": 1.0, **more}
    return TrialState("chg_1", "default", overlay=overlay, **given)


def running(tmp_path: Path, fake: RawUpstream, *, loop: Any = None, trials: Any = None, **more: Any) -> RunningGateway:
    """A gateway with three models and a trial in the shadow."""
    given = {key: more.pop(key) for key in ("keys", "halted", "policies", "trial_policies") if key in more}
    prices = more.pop("prices", PRICES)
    chosen = settings(tmp_path, fake, {}, prices=prices, loop=loop or SHADOWING, **more)
    return RunningGateway(chosen, trials=[shadow()] if trials is None else trials, **given)


def tiny(text: str = "What is 2+2?", **more: Any) -> dict[str, Any]:
    return chat(text, **{"model": "tiny", **more})


def told(answer: Any) -> tuple[Any, ...]:
    """All of an answer that does not differ from call to call anyway."""
    own = ("date", "x-meliora-call", "traceparent")
    return answer.status, {name: value for name, value in answer.headers.items() if name not in own}, answer.body


def left_out(gateway: RunningGateway, why: str) -> None:
    """Wait until a shadow was left out for a reason."""
    until(lambda: why in gateway.gateway.house.shadows.left_out)


STEPS = {"tiny": answered("4"), "big": answered("four", tokens=(10, 20))}


def test_the_candidate_is_asked_too_and_only_recorded(tmp_path: Path) -> None:
    with upstream(STEPS) as fake, running(tmp_path, fake) as gateway:
        answer = post(gateway, PATH, tiny(), **{"x-meliora-user": "ann"})
        [found] = gateway.shadows(1)
        [shown] = gateway.finished(1)
    assert answer.json["choices"][0]["message"]["content"] == "4"
    assert asked_models(fake) == ["tiny", "big"]
    assert found.parent == shown.id and found.id != shown.id
    assert (found.trial, found.stage, found.unit[0]) == ("chg_1", 0, "u")
    assert (shown.trial, shown.arm, shown.trial_phase) == (None, None, None), "what was shown counts in no arm"
    assert (found.shown.outcome, found.shown.model, found.shown.cost_micros) == ("ok", "tiny", shown.cost_micros)
    call = found.call
    assert call is not None
    assert (call.model, call.outcome, call.reason) == ("big", "ok", "rule:new")
    assert (call.trial, call.trial_phase, call.arm, call.trial_unit) == ("chg_1", "shadow", "candidate", found.unit)
    assert (call.key_id, call.feature, call.cost_micros) == (SHADOW_KEY, "loop", 10 * 10 + 20 * 20)
    assert "four" in (call.response_text or "") and call.request_text is None
    [begun] = [one for one in gateway.records() if isinstance(one, ShadowBegun)]
    assert (begun.id, begun.parent) == (found.id, found.parent)


def test_what_is_decided_alike_is_not_asked_twice(tmp_path: Path) -> None:
    with upstream(STEPS) as fake, running(tmp_path, fake) as gateway:
        post(gateway, PATH, tiny("Say a word"))
        [found] = gateway.shadows(1)
    assert found.call is None
    assert asked_models(fake) == ["tiny"]


BIG = {
    "answers": answered("four"),
    "refuses": failing(),
    "is slow": answered("four", after=0.3),
    "hangs": [30.0],
    "gives no json": [b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{{{"],
    "closes": [None],
}


@pytest.mark.parametrize("how", BIG)
def test_the_shown_answer_is_the_same_to_the_byte(tmp_path: Path, how: str) -> None:
    steps = {"tiny": answered("4"), "big": BIG[how]}
    with upstream(steps) as fake, running(tmp_path / "without", fake, trials=[]) as gateway:
        without = post(gateway, PATH, tiny())
    with upstream(steps) as fake, running(tmp_path / "with", fake) as gateway:
        began = time.monotonic()
        shown = post(gateway, PATH, tiny())
        took = time.monotonic() - began
        if how != "hangs":
            [found] = gateway.shadows(1, 20)
            assert found.call is not None
            assert found.call.outcome == ("ok" if how in ("answers", "is slow") else "error")
        after = post(gateway, PATH, tiny("again 2"))
    assert told(shown) == told(without)
    assert after.status == 200
    assert took < 20, "it waited for the one that hangs"


def test_the_answer_leaves_before_the_candidate_is_asked(tmp_path: Path) -> None:
    with upstream({**STEPS, "big": [30.0]}) as fake, running(tmp_path, fake) as gateway:
        assert post(gateway, PATH, tiny()).status == 200
        until(lambda: len(asked_models(fake)) == 2)
        assert gateway.gateway.house.shadows.under_way == 1
        assert gateway.gateway.house.admission.in_flight == 0, "it takes no place of a call"


def test_a_hanging_candidate_fails_when_its_time_is_over(tmp_path: Path) -> None:
    loop = {"trial": {"shadowing": {"share": 1.0, "timeout": 0.2}}}
    with upstream({**STEPS, "big": [30.0]}) as fake, running(tmp_path, fake, loop=loop) as gateway:
        post(gateway, PATH, tiny())
        [found] = gateway.shadows(1)
    assert found.call is not None
    assert (found.call.outcome, found.call.error_code) == ("error", "upstream_timeout")


def test_a_candidate_that_fails_opens_no_breaker_and_is_counted_nowhere(tmp_path: Path) -> None:
    with upstream({**STEPS, "big": failing()}) as fake, running(tmp_path, fake) as gateway:
        for number in range(12):
            post(gateway, PATH, tiny(f"2 and {number}"))
            gateway.shadows(number + 1)
        breaker = gateway.gateway.snapshot.catalog.breakers["p/big"]
        metrics = get(gateway, "/metrics").body.decode()
        [first, *_] = gateway.shadows()
    assert first.call is not None and first.call.outcome == "error"
    assert breaker.view(time.monotonic()).calls == 0
    assert 'model="big"' not in metrics and 'endpoint="p/big"' not in metrics.replace(
        'meliora_breaker_open{endpoint="p/big"}', ""
    )


def test_a_call_whose_baseline_failed_is_shadowed_too(tmp_path: Path) -> None:
    with upstream({**STEPS, "tiny": failing()}) as fake, running(tmp_path, fake) as gateway:
        assert post(gateway, PATH, tiny()).status == 500
        [found] = gateway.shadows(1)
    assert found.shown.outcome == "error"
    assert found.call is not None and found.call.outcome == "ok"


TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
REFUSED: dict[str, dict[str, Any]] = {
    "a stream": {"body": {"stream": True}},
    "tools": {"body": {"tools": [TOOL]}},
    "content that is not kept": {"more": {"recording": {"content": "off"}}},
    "a key that is not for exploration": {"more": {"keys": (key(explore=False),)}},
    "one of Meliora's own calls": {"headers": {"x-meliora-feature": "routing"}},
    "nobody's share": {"more": {"trials": [shadow(share=0.0)]}},
    "the kill switch": {"more": {"halted": True}},
    "an overlay that is not here yet": {"more": {"trials": [shadow(Overlay(policy=PolicyRef(9, "00")))]}},
    "another tenant": {"more": {"trials": [TrialState("chg_1", "acme", "shadow", "s", 0, 1.0, ELSEWHERE)]}},
    "a gateway that only observes": {"mode": "observe"},
}


@pytest.mark.parametrize("what", REFUSED)
def test_there_is_no_shadow_of(tmp_path: Path, what: str) -> None:
    given = dict(REFUSED[what])
    more = dict(given.get("more", {}))
    if "mode" in given:
        from tests.gateway.asking import QUICK

        more["gateway"] = QUICK.model_copy(update={"mode": given["mode"]})
    with upstream(STEPS) as fake, running(tmp_path, fake, **more) as gateway:
        post(gateway, PATH, tiny(**given.get("body", {})), **given.get("headers", {}))
        post(gateway, PATH, tiny(**given.get("body", {})), **given.get("headers", {}))
        gateway.finished(2)
        assert gateway.gateway.house.shadows.under_way == 0
        assert not gateway.shadows()
    assert asked_models(fake) == ["tiny", "tiny"]


def test_tools_are_shadowed_where_the_settings_say_so(tmp_path: Path) -> None:
    loop = {"trial": {"shadowing": {"share": 1.0, "tools": True}}}
    with upstream(STEPS) as fake, running(tmp_path, fake, loop=loop) as gateway:
        post(gateway, PATH, tiny(tools=[TOOL]))
        [found] = gateway.shadows(1)
    assert found.call is not None and found.call.model == "big"


def test_a_kept_answer_has_no_shadow_and_stays_everybodys(tmp_path: Path) -> None:
    from tests.gateway.asking import QUICK

    caching = QUICK.model_copy(update={"cache": QUICK.cache.model_copy(update={"enabled": True})})
    with upstream(STEPS) as fake, running(tmp_path, fake, gateway=caching) as gateway:
        bodies = [post(gateway, PATH, tiny(temperature=0)).headers.get("x-meliora-cache") for _ in range(2)]
        gateway.finished(2)
        assert len(gateway.shadows(1)) == 1
    assert bodies == [None, "cache"]


def test_a_client_that_left_has_no_shadow(tmp_path: Path) -> None:
    with upstream({**STEPS, "tiny": answered("4", after=30)}) as fake, running(tmp_path, fake) as gateway:
        connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
        headers = {"content-type": "application/json", "authorization": f"Bearer {SECRET}"}
        connection.request("POST", PATH, json.dumps(tiny()), headers)
        until(lambda: fake.requests)
        connection.close()
        [shown] = gateway.finished(1)
        assert not gateway.shadows()
    assert shown.outcome == "cancelled"
    assert asked_models(fake) == ["tiny"]


def test_the_key_pays_nothing_and_keeps_its_rates(tmp_path: Path) -> None:
    limited = key(requests_per_minute=2, tokens_per_minute=100_000, budget_day_micros=100_000)
    with upstream(STEPS) as fake, running(tmp_path, fake, keys=(limited,)) as gateway:
        first, second = (post(gateway, PATH, tiny(f"2 {n}")).status for n in range(2))
        gateway.shadows(2)
        ledger = gateway.gateway.house.admission.ledger
        wishes = {wish.key_id: wish.total_micros for wish in ledger.wishes(gateway.clock.now_us())}
    assert (first, second) == (200, 200)
    assert wishes[limited.id] == 2 * 20
    assert wishes[SHADOW_KEY] == 2 * (100 + 400)


def test_the_days_money_ends_the_shadows_and_not_the_calls(tmp_path: Path) -> None:
    loop = {"trial": {"shadowing": {"share": 1.0, "budget_usd": 0.0}}}
    with upstream(STEPS) as fake, running(tmp_path, fake, loop=loop) as gateway:
        assert [post(gateway, PATH, tiny(f"2 {n}")).status for n in range(3)] == [200] * 3
        left_out(gateway, "no money")
        assert not gateway.shadows()
    assert asked_models(fake) == ["tiny"] * 3


def test_a_slice_of_the_money_that_is_used_up_ends_them_without_the_store(tmp_path: Path) -> None:
    loop = {"trial": {"shadowing": {"share": 1.0, "budget_usd": 0.012}}}
    with upstream(STEPS) as fake, running(tmp_path, fake, loop=loop) as gateway:
        for number in range(20):
            assert post(gateway, PATH, tiny(f"2 {number}")).status == 200
            until(lambda: not gateway.gateway.house.shadows.under_way)
        left_out(gateway, "no money")
        spent = sum(one.call.cost_micros or 0 for one in gateway.shadows() if one.call is not None)
    assert 0 < spent <= 600 + 500, "one slice of a twentieth on credit, and the call that overdraws it"


def test_a_model_without_a_known_price_is_not_asked(tmp_path: Path) -> None:
    unknown = Overlay(rules=(RuleState("new", "default", "2", preferred_model="nobody-knows", applies_to="all"),))
    with upstream(STEPS) as fake:
        chosen = settings(tmp_path, fake, {}, loop=SHADOWING)
        models = {**chosen.models, "nobody-knows": chosen.models["big"].model_copy(update={"price": None})}
        provider = chosen.providers["p"].model_copy(update={"models": list(models)})
        chosen = chosen.model_copy(update={"models": models, "providers": {"p": provider}})
        with RunningGateway(chosen, trials=[shadow(unknown)]) as gateway:
            post(gateway, PATH, tiny())
            left_out(gateway, "no known price")
    assert asked_models(fake) == ["tiny"]


def test_no_more_at_once_than_are_allowed(tmp_path: Path) -> None:
    loop = {"trial": {"shadowing": {"share": 1.0, "most": 1}}}
    with upstream({**STEPS, "big": [30.0]}) as fake, running(tmp_path, fake, loop=loop) as gateway:
        for number in range(3):
            post(gateway, PATH, tiny(f"2 {number}"))
        left_out(gateway, "too many at once")
        assert gateway.gateway.house.shadows.under_way == 1


def test_a_busy_or_draining_gateway_has_no_shadows(tmp_path: Path) -> None:
    with upstream(STEPS) as fake, running(tmp_path, fake) as gateway:
        house = gateway.gateway.house
        house.shadows.draining = lambda: True
        post(gateway, PATH, tiny("2 a"))
        left_out(gateway, "stopped")
        house.shadows.draining = lambda: False
        house.admission.limiter.concurrent = 4
        taken = [house.admission.limiter.admit(key("other"), 0, 0.0) for _ in range(3)]
        post(gateway, PATH, tiny("2 b"))
        left_out(gateway, "busy")
        for one in taken:
            house.admission.limiter.settle(one, 0)
        post(gateway, PATH, tiny("2 c"))
        assert len(gateway.shadows(1)) == 1


@pytest.mark.parametrize("how", ["file", "shutdown"])
def test_what_is_under_way_stops_at_once_and_says_so(tmp_path: Path, how: str) -> None:
    with upstream({**STEPS, "big": [30.0]}) as fake:
        gateway = running(tmp_path, fake)
        with gateway:
            post(gateway, PATH, tiny())
            until(lambda: len(asked_models(fake)) == 2)
            if how == "file":
                (gateway.state_dir / "kill").touch()
                [found] = gateway.shadows(1)
                assert post(gateway, PATH, tiny("2 again")).status == 200
                gateway.finished(2)
                assert gateway.gateway.house.shadows.under_way == 0
        [found] = gateway.shadows(1)
    assert found.call is not None
    assert (found.call.outcome, found.call.error_code) == ("cancelled", "stopped")
    assert isinstance(found, Shadow) and len(asked_models(fake)) == (3 if how == "file" else 2)


def test_a_policy_in_the_shadow_decides_beside_the_one_that_serves(tmp_path: Path) -> None:
    from meliora.testing.policies import planted
    from tests.gateway.learned import KNOWN, POLICY, auto

    better = planted({**KNOWN, "small": (0.9, 0.0001)}, number=4)
    routing = {"exploration": {"enabled": False}, "dial": {"willingness_to_pay": 0.001}}
    with upstream({}) as fake:
        chosen = settings(tmp_path, fake, routing, loop=SHADOWING)
        overlay = Overlay(policy=ref_of(better))
        with RunningGateway(
            chosen, policies={"default": POLICY}, trials=[shadow(overlay)], trial_policies={"default": better}
        ) as gateway:
            assert post(gateway, PATH, auto()).headers["x-meliora-reason"] == "policy:3"
            [found] = gateway.shadows(1)
            [shown] = gateway.finished(1)
    assert found.call is not None
    assert (shown.model, found.call.model, found.call.reason) == ("tiny", "small", "policy:4")
