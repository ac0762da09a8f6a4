"""A provider's key stays in this house, whatever the provider says about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from meliora.settings.models import Settings
from meliora.testing.gateway import RunningGateway
from tests.gateway.asking import chat, messages, post, settings
from tests.gateway.raw_upstream import RawUpstream, Step, whole

KEY = "pk-0123456789abcdefghijklmnop"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_PROVIDERS_KEY", KEY)


def _keyed(made: Settings, kind: str) -> Settings:
    provider = made.providers["p0"].model_copy(update={"api_key": "env:A_PROVIDERS_KEY", "kind": kind})
    return made.model_copy(update={"providers": {"p0": provider}})


def _repeat(status: str) -> list[Step]:
    return whole({"error": {"message": f"No such key: {KEY}.", "type": "invalid_request_error"}}, status)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/messages/count_tokens"])
@pytest.mark.parametrize("kind", ["openai", "anthropic"])
@pytest.mark.parametrize("status", ["400 X", "401 X", "403 X", "500 X"])
def test_an_error_that_repeats_the_key_reaches_nobody_with_it(
    tmp_path: Path, path: str, kind: str, status: str
) -> None:
    """Not the client, not a record, not a metric; it was sent, though."""
    with (
        RawUpstream(_repeat(status)) as upstream,
        RunningGateway(_keyed(settings(tmp_path, upstream), kind)) as gateway,
    ):
        answered = post(gateway, path, chat() if "chat" in path else messages())
        metrics = post(gateway, "/metrics", None, method="GET").body
        kept = b"".join(file.read_bytes() for file in gateway.state_dir.rglob("*") if file.is_file())
    assert KEY.encode() not in answered.body + metrics + kept + str(answered.headers).encode()
    if upstream.requests:
        assert KEY.encode() in upstream.requests[0][0]
        assert answered.status == (502 if status[:3] in ("401", "403") else int(status[:3]))


def test_a_key_that_belongs_into_the_query_is_sent_and_not_its_reference(tmp_path: Path) -> None:
    """The settings ask for a reference there, too; what is sent is what stands behind it."""
    with RawUpstream(_repeat("400 X")) as upstream:
        made = settings(tmp_path, upstream)
        provider = made.providers["p0"].model_copy(update={"query": {"key": "env:A_PROVIDERS_KEY", "v": "1"}})
        with RunningGateway(made.model_copy(update={"providers": {"p0": provider}})) as gateway:
            answered = post(gateway, "/v1/chat/completions", chat())
    assert f"/chat/completions?key={KEY}&v=1 ".encode() in upstream.requests[0][0]
    assert KEY.encode() not in answered.body
