"""G14: completions, usage analytics, quotas, tokens and the cache over HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest

from meliora.settings.models import Cache, Gateway, Server, Settings
from meliora.testing.gateway import SECRET
from meliora.testing.stack import RunningMeliora
from tests.gateway.asking import get, post

CHAT = "/v1/chat/completions"


def body(text: str = "hello", model: str = "simulated-small") -> dict[str, object]:
    return {"model": model, "messages": [{"role": "user", "content": text}]}


def test_g14_what_was_spent_can_be_asked_in_every_way(meliora: RunningMeliora) -> None:
    """Calls of two models and one failure, then usage, the dearest, the error rate, and one call."""
    gateway = meliora.gateway
    calls = [post(gateway, CHAT, body(model=model)) for model in ("simulated-small", "simulated-large")]
    assert [call.status for call in calls] == [200, 200]
    meliora.settle()
    usage = get(gateway, "/api/v1/analytics/usage?by=model").json
    assert {item["group"] for item in usage["items"]} == {"simulated-small", "simulated-large"}
    assert usage["total"]["calls"] == 2
    assert usage["total"]["cost_micros"] == sum(item["cost_micros"] for item in usage["items"]) > 0
    for by in ("task", "user", "day", "feature", "key", "tenant"):
        assert get(gateway, f"/api/v1/analytics/usage?by={by}").json["total"]["calls"] == 2
    dearest = get(gateway, "/api/v1/analytics/top-expensive?limit=1").json["items"]
    assert [call["model"] for call in dearest] == ["simulated-large"]
    assert get(gateway, "/api/v1/analytics/error-rate").json["rate"] == 0
    assert get(gateway, "/api/v1/analytics/ranking").json["items"][0]["success_rate"] == 1
    assert get(gateway, "/api/v1/analytics/latency").json["latency_ms"]["count"] == 2
    shown = get(gateway, f"/api/v1/calls/{calls[1].headers['x-meliora-call']}").json
    assert shown["model"] == "simulated-large" and shown["cost_usd"] > 0 and shown["reason"] == "asked"
    assert shown["attempts"][0]["status"] == 200


def test_g14_a_token_has_a_quota_that_can_be_set_and_holds(meliora: RunningMeliora) -> None:
    """A key is made, called with, capped, refused, rotated and revoked."""
    gateway = meliora.gateway
    issued = post(gateway, "/api/v1/keys", {"name": "app"}).json
    key_id, secret = issued["key"]["id"], issued["secret"]
    meliora.wait_for_keys(key_id)
    assert post(gateway, CHAT, body(), secret=secret).status == 200
    quota = post(gateway, "/api/v1/quotas", {"key_id": key_id, "requests_per_minute": 1, "budget_day_micros": 0}).json
    assert quota["budgets"][0]["budget_micros"] == 0
    meliora.wait(lambda: post(gateway, CHAT, body(), secret=secret).status == 429, 5)
    listed = {one["key_id"]: one for one in get(gateway, "/api/v1/quotas").json["items"]}
    assert listed[key_id]["requests_per_minute"] == 1
    rotated = post(gateway, f"/api/v1/keys/{key_id}/rotate", {}).json["secret"]
    assert rotated != secret
    assert post(gateway, f"/api/v1/keys/{key_id}", None, method="DELETE").json["revoked_us"]
    meliora.wait(lambda: post(gateway, CHAT, body(), secret=rotated).status == 401, 5)
    assert secret not in get(gateway, "/api/v1/activity").body.decode()


def test_g14_the_cache_can_be_looked_at_and_cleared(
    tmp_path: Path, switched: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An equal request is answered from the cache until it is cleared."""
    monkeypatch.setattr("meliora.gateway.sync.BEAT_SECONDS", 0.05)
    settings = Settings(server=Server(state_dir=tmp_path / "state"), gateway=Gateway(cache=Cache(enabled=True)))
    with RunningMeliora(settings) as meliora:
        gateway = meliora.gateway

        def source() -> str | None:
            return post(gateway, CHAT, body(), secret=SECRET).headers.get("x-meliora-cache")

        assert source() is None
        assert source() is not None
        meliora.wait(lambda: get(gateway, "/api/v1/cache/stats").json["total"].get("hits", 0) > 0, 10)
        assert post(gateway, "/api/v1/cache/clear", None).status == 200
        meliora.wait(lambda: get(gateway, "/api/v1/cache/stats").json["total"].get("entries", 1) == 0, 10)
        assert source() is None
