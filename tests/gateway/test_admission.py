"""Keys, rates, budgets, caches and idempotency keys, as a client meets them."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from meliora.gateway.state import KeyHash, RuleState
from meliora.settings.models import Cache, Model, Price, Timeouts
from meliora.testing import FakeProvider, FaultPlan, FaultRule, faults
from meliora.testing.gateway import RunningGateway, key
from tests.gateway.asking import QUICK, Answer, chat, get, messages, post, settings, until
from tests.gateway.raw_upstream import GOOD, RawUpstream, whole

LIMITED = "mel_limited"
PATIENT = QUICK.model_copy(update={"timeouts": Timeouts(first_byte=30)})


def _ask(gateway: RunningGateway, **more: Any) -> Answer:
    return post(gateway, "/v1/chat/completions", chat(**more), secret=LIMITED)


@pytest.mark.parametrize("secret", [None, "mel_wrong", "sk-something"])
def test_a_wrong_key_is_refused_in_the_dialects_own_shape(tmp_path: Path, secret: str | None) -> None:
    """SDKs raise their usual exception, and nothing reaches the upstream."""
    with FakeProvider() as provider, RunningGateway(settings(tmp_path, provider)) as gateway:
        openai = post(gateway, "/v1/chat/completions", chat(), secret=secret)
        anthropic = post(gateway, "/v1/messages", messages(), secret=secret)
        assert provider.count == 0
    assert openai.status == anthropic.status == 401
    assert openai.json["error"]["code"] == "invalid_api_key"
    assert anthropic.json["error"]["type"] == "authentication_error"


def test_a_rotated_secret_opens_until_its_end_and_an_expired_key_never(tmp_path: Path) -> None:
    """An old secret has its grace, and then none."""
    made = key("k", LIMITED)
    gone = KeyHash(made.hashes[0].sha256, until_us=1)
    keys = [key(), key("old", LIMITED)]
    with FakeProvider() as provider:
        with RunningGateway(settings(tmp_path / "a", provider), keys=keys) as gateway:
            assert _ask(gateway).status == 200
        import msgspec

        keys = [key(), msgspec.structs.replace(made, hashes=(gone,))]
        with RunningGateway(settings(tmp_path / "b", provider), keys=keys) as gateway:
            assert _ask(gateway).status == 401
        keys = [key(), key("expired", LIMITED, expires_us=1)]
        with RunningGateway(settings(tmp_path / "c", provider), keys=keys) as gateway:
            assert _ask(gateway).status == 401


def test_a_key_without_the_scope_and_a_forbidden_model_are_403(tmp_path: Path) -> None:
    """What a key may not do is said as the provider would say it."""
    keys = [key("reader", "mel_reader", scopes=("read",)), key("limited", LIMITED, models=("other",))]
    with FakeProvider() as provider, RunningGateway(settings(tmp_path, provider), keys=keys) as gateway:
        assert post(gateway, "/v1/chat/completions", chat(), secret="mel_reader").status == 403
        assert _ask(gateway).status == 403
        [record] = gateway.finished(1)
    assert record.error_code == "model_forbidden"


def test_a_key_confined_to_a_region_never_leaves_it(tmp_path: Path) -> None:
    """Endpoints elsewhere, or nobody knows where, are not used."""
    with FakeProvider() as here, FakeProvider() as there:
        made = settings(tmp_path, here, there)
        near = made.providers["p0"].model_copy(update={"region": "eu", "weight": 0.001})
        made = made.model_copy(update={"providers": {"p0": near, "p1": made.providers["p1"]}})
        with RunningGateway(made, keys=[key("limited", LIMITED, regions=("eu",))]) as gateway:
            for _ in range(10):
                assert _ask(gateway).status == 200
        assert (here.count, there.count) == (10, 0)


def test_the_request_rate_of_a_key_holds_and_says_when_to_come_back(tmp_path: Path) -> None:
    """Three a minute are three."""
    keys = [key("limited", LIMITED, requests_per_minute=3)]
    with FakeProvider() as provider, RunningGateway(settings(tmp_path, provider), keys=keys) as gateway:
        answers = [_ask(gateway) for _ in range(5)]
        assert provider.count == 3
    assert [a.status for a in answers] == [200, 200, 200, 429, 429]
    assert 1 <= int(answers[3].headers["retry-after"]) <= 20
    assert answers[3].json["error"]["code"] == "rate_limit_exceeded"


def test_the_token_rate_of_a_key_counts_what_was_really_used(tmp_path: Path) -> None:
    """The estimate is taken first and set right at the end."""
    keys = [key("limited", LIMITED, tokens_per_minute=600)]
    with FakeProvider() as provider, RunningGateway(settings(tmp_path, provider), keys=keys) as gateway:
        answers = [_ask(gateway, max_tokens=100) for _ in range(8)]
    assert [a.status for a in answers[:4]] == [200] * 4, "settled calls leave room that the estimates had taken"


def test_a_keys_calls_in_flight_are_limited(tmp_path: Path) -> None:
    """The second call of two is refused while the first runs, and welcome after it."""
    keys = [key("limited", LIMITED, concurrent=1)]
    go_on = threading.Event()
    with (
        RawUpstream([lambda: go_on.wait(20), *whole(GOOD)]) as upstream,
        RunningGateway(settings(tmp_path, upstream, gateway=PATIENT), keys=keys) as gateway,
    ):
        first: list[Answer] = []
        thread = threading.Thread(target=lambda: first.append(_ask(gateway)))
        thread.start()
        until(lambda: upstream.requests)
        assert _ask(gateway).status == 429
        go_on.set()
        thread.join()
        assert first[0].status == 200
        assert _ask(gateway).status == 200


def test_a_used_up_budget_refuses_before_the_upstream_and_tells_sdks_not_to_retry(tmp_path: Path) -> None:
    """A budget of a few calls lets a few calls through."""
    keys = [key("limited", LIMITED, budget_day_micros=100)]
    with FakeProvider() as provider:
        made = settings(
            tmp_path,
            provider,
            models={"m": Model(price=Price(input=2, output=2))},
            gateway=QUICK.model_copy(update={"budget_without_store": "deny", "budget_slice": 1.0}),
        )
        with RunningGateway(made, keys=keys) as gateway:
            statuses = [_ask(gateway, max_tokens=10).status for _ in range(12)]
            refused = _ask(gateway)
            spent = sum(r.cost_micros or 0 for r in gateway.finished())
    assert statuses[0] == 200
    assert statuses[-1] == 429
    assert spent <= 200, "the budget, one slice ahead of the store, and no more"
    assert refused.headers["x-should-retry"] == "false"
    assert refused.json["error"]["type"] == "insufficient_quota"


def test_an_equal_request_is_answered_from_the_cache_of_its_tenant(tmp_path: Path) -> None:
    """It costs nothing, is recorded as cached, and is not given to another tenant."""
    keys = [key(), key("other", "mel_other", tenant="other")]
    with FakeProvider() as provider:
        made = settings(
            tmp_path,
            provider,
            gateway=QUICK.model_copy(update={"cache": Cache(enabled=True)}),
            models={"m": Model(price=Price(input=1, output=1))},
        )
        with RunningGateway(made, keys=keys) as gateway:
            first = post(gateway, "/v1/chat/completions", chat(user="a"))
            second = post(gateway, "/v1/chat/completions", chat(user="b"))
            fresh = post(gateway, "/v1/chat/completions", chat(), cache_control="no-cache")
            post(gateway, "/v1/chat/completions", chat(), secret="mel_other")
            stream = [post(gateway, "/v1/chat/completions", chat(stream=True)) for _ in range(2)]
            records = gateway.finished(6)
        assert provider.count == 4
    assert second.body == first.body
    assert second.headers["x-meliora-cache"] == "cache"
    assert "x-meliora-cache" not in fresh.headers
    assert stream[1].body == stream[0].body
    assert stream[1].headers["content-type"].startswith("text/event-stream")
    cached = [r for r in records if r.cached]
    assert len(cached) == 2
    assert {r.cost_micros for r in cached} == {0}


def test_a_repeated_idempotency_key_gets_the_first_answer_even_while_it_runs(tmp_path: Path) -> None:
    """One call upstream, however often it is sent; another body under the same key is a conflict."""
    plan = FaultPlan([faults.SlowHeaders(0.5)])
    with FakeProvider(plan) as provider, RunningGateway(settings(tmp_path, provider)) as gateway:
        answers: list[Answer] = []
        threads = [
            threading.Thread(
                target=lambda: answers.append(post(gateway, "/v1/chat/completions", chat(), idempotency_key="k1"))
            )
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert provider.count == 1
        other = post(gateway, "/v1/chat/completions", chat("other"), idempotency_key="k1")
    assert {a.status for a in answers} == {200}
    assert len({a.body for a in answers}) == 1
    assert other.status == 409


def test_a_failed_call_is_not_kept_under_its_idempotency_key(tmp_path: Path) -> None:
    """The repetition of a failure is a new try."""
    plan = FaultPlan(rules=[FaultRule(faults.Status(400), times=1)])
    with FakeProvider(plan) as provider, RunningGateway(settings(tmp_path, provider)) as gateway:
        first = post(gateway, "/v1/chat/completions", chat(), idempotency_key="k")
        second = post(gateway, "/v1/chat/completions", chat(), idempotency_key="k")
    assert (first.status, second.status) == (400, 200)


def test_more_calls_than_the_house_has_room_for_are_refused_with_503(tmp_path: Path) -> None:
    """Overload is said, not suffered."""
    limits = QUICK.limits.model_copy(update={"concurrent_calls": 1})
    made = PATIENT.model_copy(update={"limits": limits})
    go_on = threading.Event()
    with (
        RawUpstream([lambda: go_on.wait(20), *whole(GOOD)]) as upstream,
        RunningGateway(settings(tmp_path, upstream, gateway=made)) as gateway,
    ):
        thread = threading.Thread(target=lambda: post(gateway, "/v1/chat/completions", chat()))
        thread.start()
        until(lambda: upstream.requests)
        answer = post(gateway, "/v1/chat/completions", chat())
        go_on.set()
        thread.join()
    assert answer.status == 503
    assert "retry-after" in answer.headers


def test_a_rule_of_one_tenant_does_not_touch_anothers_calls(tmp_path: Path) -> None:
    """Tenants do not see each other's rules."""
    rules = [RuleState("r1", "other", "2\\+2", preferred_model="n")]
    keys = [key(), key("other", "mel_other", tenant="other")]
    with FakeProvider() as provider:
        made = settings(tmp_path, provider, models={"m": Model(tier="balanced"), "n": Model(tier="deep")})
        both = made.providers["p0"].model_copy(update={"models": ["m", "n"]})
        made = made.model_copy(update={"providers": {"p0": both}})
        with RunningGateway(made, keys=keys, rules=rules) as gateway:
            mine = post(gateway, "/v1/chat/completions", chat(model="auto"))
            theirs = post(gateway, "/v1/chat/completions", chat(model="auto"), secret="mel_other")
    assert mine.headers["x-meliora-model"] == "m"
    assert theirs.headers["x-meliora-reason"] == "rule:r1"


def test_an_unknown_model_is_404_with_a_guess(tmp_path: Path) -> None:
    """A typing error is named."""
    with FakeProvider() as provider:
        made = settings(tmp_path, provider, aliases={"smart-one": "m"})
        with RunningGateway(made) as gateway:
            answer = post(gateway, "/v1/chat/completions", chat(model="mm"))
    assert answer.status == 404
    assert answer.json["error"]["code"] == "model_not_found"


def test_paths_that_are_no_calls_say_that_the_control_process_is_away(tmp_path: Path) -> None:
    """Model calls go on; the rest is told to come back."""
    with FakeProvider() as provider, RunningGateway(settings(tmp_path, provider)) as gateway:
        answer = get(gateway, "/api/v1/calls")
        hidden = get(gateway, "/internal/state")
        wrong = get(gateway, "/v1/chat/completions")
        assert post(gateway, "/v1/chat/completions", chat()).status == 200
    assert answer.status == 503
    assert answer.json["error"]["code"] == "control_away"
    assert hidden.status == 404
    assert wrong.status == 405


def test_counting_tokens_takes_of_the_keys_requests_and_is_counted_in_the_metrics(tmp_path: Path) -> None:
    """A loop of counts is held back like a loop of calls; nothing stays in flight, and no call is recorded."""
    path = "/v1/messages/count_tokens"
    limited = (key(requests_per_minute=2, concurrent=1),)
    with FakeProvider() as provider, RunningGateway(settings(tmp_path, provider), keys=limited) as gateway:
        answers = [post(gateway, path, messages()) for _ in range(3)]
        assert post(gateway, "/v1/messages", messages()).status == 429
        assert gateway.gateway.house.admission.in_flight == 0
        counts = get(gateway, "/metrics").body.decode()
        [record] = gateway.finished(1)
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert answers[2].json["error"]["type"] == "rate_limit_error"
    assert int(answers[2].headers["retry-after"]) > 0
    assert 'meliora_token_counts_total{status="200"} 2.0' in counts
    assert record.status == 429


@pytest.mark.parametrize("limit", [10**9, 10**18, 2**63, 10**30])
def test_no_limit_of_an_answer_however_large_makes_a_keys_tokens_free(tmp_path: Path, limit: int) -> None:
    """What is set aside for a call comes back less what it used, to the token."""
    limited = (key(tokens_per_minute=1000, budget_day_micros=1_000_000),)
    made = {"m": Model(context_window=100_000, price=Price(input=1.0, output=2.0))}
    with FakeProvider() as provider, RunningGateway(settings(tmp_path, provider, models=made), keys=limited) as gateway:
        assert post(gateway, "/v1/chat/completions", chat(max_tokens=limit)).status == 200
        [record] = gateway.finished(1)
        [bucket] = gateway.gateway.house.admission.limiter._keys.values()
        [account] = gateway.gateway.house.admission.ledger._accounts.values()
    assert record.usage is not None and record.usage.input and record.usage.output
    assert bucket.tokens <= 1000 - record.usage.input - record.usage.output + 10
    assert (account.reserved, account.total) == (0, record.cost_micros)
